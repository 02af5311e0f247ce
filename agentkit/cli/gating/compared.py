"""From two names and the options to a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agentkit.cli.gating.sides import read_sides
from agentkit.config import Config
from agentkit.gate import GateVerdict
from agentkit.gate.project.calibration import project_calibration
from agentkit.gate.project.judges import advice, judge_sides
from agentkit.gate.project.settings import gate_settings, quarantines


def compared(
    config: Config, base: str, candidate: str, told: dict[str, Any], store: str | None, *, unfinished: bool = False
) -> GateVerdict:
    """The verdict on two runs or baseline files."""
    settings = gate_settings(config, told)
    calibrated = project_calibration(config, told["calibration"])
    sides = read_sides([base, candidate], store, unfinished=unfinished)
    aside = quarantines(config, [side.recorded for side in sides])
    first, second = sides
    found = advice(first, second, calibrated)
    verdict = judge_sides(first.recorded, second.recorded, settings, found, aside)
    cut = [
        f"run {side.run.id} is not finished ({side.run.status}): what is missing may differ from what is there"
        for side in sides
        if side.run is not None and side.run.status != "finished"
    ]
    return replace(verdict, notes=(*verdict.notes, *cut))
