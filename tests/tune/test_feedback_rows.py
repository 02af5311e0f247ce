"""What people say of production becomes rows that a job imports, and cases that a reward must order right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from agentkit.collect.export import export_folders
from agentkit.collect.labels.rows import Judgement, judgements
from agentkit.collect.provenance import read_provenance
from agentkit.config import CollectSettings
from agentkit.errors import UsageError
from agentkit.grade import Part, Rubric
from agentkit.records import FeedbackKind, Source
from agentkit.tune.compile import Compiled
from agentkit.tune.exchange import import_pairs, import_thumbs
from agentkit.tune.feedback_rows import Exported, answer_text, export_judgements, rows_of
from agentkit.tune.prompt import Prompt
from agentkit.tune.reward_checks import cases_of, check_rewards
from tests.collect.feedback.talks import exchange, said, talk
from tests.tune.compiled import chat_agent, compiled, target


async def some_prompts(guided: bool) -> Compiled:
    return await compiled(target("refund"), agent=chat_agent(guided=guided, calls_per_turn=None))


def call(name: str, **arguments: Any) -> dict[str, Any]:
    written = orjson.dumps(arguments).decode()
    return {"content": None, "tool_calls": [{"id": "a", "function": {"name": name, "arguments": written}}]}


def captured(
    prompts: list[Prompt], given: list[dict[str, Any]], better: list[dict[str, Any] | None]
) -> list[Judgement]:
    """What an expert said of production requests that are these prompts, word for word."""
    heard, seen = [], []
    for n, (prompt, answer, other) in enumerate(zip(prompts, given, better, strict=True)):
        seen.append(exchange(f"r{n}", f"c{n}", "refund", request=prompt.request, response=answer))
        kind = FeedbackKind.CORRECTION if other else FeedbackKind.THUMB
        value = 0.0 if other else 1.0
        heard.append(said(f"c{n}", value, response=f"r{n}", source=Source.EXPERT, kind=kind, answer=other))
    return judgements(seen, heard)


@pytest.mark.parametrize("guided", [True, False])
async def test_a_job_imports_what_is_exported(tmp_path: Path, guided: bool) -> None:
    first, second, *_ = (await some_prompts(guided)).prompts
    golden = first.golden or ""
    made = first.read(golden).calls[0]
    if guided:
        given = {"role": "assistant", "content": '{"action": "reply", "arguments": {"text": "no"}}'}
        better = {
            "role": "assistant",
            "content": orjson.dumps(orjson.loads(golden), option=orjson.OPT_INDENT_2).decode(),
        }
    else:
        given, better = {"role": "assistant", "content": "no"}, call(made.name, **(made.arguments or {}))
    judged = captured([first, second], [given, given], [better, None])

    dpo, kto = tmp_path / "dpo.jsonl", tmp_path / "kto.jsonl"
    collect = CollectSettings(folder=str(tmp_path / "collect"))
    assert export_judgements(judged, dpo, "dpo", collect) == Exported(1, {"without a better answer": 1})
    assert export_judgements(judged, kto, "kto", collect) == Exported(3, {})
    pairs, thumbs = import_pairs(dpo, [first, second]), import_thumbs(kto, [first, second])
    assert [(it.prompt, it.chosen, it.rejected) for it in pairs] == [(first.id, golden, given["content"])]
    assert [(it.prompt, it.completion, it.label) for it in thumbs] == [
        (first.id, given["content"], False),
        (first.id, golden, True),
        (second.id, given["content"], True),
    ]
    rows = rows_of([*judged, *captured([first], [given], [None])], [first])
    assert rows.unknown == 1
    assert [it.model_dump() for it in rows.pairs] == [it.model_dump() for it in pairs]
    assert [it.model_dump() for it in rows.thumbs[:2]] == [it.model_dump() for it in thumbs[:2]]
    assert {it.origins for it in (*rows.pairs, *rows.thumbs)} == {(judged[0].origin,)}
    assert (await first.grade(pairs[0].chosen)).status == "passed"


def test_whose_each_row_is_stands_beside_the_file(tmp_path: Path) -> None:
    collect = CollectSettings(folder=str(tmp_path / "collect"))
    better = {"role": "assistant", "content": "better"}
    talks = [
        exchange(f"r{n}", f"c{n}", "find", user=user, request={"messages": [{"role": "user", "content": asked}]})
        for n, (user, asked) in enumerate([("user-a", "same"), ("user-b", "same"), ("user-a", "other")])
    ]
    heard = [
        said(f"c{n}", 0.0, response=f"r{n}", source=Source.EXPERT, kind=FeedbackKind.CORRECTION, answer=better)
        for n in range(3)
    ]
    for first, expected in ((0, [["r0", "r1"], ["r2"]]), (1, [["r1"], ["r2"]])):
        assert export_judgements(judgements(talks[first:], heard), tmp_path / "a.jsonl", "dpo", collect).rows == 2
        lines = read_provenance(tmp_path)["a.jsonl"]
        assert [[it.exchange for it in line] for line in lines] == expected
        assert lines[-1][0].user == "user-a"
    assert export_folders(collect) == [tmp_path]


def test_calls_are_written_as_the_model_writes_them() -> None:
    tools = [{"function": {"name": "pay", "parameters": {"properties": {"to": {}, "amount": {"default": 1}}}}}]
    answer = call("pay", amount=5, to="card") | {"content": "Wait."}
    hermes = '<tool_call>\n{"name": "pay", "arguments": {"to": "card", "amount": 5}}\n</tool_call>'
    assert answer_text({"tools": tools}, answer) == f"Wait.\n{hermes}"
    assert answer_text({}, {"content": None}) == ""


def test_nothing_to_learn_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    split = [said("c", 1.0, response="c.0"), said("c", 0.0, response="c.0", by="b")]
    collect = CollectSettings(folder=str(tmp_path / "collect"))
    found = export_judgements(judgements(talk("c", "find"), split), file, "kto", collect)
    assert (found.rows, found.why) == (0, "; left out: 1 split")
    assert not file.exists()
    good = judgements(talk("c", "find"), split[:1])
    for name in (tmp_path, tmp_path / "provenance.json", Path("/dev/null")):
        with pytest.raises(UsageError, match="cannot be written"):
            export_judgements(good, name, "kto", collect)
    assert export_folders(collect) == []
    assert Path("/dev/null").exists()


def short(step: Any) -> float:
    return 1 / (1 + len(step.reply))


async def test_a_reward_is_held_against_what_people_say() -> None:
    def answer(text: str) -> dict[str, Any]:
        return {"role": "assistant", "content": text}

    given = ["far too long an answer", "ok", "another answer", "same", "an answer to the same"]
    exchanges = [
        exchange(f"r{n}", f"c{n}", "x", asked=f"asked {min(n, 3)}", response=answer(text))
        for n, text in enumerate(given)
    ]
    heard = [
        said("c0", 0.0, response="r0", source=Source.EXPERT, kind=FeedbackKind.CORRECTION, answer=answer("short")),
        said("c1", 0.0, response="r1", source=Source.EXPERT, kind=FeedbackKind.CORRECTION, answer=answer("very long")),
        said(
            "c2",
            0.0,
            response="r2",
            source=Source.EXPERT,
            kind=FeedbackKind.CORRECTION,
            answer=answer("a second ansr."),
        ),
        said("c3", 1.0, response="r3"),
        said("c4", 0.0, response="r4"),
    ]
    cases = cases_of(judgements(exchanges, heard))
    assert [(it.name, it.better.completion, it.worse.completion) for it in cases] == [
        ("r0", "short", "far too long an answer"),
        ("r1", "very long", "ok"),
        ("r2", "a second ansr.", "another answer"),
        ("r4", "same", "an answer to the same"),
    ]
    assert [message.content for message in cases[0].better.prompt] == ["You are a till.", "asked 0"]
    silent = Part("silent", 1.0, lambda step: None, "", "here.py:1")
    part = Part("short", 1.0, short, "", "here.py:2")
    found = await check_rewards(Rubric("short", (part, silent), "0" * 64), cases)
    assert (found.ordered, found.tied, len(found.misordered), found.silent, found.n) == (2, 1, 1, 0, 4)
    share, low, high = found.share
    assert (share, round(low, 3), round(high, 3)) == (0.5, 0.15, 0.85)
    assert found.document()["examples"] == ["r1: 'ok' gets 0.33, the better 'very long' 0.10"]
    nothing = await check_rewards(Rubric("silent", (silent,), "0" * 64), cases)
    assert (nothing.silent, nothing.n, nothing.share) == (4, 0, (None, 0.0, 1.0))


async def test_at_a_prompt_of_the_job_a_reward_sees_what_is_expected() -> None:
    prompt = (await some_prompts(False)).prompts[0]
    made = prompt.read(prompt.golden or "").calls[0]
    judged = captured([prompt], [{"role": "assistant", "content": "no"}], [call(made.name, **(made.arguments or {}))])
    (known,), (unknown,) = cases_of(judged, [prompt]), cases_of(judged)
    assert known.better.expected == prompt.expected
    assert known.better.completion == prompt.golden
    assert unknown.better.expected is None
    assert unknown.better.call is not None
    assert unknown.better.call.arguments == made.arguments
    assert set(unknown.better.tools) == {tool["function"]["name"] for tool in prompt.request["tools"]}
