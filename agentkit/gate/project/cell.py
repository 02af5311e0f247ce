"""One scenario and variant alone, judged as the project's gate judges it."""

from __future__ import annotations

from dataclasses import replace

from agentkit.config import Config
from agentkit.gate.pairs import match
from agentkit.gate.project.calibration import project_calibration
from agentkit.gate.project.judges import advice, judge_sides, names
from agentkit.gate.project.settings import gate_settings, quarantines
from agentkit.gate.project.sides import Side
from agentkit.gate.recorded import Recorded
from agentkit.gate.safety import own_steps
from agentkit.gate.settings import GateSettings, Selectable
from agentkit.gate.verdict import GateVerdict
from agentkit.records import GOLDEN


def judge_cell(config: Config, base: Recorded, candidate: Side, scenario: str, variant: str) -> GateVerdict:
    """The project's gate on the only scenario and variant that the candidate played; the baseline may hold others.

    What is configured of other scenarios does not count here: their quarantines, users, and the steps that they alone
    have. One scenario samples no population, so the target is this fixed scenario.

    Raises:
        UsageError: a setting makes no sense, a selector of `steps` names no step of the whole baseline, a quarantine of
            this cell has expired or names no step, or the judge's labels cannot be read.
    """
    alone = _alone(base, candidate.recorded, scenario, variant)
    settings = _settings(gate_settings(config), base, alone, candidate.recorded, variant)
    aside = quarantines(config, (alone, candidate.recorded), cell=f"{scenario}/{variant}")
    found = advice(Side(alone), candidate, project_calibration(config))
    return judge_sides(alone, candidate.recorded, settings, found, aside)


def _alone(base: Recorded, candidate: Recorded, scenario: str, variant: str) -> Recorded:
    users = base.users
    if users is not None and candidate.users is not None:  # others may have spoken in the baseline's other scenarios
        users = {name: digest for name, digest in users.items() if name in candidate.users}
    return replace(
        base,
        cells=tuple(cell for cell in base.cells if (cell.scenario, cell.variant) == (scenario, variant)),
        scenarios={id: digest for id, digest in base.scenarios.items() if id == scenario},
        users=users,
    )


def _settings(
    settings: GateSettings, base: Recorded, alone: Recorded, candidate: Recorded, variant: str
) -> GateSettings:
    """Without selectors that name steps of the baseline, but none of here; and without safety limits of what is not
    here. The baseline need not hold what they name, so that a mistake is told where a whole run is gated."""
    every = match(base, base)
    here: tuple[Selectable, ...] = (*match(alone, alone), *own_steps(alone, candidate))
    return replace(
        settings,
        target="fixed_suite",
        off_path=settings.off_path and variant != GOLDEN,
        steps=tuple(it for it in settings.steps if names(here, it) or not names(every, it)),
        safety={it: limit for it, limit in settings.safety.items() if names(here, it)},
    )
