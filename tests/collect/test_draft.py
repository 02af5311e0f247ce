"""Captured conversations become drafts that load, that the scripted agent plays, and that hold no surprise."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.collect.draft import Draft, judged_bad, write_drafts
from agentkit.collect.transcript import Said, SaidTurn, policy, transcript, turns
from agentkit.collect.variables import Variables
from agentkit.errors import UsageError
from agentkit.llm import Budget
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.session import play_session
from agentkit.records import ConversationId, Exchange, Feedback, FeedbackKind, ResponseId, Source, ToolCall, Verdict
from agentkit.scenario import Loaded, load
from agentkit.scenario.template import compile_text
from agentkit.store import Store
from tests.collect.conversations import LOOK_UP, REFUND, answers, calls, exchanges, says, user
from tests.play.conftest import session_of

ROOT = Path(__file__).parents[2]
POINT_OF_SALE = ROOT / "scenarios" / "point_of_sale"


def judged(response: str, conversation: str = "c1", **changes: Any) -> Feedback:
    values: dict[str, Any] = {
        "id": f"on {response} {changes}",
        "at": "2026-03-02T00:00:00.000+00:00",
        "source": Source.USER,
        "by": "till",
        "kind": FeedbackKind.THUMB,
        "conversation": ConversationId(conversation),
        "response": ResponseId(response),
        "value": 0.0,
    }
    return Feedback(**values | changes)


def drafted(store: Store, out: Path, captured: list[Exchange], suite: Path | None = None) -> list[Draft]:
    store.add_exchanges(captured)
    names = list(dict.fromkeys(it.conversation for it in captured))
    return write_drafts(store, names, out, suite)


def document(draft: Draft) -> Any:
    assert draft.file is not None, draft.why
    return yaml.safe_load(draft.file.read_text())


async def golden(scenarios: tuple[Loaded, ...], store: Store, tmp_path: Path, trials: int = 3) -> set[Verdict]:
    agent = ScriptedAgent("s", 1.0)
    session = session_of(agent, scenarios, store, trials, 1, 0, ("golden",), None, 4)
    run = await play_session(
        session, agent, judge=None, budget=Budget(), trace_folder=tmp_path / "traces", listener=lambda _: None
    )
    return {trial.verdict for trial in store.trials(run.id)}


@pytest.mark.parametrize("suite", [None, POINT_OF_SALE])
async def test_a_draft_loads_and_plays(store: Store, tmp_path: Path, suite: Path | None) -> None:
    (draft,) = drafted(store, tmp_path / "drafts", exchanges("c1", *LOOK_UP, *REFUND), suite)
    scenarios = load([tmp_path / "drafts"])
    assert [(it.id, it.scenario.tags) for it in scenarios] == [("demo/c1", ["draft"])]
    written = document(draft)
    assert written["variables"] == {
        "sale_id": {"pattern": "S-[0-9]{5}"},
        "last_four": {"pattern": "[0-9]{4}"},
        "email": {"fake": "email"},
        "sku": {"pattern": "SKU-[0-9]{4}"},
    }
    steps = [step for turn in written["turns"] for step in turn["steps"]]
    assert [it["id"] for it in steps] == ["t1_look_up_sale", "t1_reply", "t2_refund_item", "t2_reply"]
    assert steps[0]["call"]["arguments"] == {"sale_id": "{{ sale_id }}", "last_four": "{{ last_four }}"}
    assert steps[1]["reply"]["mentions"] == ["{{ sale_id }}", 39.5]
    assert steps[1]["reply"]["asks"] is True
    instance = scenarios[0].draw("golden", 1)
    assert "Yes, please. {{ 7*7 }} {% raw %} thanks" in instance.turns[1].user, "as the user said it"
    assert "[email" not in instance.turns[0].user
    assert await golden(scenarios, store, tmp_path) == {Verdict.SUCCESS}


async def test_a_hopeless_agent_fails_a_draft(store: Store, tmp_path: Path) -> None:
    drafted(store, tmp_path / "drafts", exchanges("c1", *LOOK_UP, *REFUND))
    agent = ScriptedAgent("s", 0.0)
    session = session_of(agent, load([tmp_path / "drafts"]), store, 3, 1, 0, ("golden",), None, 4)
    run = await play_session(
        session, agent, judge=None, budget=Budget(), trace_folder=tmp_path / "traces", listener=lambda _: None
    )
    assert {trial.verdict for trial in store.trials(run.id)} == {Verdict.FAILURE}


@pytest.mark.slow
def test_no_run_takes_a_draft_up_by_itself(store: Store, tmp_path: Path) -> None:
    shutil.copytree(POINT_OF_SALE, tmp_path / "scenarios" / "point_of_sale")
    before = [it.id for it in load([tmp_path / "scenarios"])]
    drafted(store, tmp_path / "scenarios" / "__drafts__", exchanges("c1", *LOOK_UP))
    assert [it.id for it in load([tmp_path / "scenarios"])] == before
    assert [it.id for it in load([tmp_path / "scenarios" / "__drafts__"])] == ["demo/c1"]


async def test_a_correction_stands_in_the_place_of_what_was_wrong(store: Store, tmp_path: Path) -> None:
    wrong = calls("refund_item", sale_id="S-10234", sku="SKU-9999", tender="cash")
    captured = exchanges("c1", *LOOK_UP, user("Yes, SKU-2041."), wrong, answers("ValueError: no"), says("It failed."))
    right = calls("refund_item", sale_id="S-10234", sku="SKU-2041", tender="card")
    bad = captured[2].id
    for it in (
        judged(bad, text="wrong item\n# and: a comment"),
        judged(bad, kind=FeedbackKind.CORRECTION, source=Source.EXPERT, by="ann", value=None, answer=right),
        judged(bad, kind=FeedbackKind.CORRECTION, at="2026-03-03T00:00:00Z", value=None, answer=says("No idea.")),
    ):
        store.add_feedback(it)
    (draft,) = drafted(store, tmp_path / "drafts", captured, POINT_OF_SALE)
    assert draft.is_bad
    written = document(draft)
    assert written["tags"] == ["draft", "regression"]
    assert len(written["turns"]) == 2
    (step,) = written["turns"][1]["steps"]
    assert step["call"] == {
        "name": "refund_item",
        "arguments": {"sale_id": "{{ sale_id }}", "sku": "{{ sku }}", "tender": "card"},
    }
    assert draft.file is not None
    head = draft.file.read_text().split("title:")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert "# to confirm: turn_2: the 1. move was judged bad by user till: wrong item # and: a comment" in head
    assert "turn_2: the correction stands in its place" in head
    assert await golden(load([draft.file]), store, tmp_path) == {Verdict.SUCCESS}


def test_what_was_bad_and_nobody_put_right_is_not_expected(store: Store, tmp_path: Path) -> None:
    captured = exchanges("c1", *LOOK_UP, *REFUND)
    store.add_feedback(judged(captured[2].id))
    (draft,) = drafted(store, tmp_path / "drafts", captured)
    assert [len(turn["steps"]) for turn in document(draft)["turns"]] == [2, 0]
    assert "nobody said what would be right: add the step" in draft.why
    first = exchanges("c2", user("Refund it."), says("No."))
    store.add_feedback(judged(first[0].id, "c2"))
    (none,) = drafted(store, tmp_path / "drafts", first)
    assert none.file is None
    assert "nobody said what would have been right" in none.why


def test_praise_and_comments_are_no_blame(store: Store) -> None:
    store.add_feedback(judged("x", "c2"))
    store.add_feedback(judged("y", "c3", value=1.0))
    store.add_feedback(judged("z", "c4", kind=FeedbackKind.COMMENT, value=None, text="hm"))
    names = [ConversationId(f"c{number}") for number in range(1, 5)]
    assert judged_bad(store, names) == ["c2"]


def test_what_was_drafted_is_left_alone(store: Store, tmp_path: Path) -> None:
    (first,) = drafted(store, tmp_path, exchanges("c1", *LOOK_UP))
    assert first.file is not None
    first.file.write_text(first.file.read_text() + "# confirmed\n")
    (again,) = drafted(store, tmp_path, exchanges("c1", *LOOK_UP))
    assert (again.file, again.why) == (None, "was drafted before")
    assert first.file.read_text().endswith("# confirmed\n")
    first.file.unlink()
    (moved,) = drafted(store, tmp_path, exchanges("c1", *LOOK_UP))
    assert moved.file is None, "somebody moved it into a suite, or did not want it"


def test_later_drafts_keep_the_tools_of_earlier_ones(store: Store, tmp_path: Path) -> None:
    one, other = exchanges("c1", *LOOK_UP), exchanges("c2", *LOOK_UP)
    drafted(store, tmp_path, one)
    few = [replace(it, request={**it.request, "tools": it.request["tools"][:1]}) for it in other]
    drafted(store, tmp_path, few)
    (loaded, _) = load([tmp_path])
    assert len(loaded.tools) == 10


def test_tools_are_told_as_in_production(store: Store, tmp_path: Path) -> None:
    captured = exchanges("c1", *LOOK_UP)
    drafted(store, tmp_path, captured)
    (loaded,) = load([tmp_path])
    wanted = {it["function"]["name"]: it["function"] for it in captured[0].request["tools"]}
    assert loaded.tools.keys() == wanted.keys()
    spec = loaded.tools["redeem_points"]
    assert spec.description == wanted["redeem_points"]["description"]
    assert spec.parameters == wanted["redeem_points"]["parameters"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "", ".hidden", "x" * 300, "c1\n- evil", "c\u202e1", "{{ 1 }}"]
)
def test_a_conversation_may_be_called_anything(store: Store, tmp_path: Path, name: str) -> None:
    (draft,) = drafted(store, tmp_path / "drafts", exchanges(name, *LOOK_UP))
    assert draft.file is not None
    assert draft.file.parent == tmp_path / "drafts" / "demo"
    assert len(load([tmp_path / "drafts"])) == 1
    assert not any("\u202e" in line or line.startswith("-") for line in draft.file.read_text().splitlines()[:4])


HOSTILE_WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("{}%#'\"\n:&*!|>-"), max_size=40
)


@settings(max_examples=30, deadline=None)
@given(before=HOSTILE_WORDS, after=HOSTILE_WORDS)
def test_what_users_say_is_never_read_as_a_template(before: str, after: str) -> None:
    text = f"{before} S-10234{after and ' '}{after}"
    turn = SaidTurn(text, (Said("assistant", "", (ToolCall("1", "find", {"sale": "S-10234"}),)),), {})
    variables = Variables([turn], {})
    assert variables.names == {"S-10234": "sale"}
    assert compile_text(variables.filled(text)).render({"sale": "S-10234"}) == text
    joined = f"{{S-10234}} {before}"
    assert compile_text(variables.filled(joined)).render({"sale": "S-10234"}) == joined


@pytest.mark.parametrize(
    "word", ["&x *y !!python/object:os.system", "a: b\n- c", "'\"\\", "\u2028\x85 \x00 \x1b[31m", "#"]
)
def test_what_users_say_is_text_in_yaml(store: Store, tmp_path: Path, word: str) -> None:
    (draft,) = drafted(store, tmp_path, exchanges("c1", user(f"S-10234 {word}"), *LOOK_UP[1:]))
    if draft.file is None:
        pytest.fail(draft.why)
    (loaded,) = load([draft.file])
    assert loaded.draw("golden", 0).turns[0].user.endswith(word)


def test_a_suite_must_be_one(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--suite: .* has no suite\.yaml, expected the folder of a suite"):
        drafted(store, tmp_path / "drafts", exchanges("c1", *LOOK_UP), tmp_path)


def test_a_conversation_is_rebuilt_from_its_exchanges() -> None:
    captured = exchanges("c1", *LOOK_UP, *REFUND)
    whole = transcript(captured)
    assert " ".join(it.role for it in whole) == "system user assistant tool assistant user assistant tool assistant"
    assert [it.response for it in whole if it.response] == [it.id for it in captured]
    assert policy(whole) == "You work at the till."
    assert [len(it.moves) for it in turns(whole)] == [2, 2]


def test_a_caller_may_cut_the_beginning_off_or_go_back() -> None:
    captured = exchanges("c1", *LOOK_UP, *REFUND)
    whole = transcript(captured)
    cut = [replace(it, request={**it.request, "messages": it.request["messages"][-3:]}) for it in captured[1:]]
    assert [it.key for it in transcript([captured[0], *cut])] == [it.key for it in whole]
    again = replace(captured[-1], id=ResponseId("again"), response=says("Done: $39.50."))
    rebuilt = transcript([*captured, again])
    assert [it.text for it in rebuilt[-1:]] == ["Done: $39.50."]
    assert len(rebuilt) == len(whole)
    failed = replace(captured[-1], id=ResponseId("failed"), status=503)
    assert transcript([*captured, failed, replace(failed, status=200, response=None)]) == whole
