"""Flakiness between the runs of a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.measure.history import flakiness
from agentkit.measure.rows import cells
from agentkit.records import Run, RunId
from agentkit.store import Store
from tests.report.report_records import RUN, trials


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'runs.db'}") as opened:
        yield opened


def add(store: Store, day: int, *, every: int, **changes: Any) -> Run:
    """A run of a day of March, in which each so many-th conversation fails; each instance is played once."""
    run = replace(RUN, id=RunId(f"run-{day:02}"), created_at=f"2026-03-{day:02}T03:04:05.000+00:00", **changes)
    store.create_run(run)
    once = [it for it in trials(every) if it.key.repeat == 0]
    store.add_trials([replace(it, id=f"{day}-{it.id}", run=run.id) for it in once])  # type: ignore[arg-type]
    return run


def found(store: Store, run: Run) -> Any:
    return flakiness(store, run, cells(store.grades(run.id)))


def test_a_step_is_flaky_between_two_runs_of_the_same_agent(store: Store) -> None:
    one, two = add(store, 1, every=5), add(store, 2, every=1000)
    alone = found(store, one)
    assert (alone.steps, alone.repeated, [it.id for it in alone.runs]) == ((), False, [one.id])
    both = found(store, two)
    assert [it.id for it in both.runs] == [one.id, two.id]
    assert both.repeated
    assert {it.step.partition("#")[2] for it in both.steps} == {"refund"}
    assert [(it.run, it.failed > 0) for it in both.steps[0].history] == [(one.id, True), (two.id, False)]


@pytest.mark.parametrize(
    "changes",
    [
        {"agent_hash": "another"},
        {"scenarios": {"shop/refund": "cc" * 32, "shop/exchange": "dd" * 32}},
        {"settings": {"user_hashes": {"talker": "h2"}}},
    ],
)
def test_another_agent_scenario_or_user_makes_no_step_flaky(store: Store, changes: dict[str, Any]) -> None:
    add(store, 1, every=5, **changes)
    two = add(store, 2, every=1000)
    assert (found(store, two).steps, found(store, two).repeated) == ((), False)


def test_runs_of_another_agent_are_in_the_history_of_a_flaky_step(store: Store) -> None:
    add(store, 2, every=1, agent_hash="another")
    add(store, 1, every=5)  # as where it was imported later
    three = add(store, 3, every=1000)
    step = found(store, three).steps[0]
    assert [it.run for it in step.history] == ["run-01", "run-02", "run-03"]
    assert step.history[0].conditions == step.history[2].conditions != step.history[1].conditions
    assert (step.flaky, step.repeated) == (1, 2)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"settings": {"fork": "golden"}}, {}),
        ({}, {"settings": {"fork": "golden"}}),
        ({"settings": {"regraded_from": "run-00"}}, {}),
        ({}, {"settings": {"regraded_from": "run-01"}}),
    ],
)
def test_forks_and_gradings_of_the_same_conversations_are_no_history(
    store: Store, earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    add(store, 1, every=5, **earlier)
    two = add(store, 2, every=1000, **later)
    assert [it.id for it in found(store, two).runs] == [two.id]
    assert found(store, two).steps == ()


def test_a_later_run_is_no_history_of_an_earlier_one(store: Store) -> None:
    one = add(store, 1, every=5)
    add(store, 2, every=1000)
    assert found(store, one).steps == ()
