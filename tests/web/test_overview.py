"""What is measured, when, and which runs make a history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agentkit.measure import summarize
from agentkit.measure.rows import cells
from agentkit.records import Verdict
from agentkit.store import Store
from agentkit.web import overview
from agentkit.web.history import History, Point, chart, histories
from agentkit.web.overview import Overview
from tests.report.report_records import RUN, trials
from tests.web.conftest import AddRun, add_trials


class Clock:
    """Goes on by `step` each time it is read."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_the_numbers_are_those_of_the_run(store: Store, add_run: AddRun) -> None:
    run = add_run("a")
    add_run("b", played=0, status="running")
    newest, line = Overview(store).lines()
    assert (newest.run.id, newest.played, newest.figures, newest.pending) == ("b", 0, None, False)
    expected = summarize(cells(store.grades(run.id)), deterministic=run.deterministic, seed=run.seed)
    assert line.figures is not None
    assert line.figures.compounded == expected.all.compounded
    assert (line.played, line.figures.played, line.figures.invalid) == (24, 24, 1)


def test_conversations_that_nobody_graded_are_counted_as_invalid(store: Store) -> None:
    store.create_run(RUN)
    store.add_trials([replace(it, verdict=Verdict.INVALID, steps=()) for it in trials()])
    (line,) = Overview(store).lines()
    assert line.figures is not None
    assert line.figures.invalid == 24


def test_a_run_is_measured_once_for_each_state(store: Store, add_run: AddRun, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    real = overview.summarize
    monkeypatch.setattr(overview, "summarize", lambda *a, **k: (measured.append(1), real(*a, **k))[1])
    add_run("a")
    add_run("b", played=12, status="running")
    found = Overview(store, Clock())
    assert len(found.lines()) == len(found.lines()) == len(measured) == 2
    add_trials(store, "b", 12, 24)
    assert found.lines()[0].figures.played == 24  # type: ignore[union-attr]
    assert len(measured) == 3


def test_a_run_in_progress_rests_between_measurings_and_ends_with_the_last_word(store: Store, add_run: AddRun) -> None:
    run = add_run("a", played=12, status="running")
    clock = Clock(0.1)
    found = Overview(store, clock)
    assert found.lines()[0].pending is False
    add_trials(store, "a", 12, 18)
    (line,) = found.lines()
    assert line.pending
    assert (line.played, line.figures.played) == (18, 12)  # type: ignore[union-attr]
    clock.now += 10
    assert found.lines()[0].figures.played == 18  # type: ignore[union-attr]
    add_trials(store, "a", 18, 24)
    store.update_run(run.id, status="finished", spent={})
    assert found.lines()[0].figures.played == 24  # type: ignore[union-attr]


def test_one_request_measures_only_as_long_as_it_may(store: Store, add_run: AddRun) -> None:
    for name in "abc":
        add_run(name)
    found = Overview(store, Clock(0.4))
    assert [line.pending for line in found.lines()] == [False, True, True]
    assert [line.pending for line in found.lines()] == [False, False, True]


def test_finished_runs_of_the_same_scenarios_make_a_history(store: Store, add_run: AddRun) -> None:
    add_run("late", created_at="2026-03-01T00:00:00+00:00", every=3)
    add_run("early", created_at="2026-02-01T00:00:00+00:00")
    add_run("other", scenarios={"shop/refund": "cc" * 32})
    add_run("playing", status="running", played=18)
    add_run("timeless", created_at="yesterday")
    (found,) = histories(Overview(store, Clock()).lines())
    assert [point.run for point in found.points] == ["early", "late"]
    assert found.scenarios == ("shop/exchange", "shop/refund")
    assert found.points[0].estimate > found.points[1].estimate


def test_the_chart_shows_every_agent_and_escapes_its_name(store: Store, add_run: AddRun) -> None:
    add_run("a", agent="<script>alert(1)</script>")
    add_run("b", agent="quiet", created_at="2026-03-01T00:00:00+00:00")
    (found,) = histories(Overview(store, Clock()).lines())
    drawn = chart(found)
    assert drawn.count("<svg") == 2
    assert "quiet" in drawn
    assert "<script" not in drawn
    assert chart(replace(found)) == drawn


def test_control_characters_in_a_name_are_spelled_out_before_anything_is_drawn() -> None:
    """The library that draws aborts the process over them."""
    points = [Point("a", "\x1b[31m\u202e", datetime(2026, 1, day, tzinfo=UTC), 0.5, None, None) for day in (1, 2)]
    assert "U+001B" in chart(History(("shop",), tuple(points)))
