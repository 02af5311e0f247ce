"""Recorded runs graded again: as they were where nothing changed, and exactly otherwise where something did."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import Limits
from agentkit.config import ScriptedAgent as Settings
from agentkit.errors import UsageError
from agentkit.grade import Judge
from agentkit.ingest import record
from agentkit.ingest.otel import read_otel
from agentkit.llm import Budget, ChatRequest, ChatResponse
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.regrade_run import Change, Difference, regrade_run
from agentkit.play.session import RunSettings, open_session, play_session, recorded_settings
from agentkit.records import Effect, Message, ModelCall, Party, Run, RunId, Status, Stop, Trial, TrialId, Verdict
from agentkit.scenario import Loaded, load
from agentkit.store import Store

SHOP = Path(__file__).parent / "shop"
SHIPPED = Path(__file__).parents[2] / "scenarios"
FIVE = ("shop/five", "golden")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A copy of the tests' suite, to be changed."""
    return Path(shutil.copytree(SHOP, tmp_path / "shop"))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/regraded.db") as opened:
        yield opened


def change(file: Path, *pairs: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


async def played(
    store: Store,
    folder: Path,
    scenarios: tuple[Loaded, ...],
    *,
    accuracy: float = 0.7,
    trials: int = 4,
    variants: tuple[tuple[str, str], ...] | None = None,
    agent: Any = None,
    judge: Judge | None = None,
    limits: Limits | None = None,
) -> Run:
    player = agent or ScriptedAgent("scripted", accuracy)
    settings = RunSettings(
        paths=(str(folder),),
        agent="scripted",
        agent_settings=Settings(kind="scripted", accuracy=accuracy),
        variants=variants or tuple((loaded.id, variant) for loaded in scenarios for variant in loaded.variants),
        trials=trials,
        limits=limits or Limits(),
    )
    session = open_session(settings, scenarios, player, store)
    return await play_session(
        session, player, judge=judge, budget=Budget(), trace_folder=folder / "traces", listener=lambda progress: None
    )


def same(trial: Trial) -> Trial:
    """A trial without what is a run's own."""
    return replace(trial, id="", run="")


def told(found: Difference) -> dict[tuple[str, str], tuple[str | None, str | None, int]]:
    """(kind, name) → (before, after, trials)."""
    return {(it.kind, it.name): (it.before, it.after, it.trials) for it in found.changes}


@pytest.mark.slow
async def test_nothing_changes_where_nothing_changed(db: Store, tmp_path: Path) -> None:
    scenarios = load([SHIPPED])
    own = tuple((loaded.id, variant) for loaded in scenarios for variant in loaded.variants)
    catalogue = (("point_of_sale/refund", "user:vague@1"), ("point_of_sale/refund", "tool:error@0.6"))
    run = await played(db, tmp_path, scenarios, trials=2, variants=(*own, *catalogue))
    found = await regrade_run(run, scenarios, db)
    assert found.changes == ()
    assert (found.trials, found.touched, found.changed_scenarios, dict(found.reworded)) == (run.planned, 0, (), {})
    assert [same(it) for it in db.trials(found.run.id)] == [same(it) for it in db.trials(run.id)]
    assert (found.run.status, found.run.scenarios, found.run.planned) == ("finished", run.scenarios, run.planned)


async def test_a_changed_step_and_nothing_else(db: Store, suite: Path) -> None:
    scenarios = load([suite])
    run = await played(db, suite, scenarios, accuracy=1.0, trials=5)
    before = [same(it) for it in db.trials(run.id)]
    change(suite / "five.yaml", ("reply: {mentions: [shipped]}", "reply: {mentions: [delivered]}"))
    found = await regrade_run(run, load([suite]), db)
    assert found.changes == (Change("shop/five", "golden", "step", "says_shipped", "passed", "failed", 5),)
    assert (found.trials, found.touched) == (10, 5)
    assert found.changed_scenarios == ("shop/five",)
    assert [same(it) for it in db.trials(run.id)] == before
    for old, new in zip(before, db.trials(found.run.id), strict=True):
        kept = [grade for grade in new.steps if grade.step != "says_shipped"]
        assert kept == [grade for grade in old.steps if grade.step != "says_shipped"]


async def test_steps_that_came_and_went(db: Store, suite: Path) -> None:
    run = await played(db, suite, load([suite]), accuracy=1.0, trials=2, variants=(FIVE,))
    change(
        suite / "five.yaml",
        ('      - id: names_item\n        reply: {mentions: ["{{ item }}"]}\n', ""),
        ("        reply: {asks: true}\n", "        reply: {asks: true}\n      - id: is_calm\n        no_call: any\n"),
    )
    found = await regrade_run(run, load([suite]), db)
    assert told(found) == {
        ("step", "names_item"): ("passed", None, 2),
        ("step", "is_calm"): (None, "passed", 2),
    }


async def test_the_outcome_decides_the_verdict(db: Store, suite: Path) -> None:
    run = await played(db, suite, load([suite]), accuracy=1.0, trials=3, variants=(FIVE,))
    change(suite / "five.yaml", ('/status": shipped}\ndetours', '/status": returned}\ndetours'))
    found = await regrade_run(run, load([suite]), db)
    assert told(found) == {
        ("outcome", "is_shipped"): ("passed", "failed", 3),
        ("verdict", ""): ("success", "failure", 3),
    }
    assert {trial.fault for trial in db.trials(found.run.id)} == {Party.AGENT}


STATE = (
    "      - id: says_shipped\n",
    '      - id: stands_shipped\n        state: {"orders/{{ order_id }}/status": shipped}\n      - id: says_shipped\n',
)


async def test_the_world_of_each_turn_is_rebuilt(db: Store, suite: Path) -> None:
    run = await played(db, suite, load([suite]), accuracy=0.6, trials=8, variants=(FIVE,))
    change(suite / "five.yaml", STATE)
    found = await regrade_run(run, load([suite]), db)
    for trial in db.trials(found.run.id):
        graded = {grade.step: grade for grade in trial.steps}
        shipped = graded["stands_shipped"].status
        assert shipped is trial.outcome[0].status  # nothing happens to an order after that turn
        assert (graded["ship"].status, shipped) != (Status.PASSED, Status.FAILED)
    assert {it.after for it in found.changes} == {"passed", "failed"}


OTHERWISE = '''
def ship(state: dict[str, Any], order_id: OrderId) -> str:
    """Ship an order."""
    ship_now(state, order_id)
    return "on its way"
'''


async def test_a_tool_that_answers_otherwise_leaves_the_state_unknown(db: Store, suite: Path) -> None:
    change(suite / "five.yaml", STATE)
    run = await played(db, suite, load([suite]), accuracy=1.0, trials=2, variants=(FIVE,))
    change(suite / "world.py", ("def ship(", "def ship_now("), ("TOOLS = [", f"{OTHERWISE}\n\nTOOLS = ["))
    found = await regrade_run(run, load([suite]), db)
    assert told(found) == {("step", "stands_shipped"): ("passed", "ungraded", 2)}
    (grade, *_) = (g for trial in db.trials(found.run.id) for g in trial.steps if g.step == "stands_shipped")
    assert "in turn 2, ship answered" in grade.reason
    assert "on its way" in grade.reason
    assert grade.fault is Party.HARNESS


async def test_a_tool_that_does_otherwise_and_says_the_same(db: Store, suite: Path) -> None:
    change(suite / "five.yaml", STATE)
    run = await played(db, suite, load([suite]), accuracy=1.0, trials=2, variants=(FIVE,))
    change(suite / "world.py", ('["status"] = "shipped"', '["status"] = "SHIPPED"'))
    found = await regrade_run(run, load([suite]), db)
    assert ("step", "stands_shipped") in told(found)
    assert {trial.verdict for trial in db.trials(found.run.id)} == {
        Verdict.SUCCESS
    }  # what was recorded is what happened
    (grade, *_) = (g for trial in db.trials(found.run.id) for g in trial.steps if g.step == "stands_shipped")
    assert grade.status is Status.UNGRADED
    assert "the recording ends with" in grade.reason


ONE_MORE = (("  - id: thanks\n", "  - id: well\n    user: Well.\n    steps: []\n  - id: thanks\n"),)
MOVED = (
    ('  - id: thanks\n    user: "Thank you."', '  - id: thanks\n    user: "Bye."'),
    ('user: "Ship it, please."', 'user: "Thank you."'),
)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (ONE_MORE, "it has 3 turns, and the scenario 4"),
        (MOVED, "turn 3 of it is the scenario's turn 2 (orders)"),
    ],
    ids=["one more", "moved"],
)
async def test_a_conversation_that_is_no_play_of_the_scenario_any_more(
    db: Store, suite: Path, pairs: tuple[tuple[str, str], ...], message: str
) -> None:
    run = await played(db, suite, load([suite]), accuracy=1.0, trials=2, variants=(FIVE,))
    change(suite / "five.yaml", *pairs)
    found = await regrade_run(run, load([suite]), db)
    for trial in db.trials(found.run.id):
        assert (trial.verdict, trial.fault) == (Verdict.INVALID, Party.HARNESS)
        assert message in trial.reason
        assert {grade.status for grade in trial.steps} == {Status.NOT_REACHED}
        assert trial.outcome == ()


async def test_a_turn_that_was_removed(db: Store, suite: Path) -> None:
    run = await played(db, suite, load([suite]), accuracy=1.0, trials=1, variants=(FIVE,))
    text = (suite / "five.yaml").read_text()
    start, end = text.index("  - id: thanks"), text.index("outcome:")
    (suite / "five.yaml").write_text((text[:start] + text[end:]).replace("rejoins: thanks", "rejoins: end"))
    found = await regrade_run(run, load([suite]), db)
    (trial,) = db.trials(found.run.id)
    assert "it has 3 turns, and the scenario 2" in trial.reason
    assert {grade.step for grade in trial.steps} == {"look_up", "names_item", "ship", "says_shipped"}


async def test_other_words_of_the_user_are_told(db: Store, suite: Path) -> None:
    run = await played(db, suite, load([suite]), accuracy=1.0, trials=3, variants=(FIVE,))
    change(suite / "five.yaml", ("Ship it, please.", "Please ship it."))
    found = await regrade_run(run, load([suite]), db)
    assert (found.changes, found.reworded) == ((), {"shop/five/golden#orders": 3})


class Breaks(ScriptedAgent):
    """Fails in its second turn, by its own fault or by somebody else's."""

    error: Exception = RuntimeError("out of order")

    async def act(self, moment: Any) -> tuple[Message, ...]:
        if moment.turn == 1:
            raise self.error
        return await super().act(moment)


class Loses(Breaks):
    error = ConnectionError("nobody is there")


@pytest.mark.parametrize(
    ("agent", "verdict", "stop"),
    [(Breaks, Verdict.FAILURE, Stop.AGENT_ERROR), (Loses, Verdict.INVALID, Stop.INVALID)],
)
async def test_trials_that_were_cut_short(
    db: Store, suite: Path, agent: Callable[..., Any], verdict: Verdict, stop: Stop
) -> None:
    run = await played(db, suite, load([suite]), trials=2, agent=agent("scripted", 1.0), variants=(FIVE,))
    found = await regrade_run(run, load([suite]), db)
    assert found.changes == ()
    assert [same(it) for it in db.trials(found.run.id)] == [same(it) for it in db.trials(run.id)]
    assert {(it.verdict, it.stop) for it in db.trials(found.run.id)} == {(verdict, stop)}
    change(suite / "five.yaml", ("- id: offers_help", "- id: offers_more"))
    found = await regrade_run(run, load([suite]), db)
    assert told(found) == {
        ("step", "offers_more"): (None, "not_reached", 2),
        ("step", "offers_help"): ("not_reached", None, 2),
    }


async def test_what_is_gone_is_an_error_and_nothing_is_recorded(db: Store, suite: Path) -> None:
    scenarios = load([suite])
    run = await played(db, suite, scenarios, trials=1)
    (suite / "five.yaml").rename(suite / "six.yaml")
    with pytest.raises(UsageError, match=r"the scenario 'shop/five' of run .* \(did you mean 'shop/six'"):
        await regrade_run(run, load([suite]), db)
    with pytest.raises(UsageError, match="the scenario 'shop/five' of run"):
        await regrade_run(run, load([suite]), db, as_scenario="shop/six")
    (suite / "six.yaml").rename(suite / "five.yaml")
    change(suite / "five.yaml", ("- id: second_thoughts", "- id: second_thought"))
    with pytest.raises(UsageError, match="the variant 'second_thoughts' is gone \\(did you mean 'second_thought'"):
        await regrade_run(run, load([suite]), db)
    assert [it.id for it in db.runs()] == [run.id]


async def test_every_regrading_is_a_run_of_its_own_and_none_can_be_resumed(db: Store, suite: Path) -> None:
    scenarios = load([suite])
    run = await played(db, suite, scenarios, trials=1)
    first = (await regrade_run(run, scenarios, db)).run
    second = (await regrade_run(first, scenarios, db)).run
    assert [first.id, second.id] == [f"regraded-1-{run.id}", f"regraded-2-{run.id}"]
    assert (first.settings["regraded_from"], second.settings["regraded_from"]) == (run.id, first.id)
    with pytest.raises(UsageError, match="graded again: there is nothing to play on with"):
        recorded_settings(first)


async def test_an_imported_run_is_graded_as_the_recorded_one(db: Store, suite: Path) -> None:
    """Without a recorded final state: it is rebuilt."""
    scenarios = load([suite])
    run = await played(db, suite, scenarios, accuracy=0.6, trials=5)
    (imported,) = read_otel(suite / "traces")
    again = db.run(record(imported, db).run)
    found = await regrade_run(again, scenarios, db)
    assert found.changes == ()
    assert [(it.verdict, it.final_state) for it in db.trials(found.run.id)] == [
        (it.verdict, it.final_state) for it in db.trials(run.id)
    ]


async def test_calls_that_were_slow_are_so_in_an_imported_run(db: Store, suite: Path) -> None:
    scenarios = load([suite])
    run = await played(db, suite, scenarios, accuracy=1.0, trials=1, variants=(("shop/five", "tool:slow@0.01"),))
    (imported,) = read_otel(suite / "traces")
    again = db.run(record(imported, db).run)
    found = await regrade_run(again, scenarios, db)
    assert found.changes == ()
    (before,), (after,) = db.trials(run.id), db.trials(found.run.id)
    assert (before.verdict, before.disturbances) == (after.verdict, after.disturbances)
    assert [it.effect for it in after.disturbances] == [Effect.TRIGGERED]


class Verdicts:
    """A judge's model that counts how often it is asked."""

    name, provider = "judge", "test"

    def __init__(self) -> None:
        self.asked = 0

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.asked += 1
        return ChatResponse('{"reason": "so it is", "quotation": "shipped", "passed": true}', ModelCall("judge"))

    async def close(self) -> None:
        return None


async def test_kept_verdicts_are_enough(db: Store, suite: Path) -> None:
    change(
        suite / "five.yaml", ("reply: {mentions: [shipped]}", 'reply: {mentions: [shipped], judge: "Is it friendly?"}')
    )
    model = Verdicts()
    run = await played(db, suite, load([suite]), accuracy=1.0, trials=2, variants=(FIVE,), judge=Judge(model, db))
    asked = model.asked
    assert asked > 0
    found = await regrade_run(run, load([suite]), db, judge=Judge(model, db))
    assert (found.changes, model.asked) == ((), asked)
    found = await regrade_run(run, load([suite]), db)
    assert told(found) == {("step", "says_shipped"): ("passed", "ungraded", 2)}


async def test_conversations_from_elsewhere_are_graded_as_a_scenario(db: Store, suite: Path) -> None:
    scenarios = load([suite])
    run = await played(db, suite, scenarios, accuracy=1.0, trials=2, variants=(FIVE,))
    recorded = list(db.trials(run.id))
    elsewhere = replace(run, id=RunId("elsewhere"), scenarios={}, settings={"import": {"kind": "test"}})
    db.create_run(elsewhere)
    foreign = [
        replace(
            trial,
            run=elsewhere.id,
            id=TrialId(f"foreign{place}"),
            key=replace(trial.key, scenario="otel/bot"),
            verdict=Verdict.INVALID,
            fault=Party.HARNESS,
            reason="never graded",
            steps=(),
            outcome=(),
            final_state=None,
        )
        for place, trial in enumerate(recorded)
    ]
    foreign.append(replace(foreign[0], id=TrialId("other"), index=2, key=replace(foreign[0].key, scenario="otel/b")))
    db.add_trials(foreign)
    with pytest.raises(UsageError, match=r"'otel/bot' come from elsewhere: name the scenario .* --scenario ID"):
        await regrade_run(elsewhere, scenarios, db)
    with pytest.raises(UsageError, match=r"no file, folder or scenario 'shop/fife' \(did you mean 'shop/five'"):
        await regrade_run(elsewhere, scenarios, db, as_scenario="shop/fife")
    found = await regrade_run(elsewhere, scenarios, db, as_scenario="shop/five")
    graded = list(db.trials(found.run.id))
    assert [(it.verdict, it.fault, it.reason) for it in graded] == [(Verdict.SUCCESS, None, "")] * 3
    assert [it.key for it in graded] == [*(it.key for it in recorded), replace(recorded[0].key, repeat=1)]
    assert [it.steps for it in graded[:2]] == [
        tuple(replace(grade, span_id=_known(grade.span_id, trial)) for grade in trial.steps) for trial in recorded
    ]
    other = await regrade_run(elsewhere, scenarios, db, as_scenario="shop/five/second_thoughts")
    assert {(it.key.variant, it.verdict) for it in db.trials(other.run.id)} == {("second_thoughts", Verdict.FAILURE)}


def _known(span: str | None, trial: Trial) -> str | None:
    """Spans of turns are known from recorded grades alone, those of calls from the messages."""
    return span if span in {message.span_id for message in trial.messages} else None
