"""The shipped suites are as large, as varied and as unpredictable as they claim."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from agentkit.scenario import FromPattern, Loaded, Step
from tests.scenarios.shipped import SEEDS, SUITES, arguments, scenario, scenarios

EVERY = pytest.mark.parametrize("loaded", scenarios(), ids=lambda loaded: loaded.id)


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_has_scenarios_enough(suite: str) -> None:
    own = [loaded for loaded in scenarios() if loaded.id.startswith(f"{suite}/")]
    assert len(own) >= 4
    assert own[0].suite.policy.strip()
    assert own[0].scenario.agent == "demo"


@EVERY
def test_a_scenario_has_steps_and_detours_enough(loaded: Loaded) -> None:
    golden = loaded.scenario.turns
    kinds = Counter(_kind(step) for turn in golden for step in turn.steps)
    assert 3 <= len(golden) <= 5
    assert kinds.total() >= 5
    assert kinds["call"] >= 2
    assert kinds["reply"] >= 2
    assert len(loaded.scenario.detours) >= 2
    assert all(step.skill for turn in golden for step in turn.steps)


@EVERY
def test_every_turn_has_several_wordings_that_differ(loaded: Loaded) -> None:
    turns = [*loaded.scenario.turns, *(turn for detour in loaded.scenario.detours for turn in detour.turns)]
    for turn in turns:
        assert isinstance(turn.user, list), turn.id
        assert len(set(turn.user)) >= 2, turn.id


@EVERY
def test_no_two_seeds_share_their_identifiers(loaded: Loaded) -> None:
    names = [name for name, made in loaded.scenario.variables.items() if isinstance(made, FromPattern)]
    drawn = [loaded.draw("golden", seed).variables for seed in SEEDS]
    assert names
    assert len({tuple(values[name] for name in names) for values in drawn}) == len(SEEDS)
    assert loaded.draw("golden", 5).variables == drawn[5]


@EVERY
def test_what_the_agent_must_call_changes_with_the_seed(loaded: Loaded) -> None:
    expected = [
        [arguments(step.call) for turn in loaded.draw("golden", seed).turns for step in turn.steps if step.call]
        for seed in SEEDS
    ]
    assert all(one != other for one, other in combinations(expected, 2))


@pytest.mark.parametrize("suite", SUITES)
def test_no_two_scenarios_share_more_than_half_their_steps(suite: str) -> None:
    own = [loaded for loaded in scenarios() if loaded.id.startswith(f"{suite}/")]
    shapes = {loaded.id: _shapes(loaded) for loaded in own}
    for one, other in combinations(shapes, 2):
        shared = (shapes[one] & shapes[other]).total()
        smaller = min(shapes[one].total(), shapes[other].total())
        assert shared <= smaller / 2, f"{one} and {other} share {shared} of {smaller} steps"


def _shapes(loaded: Loaded) -> Counter[tuple[Any, ...]]:
    return Counter(_shape(step) for turn in loaded.scenario.turns for step in turn.steps)


def _shape(step: Step) -> tuple[Any, ...]:
    """What a step trains: its skill, and the tool with its arguments or the conditions it sets."""
    if step.call is not None:
        return step.skill, step.call.name, tuple(sorted(step.call.arguments))
    if step.reply is not None:
        return step.skill, "reply", tuple(sorted(step.reply.model_fields_set))
    return step.skill, _kind(step)


def _kind(step: Step) -> str:
    return next(kind for kind in ("call", "reply", "state", "no_call") if getattr(step, kind) is not None)


def test_early_calls_at_the_till_can_be_copied_from_what_the_customer_says() -> None:
    """So that even a small model has something to get right."""
    for name in ("refund", "exchange", "receipt_mistake", "redeem_points"):
        loaded = scenario(f"point_of_sale/{name}")
        for seed in SEEDS:
            turn = loaded.draw("golden", seed).turns[0]
            call = next(step.call for step in turn.steps if step.call is not None)
            values = arguments(call).values()
            assert len(values) >= 2
            assert all(str(value) in turn.user for value in values)
            assert all(turn.user.count(str(value)) == 1 for value in values)
