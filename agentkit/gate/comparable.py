"""Whether two records can be compared at all, and what a reader must know beside the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentkit.gate.pairs import Matched
from agentkit.gate.quarantine import Quarantine
from agentkit.gate.recorded import Recorded
from agentkit.gate.settings import GateSettings
from agentkit.gate.shared import shared
from agentkit.gate.wording import percent

_NAMED = 5
"""So many names in a sentence, then a count."""


def problems_of(base: Recorded, candidate: Recorded, settings: GateSettings) -> tuple[str, ...]:
    """Why nothing can be judged, one sentence each; empty where it can."""
    return (
        *_same_run(base, candidate),
        *_missing(base, candidate),
        *_changed(base, candidate, settings),
        *users_refused(base, candidate.users, settings),
        *_steps_gone(base, candidate, settings),
        *_invalid(base, candidate, settings),
    )


def notes_on(
    base: Recorded,
    candidate: Recorded,
    cells: Sequence[Matched],
    settings: GateSettings,
    quarantined: Sequence[Quarantine],
) -> tuple[str, ...]:
    """What is beside the verdict and must not be silent."""
    ours, theirs = {cell.id for cell in base.cells}, {cell.id for cell in candidate.cells}
    notes = [it.note for it in quarantined]
    safe = "; safety counts all that the candidate played" if settings.safety else ""
    if new := sorted(theirs - ours):
        notes.append(f"new, so not compared: {_names(new)}{safe}")
    if gone := sorted(step for steps in _gone(base, candidate).values() for step in steps):
        notes.append(f"steps of the baseline that are gone: {_names(gone)}")
    accepted = [name for name in _different(base, candidate) if _accepts(settings, name)]
    if accepted:
        notes.append(f"changed since the baseline, accepted: {_names(accepted)}")
    notes += _users_notes(base, candidate, settings)
    if other := _other_versions(base, candidate):
        notes.append(f"played with other versions: {', '.join(other[:_NAMED])}{_more(other)}")
    if left := sum(cell.left_out for cell in cells):
        trials, were = ("1 trial has", "was") if left == 1 else (f"{left} trials have", "were")
        notes.append(f"{trials} no counterpart on the other side and {were} left out{safe}")
    unpaired = [cell.id for cell in cells if not cell.paired]
    if unpaired and len(unpaired) < len(cells):
        notes.append(f"not played with the baseline's seeds, so compared without pairs: {_names(unpaired)}")
    elif unpaired:
        notes.append("the candidate did not play the baseline's seeds: compared without pairs, which takes more trials")
    if groups := shared(cells):
        scenarios = sorted({cells[group.cells[0]].scenario for group, _ in groups})
        notes.append(
            "without pairs, all that the variants of a scenario played of one instance is one unit: "
            f"{_names(scenarios)}; more instances tell more, or the baseline's seeds"
        )
    return tuple(notes)


def _same_run(base: Recorded, candidate: Recorded) -> list[str]:
    """Whatever a run holds, it is no worse than itself."""
    if base.run != candidate.run:
        return []
    return [f"both sides are run {base.run}; expected two different runs"]


def _missing(base: Recorded, candidate: Recorded) -> list[str]:
    if not base.cells:
        return ["the baseline holds no trials"]
    theirs = {cell.id: cell.valid for cell in candidate.cells}
    found = []
    if missing := [cell.id for cell in base.cells if cell.id not in theirs]:
        found.append(f"the candidate did not play {_names(missing)}")
    for side, cells in (("the baseline", base.cells), ("the candidate", candidate.cells)):
        known = {cell.id for cell in base.cells}
        if empty := [cell.id for cell in cells if cell.valid == 0 and cell.id in known]:
            found.append(f"{side} has no valid trial of {_names(empty)}")
    return found


def _changed(base: Recorded, candidate: Recorded, settings: GateSettings) -> list[str]:
    changed = [name for name in _different(base, candidate) if not _accepts(settings, name)]
    if not changed:
        return []
    return [
        f"changed since the baseline was written: {_names(changed)}; accept the change, or write the baseline again"
    ]


def _different(base: Recorded, candidate: Recorded) -> list[str]:
    theirs = candidate.scenarios
    return [name for name, digest in sorted(base.scenarios.items()) if name in theirs and theirs[name] != digest]


def _accepts(settings: GateSettings, scenario: str) -> bool:
    return "*" in settings.accept or scenario in settings.accept


def _other_versions(base: Recorded, candidate: Recorded) -> list[str]:
    """What was installed, or how models were computed, on one side otherwise than on the other."""
    ours, theirs = base.versions, candidate.versions
    if not ours or not theirs:
        return []
    return [
        f"{name} {ours.get(name, 'none')} → {theirs.get(name, 'none')}"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]


def users_refused(base: Recorded, users: Mapping[str, str] | None, settings: GateSettings) -> list[str]:
    """Why the candidate's simulated users make it incomparable: other words may well get other answers. Empty where
    they are the baseline's, are accepted, or are not known of either side."""
    found = _other_users(base.users, users)
    if refused := [name for name in found if not _accepts_user(settings, name)]:
        said = ", ".join(found[name] for name in refused[:_NAMED]) + _more(refused)
        return [
            f"the simulated users are not those of the baseline: {said}; accept them (--accept-user), play with the "
            "baseline's users, or write the baseline again"
        ]
    return []


def _users_notes(base: Recorded, candidate: Recorded, settings: GateSettings) -> list[str]:
    found = _other_users(base.users, candidate.users)
    accepted = [said for name, said in found.items() if _accepts_user(settings, name)]
    notes = [f"simulated users that differ, accepted: {', '.join(accepted[:_NAMED])}{_more(accepted)}"] * bool(accepted)
    if (base.users is None) != (candidate.users is None):
        side = "the baseline" if base.users is None else "the candidate"
        notes.append(f"{side} does not say who played its users, so whether both sides had the same is not known")
    return notes


def _other_users(base: Mapping[str, str] | None, candidate: Mapping[str, str] | None) -> dict[str, str]:
    """Simulated user to how it differs; empty where one side does not say who spoke."""
    if base is None or candidate is None:
        return {}
    found = {}
    for name in sorted({*base, *candidate}):
        if name not in candidate:
            found[name] = f"{name} spoke in the baseline alone"
        elif name not in base:
            found[name] = f"{name} speaks in the candidate alone"
        elif base[name] != candidate[name]:
            found[name] = f"{name} has changed"
    return found


def _accepts_user(settings: GateSettings, name: str) -> bool:
    return "*" in settings.accept_users or name in settings.accept_users


def _steps_gone(base: Recorded, candidate: Recorded, settings: GateSettings) -> list[str]:
    gone = [
        step
        for scenario, steps in _gone(base, candidate).items()
        if not (_accepts(settings, scenario) and scenario in _different(base, candidate))
        for step in steps
    ]
    return [f"the candidate has no trial in which these steps were due: {_names(sorted(gone))}"] if gone else []


def _gone(base: Recorded, candidate: Recorded) -> dict[str, list[str]]:
    """Scenario to the baseline's steps that the candidate's record of it lacks."""
    theirs = {cell.id: set(cell.steps) for cell in candidate.cells if cell.valid}
    found: dict[str, list[str]] = {}
    for cell in base.cells:
        for step in cell.steps:
            if cell.id in theirs and step not in theirs[cell.id]:
                found.setdefault(cell.scenario, []).append(f"{cell.id}#{step}")
    return found


def _invalid(base: Recorded, candidate: Recorded, settings: GateSettings) -> list[str]:
    return [
        f"{it.invalid} of {it.trials} trials of {side} are invalid ({percent(it.invalid / it.trials)}), "
        f"more than the {percent(settings.max_invalid)} allowed"
        for side, it in (("the baseline", base), ("the candidate", candidate))
        if it.trials and it.invalid / it.trials > settings.max_invalid
    ]


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + _more(names)


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
