"""What a gate is told: on the command line, else in `[tool.agentkit.gate]`, else nothing: then its own values hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from agentkit.config import FILE, Config
from agentkit.errors import UsageError
from agentkit.gate.quarantine import Quarantine, in_force, read_quarantines
from agentkit.gate.recorded import Recorded
from agentkit.gate.settings import GateSettings

_NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("alpha", "min_effect", "margin", "max_invalid")),
    **dict.fromkeys(("off_path", "cost", "latency", "non_inferiority", "population", "each"), False),
    **dict.fromkeys(("steps", "pass_k", "safety", "accept", "accept_users"), ()),
}
"""A gate's options where none is told, so that what the project configures holds."""


def gate_settings(config: Config, told: Mapping[str, Any] = _NOTHING) -> GateSettings:
    """The settings that the configuration and the command line make; what is said on the command line comes first, and
    steps, safety limits, and the scenarios and users that are accepted, of both are taken together.

    Raises:
        UsageError: a number makes no sense, or a `--safety` cannot be read.
    """
    gate = config.gate
    values = gate.model_dump(exclude_none=True, exclude={"baseline", "calibration", "latency", "steps"})
    if gate.latency is not None:
        values["seconds"] = gate.latency
    values |= {name: told[name] for name in ("alpha", "min_effect", "margin", "max_invalid") if told[name] is not None}
    values |= {name: True for name in ("off_path", "cost") if told[name]}
    values |= {"seconds": True} if told["latency"] else {}
    values |= {"mode": "non_inferiority"} if told["non_inferiority"] else {}
    values |= {"target": "population"} if told["population"] else {}
    values["steps"] = tuple(dict.fromkeys((*gate.steps, *_each(told["steps"], told["each"]))))
    values["pass_k"] = tuple(dict.fromkeys((*gate.pass_k, *told["pass_k"])))
    values["safety"] = gate.safety | dict(_limit(text) for text in told["safety"])
    values |= {name: (*values[name], *told[name]) for name in ("accept", "accept_users")}
    return GateSettings(**values)


def quarantines(config: Config, sides: Sequence[Recorded], *, cell: str | None = None) -> tuple[Quarantine, ...]:
    """The quarantined steps of `[[tool.agentkit.quarantine]]`, all of which must hold today and exist.

    `cell` (`scenario/variant`) leaves out those of others.

    Raises:
        UsageError: one cannot be read, has expired, or names no step of either side.
    """
    found = read_quarantines(list(config.quarantine), where=f"{FILE}: tool.agentkit.quarantine")
    found = tuple(it for it in found if cell is None or it.step.rpartition("#")[0] == cell)
    known = {f"{cell.id}#{step}" for side in sides for cell in side.cells for step in cell.steps}
    return in_force(found, known, today=date.today())


def _each(steps: Sequence[str], each: bool) -> list[str]:
    return [f"each:{it}" if each and not it.startswith("each:") else it for it in steps]


def _limit(text: str) -> tuple[str, float]:
    step, _, limit = text.rpartition("=")
    try:
        if step:
            return step, float(limit)
    except ValueError:
        pass
    raise UsageError(f"--safety: found {text!r}, expected STEP=LIMIT such as no_haste=0.05")
