"""What `agentkit run` traced comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import Limits
from agentkit.errors import BudgetExhausted
from agentkit.ingest import Imported, record
from agentkit.ingest.otel import read_otel
from agentkit.llm import Budget
from agentkit.measure import summarize
from agentkit.measure.rows import cells
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.session import play_session, resume_session
from agentkit.records import Message, Party, Run, Status, StepGrade, Stop, ToolCall, Trial, Verdict
from agentkit.scenario import Loaded, load
from agentkit.store import Store
from tests.ingest.trace_files import SHOP, played

SHIPPED = Path(__file__).parents[2] / "scenarios"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def numbers(store: Store, run: Run) -> dict[str, Any]:
    return summarize(cells(store.grades(run.id)), deterministic=run.deterministic, seed=run.seed).document()


def told(trial: Trial) -> Trial:
    """What of a trial its trace tells."""
    return replace(
        trial,
        id="",
        run="",
        variables={},
        final_state=None,
        cost=None,
        duration=0,
        started_at="",
        messages=tuple(_told(message) for message in trial.messages),
        steps=tuple(_graded(grade) for grade in trial.steps),
        outcome=tuple(_graded(grade) for grade in trial.outcome),
    )


def _told(message: Message) -> Message:
    timed = message.role == "tool" and message.duration is not None  # by another clock
    return replace(message, duration=0.0 if timed else None)


def _graded(grade: StepGrade) -> StepGrade:
    return replace(grade, expected=None, found=None)


async def round_trip(store: Store, folder: Path, scenarios: tuple[Loaded, ...], **how: Any) -> tuple[Run, Imported]:
    run = await played(store, folder, scenarios, **how)
    (imported,) = read_otel(folder)
    assert not imported.problems
    return run, imported


@pytest.mark.slow
async def test_messages_grades_and_numbers_of_the_shipped_suites(store: Store, tmp_path: Path) -> None:
    scenarios = load([SHIPPED])
    own = tuple((loaded.id, variant) for loaded in scenarios for variant in loaded.variants)
    faults = ("user:vague@1", "tool:timeout@0.6", "tool:stale@1", "user:typos@0.5+tool:empty@1")
    catalogue = tuple(("point_of_sale/refund", variant) for variant in faults)
    run, imported = await round_trip(store, tmp_path / "traces", scenarios, trials=2, variants=(*own, *catalogue))
    assert [told(trial) for trial in imported.trials] == [told(trial) for trial in store.trials(run.id)]
    recorded = record(imported, store)
    again = store.run(recorded.run)
    assert recorded.new == run.planned
    assert numbers(store, again) == numbers(store, run)
    assert again.scenarios == run.scenarios
    assert (again.seed, again.deterministic, again.status) == (run.seed, run.deterministic, "finished")
    assert record(read_otel(tmp_path / "traces")[0], store).new == 0


async def test_a_trial_that_was_cut_short_and_steps_nobody_reached(store: Store, tmp_path: Path) -> None:
    class Breaks(ScriptedAgent):
        async def act(self, moment: Any) -> tuple[Message, ...]:
            if moment.turn == 1:
                raise RuntimeError("out of order")
            return await super().act(moment)

    run, imported = await round_trip(
        store, tmp_path, load([SHOP]), trials=1, agent=Breaks("scripted"), variants=(("shop/five", "golden"),)
    )
    (trial,) = imported.trials
    assert [told(trial)] == [told(trial) for trial in store.trials(run.id)]
    assert (trial.verdict, trial.stop, trial.fault) == (Verdict.FAILURE, Stop.AGENT_ERROR, Party.AGENT)
    assert trial.reason == "RuntimeError: out of order"
    not_reached = [grade for grade in trial.steps if grade.status is Status.NOT_REACHED]
    assert [(grade.step, grade.turn) for grade in not_reached] == [("offers_help", 2)]
    record(imported, store)
    assert numbers(store, imported.run) == numbers(store, run)


def limited() -> ScriptedAgent:
    """It hits a hard limit in the second turn of the second trial, once."""
    begun = count()

    class Limited(ScriptedAgent):
        async def act(self, moment: Any) -> tuple[Message, ...]:
            if moment.turn == 1 and moment.messages[-1].role == "user" and next(begun) == 1:
                raise BudgetExhausted("no more")
            return await super().act(moment)

    return Limited("scripted", 0.7)


async def stopped_and_resumed(store: Store, folder: Path) -> tuple[bytes, Run]:
    """The traces of a run that a hard limit stopped, and that run when it had been taken up again."""
    shop, agent = load([SHOP]), limited()
    variants = (("shop/five", "golden"),)
    run = await played(store, folder, shop, trials=3, agent=agent, variants=variants, concurrency=1)
    assert run.status == "stopped"
    traces = (folder / "traces.jsonl").read_bytes()
    session = resume_session(run, shop, agent, store)
    again = await play_session(
        session, agent, judge=None, budget=Budget(), trace_folder=folder, listener=lambda progress: None
    )
    assert (again.status, store.played([run.id])[run.id]) == ("finished", 3)
    return traces, again


async def test_a_trial_that_a_hard_limit_ended_is_the_one_that_was_played_again(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    stopped, run = await stopped_and_resumed(store, folder)
    resumed = (folder / "traces.jsonl").read_bytes()
    (folder / "traces.jsonl").write_bytes(stopped)
    (part,) = read_otel(folder)
    assert (part.problems, len(part.trials), part.run.status) == ((), 1, "interrupted")
    first = record(part, store)
    (folder / "traces.jsonl").write_bytes(resumed)
    (imported,) = read_otel(folder)
    assert not imported.problems
    assert [told(trial) for trial in imported.trials] == [told(trial) for trial in store.trials(run.id)]
    second = record(imported, store)
    assert (second.run, second.new, second.continued) == (first.run, 2, True)
    assert store.run(first.run).status == "finished"
    assert numbers(store, store.run(first.run)) == numbers(store, run)


async def test_a_hard_limit_between_two_turns(store: Store, tmp_path: Path) -> None:
    """As where a simulated user's call meets it: no turn is open, so that the trace lacks nothing."""
    _, run = await stopped_and_resumed(store, tmp_path)
    traces = tmp_path / "traces.jsonl"
    lines = [json.loads(line) for line in traces.read_text().splitlines()]
    cut = 0
    for scope in (it for line in lines for resource in line["resourceSpans"] for it in resource["scopeSpans"]):
        kept = [it for it in scope["spans"] if not (ended_by_a_limit(it) and it.get("parentSpanId"))]
        cut += len(scope["spans"]) - len(kept)
        scope["spans"] = kept
    assert cut == 1
    traces.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (imported,) = read_otel(tmp_path)
    assert not imported.problems
    assert [told(trial) for trial in imported.trials] == [told(trial) for trial in store.trials(run.id)]


def ended_by_a_limit(span: dict[str, Any]) -> bool:
    return {"key": "error.type", "value": {"stringValue": "agentkit.abandoned"}} in span["attributes"]


async def test_a_run_of_which_hard_limits_left_nothing(store: Store, tmp_path: Path) -> None:
    class Never(ScriptedAgent):
        async def act(self, moment: Any) -> tuple[Message, ...]:
            raise BudgetExhausted("no more")

    run = await played(store, tmp_path, load([SHOP]), trials=1, agent=Never("scripted"), concurrency=1)
    (imported,) = read_otel(tmp_path)
    assert imported.trials == ()
    (problem,) = imported.problems
    assert (problem.field, imported.run.status) == (f"run {run.id}", "interrupted")
    assert problem.message == "a hard limit ended all of its trials (1), and none was played again"


async def test_equal_calls_of_a_turn_with_equal_ids_keep_their_spans(store: Store, tmp_path: Path) -> None:
    """As traces have them that were written before ids were told apart."""

    class Twice(ScriptedAgent):
        async def act(self, moment: Any) -> tuple[Message, ...]:
            for name in ("look_up", "explode"):
                await moment.call_tool(ToolCall("c", name, {"order_id": "A-0000"}))
            return (*moment.made, Message("assistant", "Hello?"))

    run, _ = await round_trip(store, tmp_path, load([SHOP]), trials=1, agent=Twice("scripted"))
    traces = tmp_path / "traces.jsonl"
    traces.write_text(traces.read_text().replace("c#2", "c"))
    (imported,) = read_otel(tmp_path)
    spans = [[m.span_id for m in trial.messages if m.role == "tool"] for trial in store.trials(run.id)]
    assert [[m.span_id for m in trial.messages if m.role == "tool"] for trial in imported.trials] == spans
    assert len({span for own in spans for span in own}) == sum(map(len, spans))


async def test_without_log_records_no_step_is_graded(store: Store, tmp_path: Path) -> None:
    await played(store, tmp_path, load([SHOP]), trials=1)
    (tmp_path / "logs.jsonl").unlink()
    (imported,) = read_otel(tmp_path)
    assert {grade.status for trial in imported.trials for grade in trial.steps} == {Status.UNGRADED}
    assert {trial.outcome for trial in imported.trials} == {()}


async def test_grades_that_come_later_are_a_run_of_their_own(store: Store, tmp_path: Path) -> None:
    run = await played(store, tmp_path, load([SHOP]), trials=3)
    logs = tmp_path / "logs.jsonl"
    grades = logs.read_bytes()
    logs.unlink()
    (ungraded,) = read_otel(tmp_path)
    first = record(ungraded, store)
    logs.write_bytes(grades)
    (graded,) = read_otel(tmp_path)
    second = record(graded, store)
    assert (second.run, second.new, second.known) == (f"{first.run}-graded", run.planned, 0)
    assert not second.continued
    assert numbers(store, store.run(second.run)) == numbers(store, run)
    again = record(graded, store)
    assert (again.run, again.new, again.continued) == (second.run, 0, False)
    assert record(ungraded, store).new == 0
    assert store.played([first.run]) == {first.run: run.planned}
    assert len(store.runs()) == 3


async def test_grades_that_were_there_first(store: Store, tmp_path: Path) -> None:
    await played(store, tmp_path, load([SHOP]), trials=1)
    (graded,) = read_otel(tmp_path)
    first = record(graded, store)
    (tmp_path / "logs.jsonl").unlink()
    (ungraded,) = read_otel(tmp_path)
    second = record(ungraded, store)
    assert (second.run, second.new) == (first.run, 0) == (graded.run.id, 0)


async def test_a_whole_file_with_grades_does_not_continue_its_beginning_without_any(
    store: Store, tmp_path: Path
) -> None:
    run = await played(store, tmp_path, load([SHOP]), trials=6)
    traces, logs = tmp_path / "traces.jsonl", tmp_path / "logs.jsonl"
    whole, grades = traces.read_bytes(), logs.read_bytes()
    traces.write_bytes(whole[: len(whole) // 2])
    logs.unlink()
    first = record(read_otel(tmp_path)[0], store)
    assert first.new > 0
    traces.write_bytes(whole)
    logs.write_bytes(grades)
    (graded,) = read_otel(tmp_path)
    second = record(graded, store)
    assert (second.run, second.new, second.continued) == (graded.run.id, run.planned, False)
    assert numbers(store, store.run(second.run)) == numbers(store, run)
    assert record(graded, store).new == 0


async def test_a_file_that_was_cut_off_and_then_is_whole(store: Store, tmp_path: Path) -> None:
    run = await played(store, tmp_path, load([SHOP]), trials=6)
    traces = tmp_path / "traces.jsonl"
    whole = traces.read_bytes()
    traces.write_bytes(whole[: len(whole) // 2])
    (part,) = read_otel(tmp_path)
    assert 0 < len(part.trials) < run.planned
    assert "the file ends here: it was cut off" in part.problems[0].message
    assert {problem.message for problem in part.problems[1:]} <= {
        "its root span is missing, so the trial had not ended or the file was cut off"
    }
    first = record(part, store)
    assert store.run(first.run).status == "interrupted"
    traces.write_bytes(whole)
    (rest,) = read_otel(tmp_path)
    second = record(rest, store)
    assert second.continued
    assert (second.run, first.new + second.new) == (first.run, run.planned)
    assert numbers(store, store.run(first.run)) == numbers(store, run)


async def test_grades_that_were_cut_off_leave_their_trials_out(store: Store, tmp_path: Path) -> None:
    run = await played(store, tmp_path, load([SHOP]), trials=6, concurrency=1)
    logs = tmp_path / "logs.jsonl"
    lines = [json.loads(line)["resourceLogs"][0] for line in logs.read_text().splitlines()]
    records = [record for line in lines for record in line["scopeLogs"][0]["logRecords"]]
    halves = [records[: len(records) // 2], records[len(records) // 2 :]]
    lines = [json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": half}]}]}) for half in halves]
    logs.write_text(f"{lines[0]}\n{lines[1][:-200]}")
    (part,) = read_otel(tmp_path)
    assert 0 < len(part.trials) < run.planned
    assert any("are among the log records" in problem.message for problem in part.problems)
    known = {trial.key: trial for trial in store.trials(run.id)}
    assert all(_same_grades(trial, known[trial.key]) for trial in part.trials)


def _same_grades(one: Trial, other: Trial) -> bool:
    return [(it.step, it.status) for it in (*one.steps, *one.outcome)] == [
        (it.step, it.status) for it in (*other.steps, *other.outcome)
    ]


async def test_content_that_was_not_captured(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "NO_CONTENT")
    await played(store, tmp_path, load([SHOP]), trials=1, limits=Limits())
    (imported,) = read_otel(tmp_path)
    assert not imported.trials
    assert "its messages were not recorded" in imported.problems[0].message
