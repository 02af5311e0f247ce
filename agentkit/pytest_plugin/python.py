"""Scenarios in Python tests: play one and assert on its steps, or play a whole suite as parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from agentkit.pytest_plugin.player import Player
from agentkit.pytest_plugin.report import failure
from agentkit.pytest_plugin.result import Judgement, Result, above, strict
from agentkit.records import GOLDEN

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ScenarioCase:
    """One scenario in one variant, as a test's parameter."""

    path: Path
    scenario: str
    variant: str

    def __str__(self) -> str:
        return f"{self.scenario}/{self.variant}"


class Outcome(Result):
    """A result that can be asserted on."""

    def assert_passed(self, *steps: str) -> None:
        """Every valid trial passed these steps, or, where none is named, succeeded and passed all of them.

        Raises AssertionError with the conversation around the failing step; a trial that never came to a named step is
        no pass, and no valid trial is none either.
        """
        for step in steps:
            self.step(step)
        self._insist(strict(self, steps))

    def assert_at_least(self, floor: float) -> None:
        """The compounded accuracy is at least `floor`, and its interval leaves no doubt."""
        self._insist(above(self, floor))

    def _insist(self, judgement: Judgement) -> None:
        if not judgement.passed:
            raise AssertionError(failure(self, judgement))


@dataclass(frozen=True, slots=True)
class ScenarioPlayer:
    """The fixture `play_scenario`."""

    player: Player

    def __call__(
        self,
        scenario: str | Path | ScenarioCase,
        *,
        variant: str = GOLDEN,
        agent: str | None = None,
        trials: int | None = None,
        seed: int | None = None,
    ) -> Outcome:
        """Play a scenario: the path of its file, or a case of `scenario_suite`.

        `agent`, `trials` and `seed` are by default those of the command line. Raises UsageError and SuiteError.
        """
        if isinstance(scenario, ScenarioCase):
            path, id, variant = scenario.path, scenario.scenario, scenario.variant
        else:
            path, id = Path(scenario), None
        result = self.player.play(path, id, variant, agent=agent, trials=trials, seed=seed)
        return Outcome(result.run, result.loaded, result.variant, result.trials)


def scenario_suite(path: str | Path, *, detours: str = "own", argument: str = "scenario") -> Callable[[Test], Test]:
    """Parametrises a test over all scenarios and variants of a suite, each a `ScenarioCase` in `argument`.

        @scenario_suite("scenarios/point_of_sale")
        def test_the_till(scenario, play_scenario):
            play_scenario(scenario, trials=3).assert_passed()

    Raises SuiteError where a scenario is wrong, UsageError where `detours` names nothing.
    """
    from agentkit.play.variants import choose_variants
    from agentkit.scenario import load

    loaded = load([Path(path)])
    files = {it.id: it.file for it in loaded}
    chosen = choose_variants(loaded, [word.strip() for word in detours.split(",")])
    cases = [ScenarioCase(files[scenario], scenario, variant) for scenario, variant in chosen.cells]
    return pytest.mark.parametrize(argument, cases, ids=str)
