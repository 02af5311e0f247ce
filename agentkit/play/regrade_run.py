"""A recorded run, graded again: a new run beside it, and what differs between the two."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agentkit.errors import UsageError, near_match
from agentkit.grade import Judge
from agentkit.play.regrade import Grader
from agentkit.play.session import versions
from agentkit.play.user import SCRIPTED
from agentkit.records import GOLDEN, Run, RunId, Trial, TrialId, TrialKey
from agentkit.redact import redact_mapping
from agentkit.scenario import Loaded
from agentkit.scenario.detours import parse_variant
from agentkit.store import Store

_BATCH = 64
"""Trials that are recorded at once."""


@dataclass(frozen=True, slots=True)
class Change:
    """A step, an outcome check or the verdict of trials of one scenario and variant, that came out otherwise."""

    scenario: str
    variant: str
    kind: str
    """`step`, `outcome` or `verdict`."""
    name: str
    """Id of the step or check; '' for the verdict."""
    before: str | None
    """A status or a verdict; None where the step was not there."""
    after: str | None
    trials: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What grading a run again changed."""

    run: Run
    """The new run."""
    of: Run
    """The one that was graded again."""
    changes: tuple[Change, ...]
    """In the order in which the scenarios and their steps were met."""
    trials: int
    touched: int
    """Trials in which anything changed."""
    changed_scenarios: tuple[str, ...]
    """Ids of those whose content is not what it was when the run was played."""
    reworded: Mapping[str, int]
    """`scenario/variant#turn` → trials in which the user said other words there than the scenario has now."""


def target(scenarios: Mapping[str, Loaded], name: str) -> tuple[str, str]:
    """(scenario, variant) that a conversation from elsewhere is to be graded as: `shop/cancel`, or `shop/cancel/angry`.

    Raises:
        UsageError: there is none of this name.
    """
    if name in scenarios:
        return name, GOLDEN
    scenario, _, variant = name.rpartition("/")
    if scenario in scenarios and _is_variant(scenarios[scenario], variant):
        return scenario, variant
    known = [*scenarios, *(f"{id}/{variant}" for id, loaded in scenarios.items() for variant in loaded.variants)]
    raise UsageError(f"--scenario: no file, folder or scenario {name!r}{near_match(name, known)}")


def _is_variant(loaded: Loaded, variant: str) -> bool:
    if variant in loaded.variants:
        return True
    try:
        return parse_variant(variant)[0] in loaded.variants
    except UsageError:
        return False


async def regrade_run(
    run: Run, scenarios: Sequence[Loaded], store: Store, *, as_scenario: str | None = None, judge: Judge | None = None
) -> Difference:
    """Grade all trials of a run again and record them as a new run; what was recorded stays as it is.

    `as_scenario` (see `target`): what trials are graded as whose scenario was never one of ours.

    Raises:
        UsageError: a scenario or variant of the run is not among `scenarios`, or the run is one of forks. Nothing is
            recorded then.
    """
    if run.settings.get("fork"):
        raise UsageError(f"run {run.id} is one of forks, which are not graded again: sample them again")
    by_id = {loaded.id: loaded for loaded in scenarios}
    cells = dict.fromkeys(_cells(run, store))
    if not cells:
        raise UsageError(f"run {run.id} has no trials to grade")
    aim = None if as_scenario is None else target(by_id, as_scenario)
    goals = {cell: _goal(cell, run, by_id, aim) for cell in cells}
    used = {scenario for scenario, _ in goals.values()}
    new = _new_run(run, store, {id: by_id[id].hash for id in sorted(used)}, as_scenario, judge)
    store.create_run(replace(new, status="running"))
    status, tally = "interrupted", _Tally()
    grader = Grader(judge)
    try:
        batch: list[Trial] = []
        for trial, key in _keyed(store.trials(run.id), goals):
            found = await grader.regrade(trial, by_id[key.scenario], key)
            after = replace(found.trial, run=new.id, id=_trial_id(new.id, trial.id))
            tally.add(trial, after, found.reworded if trial.steps and _is_scripted(run, by_id[key.scenario]) else ())
            batch.append(after)
            if len(batch) == _BATCH:
                store.add_trials(batch)
                batch = []
        store.add_trials(batch)
        status = run.status
    finally:
        await grader.close()
        store.update_run(new.id, status=status, spent={})
    return Difference(
        run=store.run(new.id),
        of=run,
        changes=tally.changes(),
        trials=tally.trials,
        touched=tally.touched,
        changed_scenarios=tuple(
            id for id in sorted(used) if id in run.scenarios and run.scenarios[id] != by_id[id].hash
        ),
        reworded=dict(tally.reworded),
    )


def _cells(run: Run, store: Store) -> Iterator[tuple[str, str]]:
    """(scenario, variant) of each trial. Raises UsageError for forks."""
    for row in store.grades(run.id):
        if row.fork is not None:
            raise UsageError(
                f"run {run.id} holds forks, whose beginnings the golden agent played on the scenarios as they were: "
                "fork again instead"
            )
        yield row.scenario, row.variant


def _goal(
    cell: tuple[str, str], run: Run, scenarios: Mapping[str, Loaded], aim: tuple[str, str] | None
) -> tuple[str, str]:
    """(scenario, variant) that the trials of a cell are graded as. Raises UsageError where there is none."""
    scenario, variant = cell
    if scenario in scenarios:
        loaded = scenarios[scenario]
        if not _is_variant(loaded, variant):
            raise UsageError(f"{scenario}: the variant {variant!r} is gone{near_match(variant, loaded.variants)}")
        return cell
    if scenario in run.scenarios:
        raise UsageError(
            f"the scenario {scenario!r} of run {run.id} is not among those that were loaded"
            f"{near_match(scenario, scenarios)}; name its file or folder with --scenario PATH"
        )
    if aim is None:
        raise UsageError(
            f"the conversations of {scenario!r} come from elsewhere: name the scenario that they are to be graded as, "
            f"with --scenario ID{near_match(scenario, scenarios)}"
        )
    return aim


def _is_scripted(run: Run, loaded: Loaded) -> bool:
    """Whether the user of a run says the turns' own words."""
    told = run.settings.get("user") or loaded.scenario.user or SCRIPTED
    return bool(told == SCRIPTED)


def _keyed(
    trials: Iterator[Trial], goals: Mapping[tuple[str, str], tuple[str, str]]
) -> Iterator[tuple[Trial, TrialKey]]:
    """Each trial with the key under which it is graded: no two have the same."""
    taken: set[TrialKey] = set()
    for trial in trials:
        scenario, variant = goals[trial.key.scenario, trial.key.variant]
        key = replace(trial.key, scenario=scenario, variant=variant)
        while key in taken:
            key = replace(key, repeat=key.repeat + 1)
        taken.add(key)
        yield trial, key


def _new_run(run: Run, store: Store, hashes: Mapping[str, str], as_scenario: str | None, judge: Judge | None) -> Run:
    """The run beside the recorded one, under the first free id that is derived from its."""
    origin = re.sub(r"^(regraded-\d+-)+", "", run.id)
    known = {known.id for known in store.runs(limit=2**31)}
    number = next(n for n in range(1, len(known) + 2) if f"regraded-{n}-{origin}" not in known)
    return replace(
        run,
        id=RunId(f"regraded-{number}-{origin}"),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        settings={
            **run.settings,
            **({} if judge is None else {"judge": _judging(run, judge)}),
            "regraded_from": run.id,
            **({} if as_scenario is None else {"regraded_as": as_scenario}),
        },
        versions=versions(),
        scenarios=hashes,
        spent={},
    )


def _judging(run: Run, judge: Judge) -> dict[str, object]:
    """Who judges now, and how, in the place of the run's own judge."""
    told = run.settings.get("judge")
    same = dict(told) if isinstance(told, Mapping) and told.get("model") == judge.model.name else {}
    return same | redact_mapping({"model": judge.model.name} | judge.sampling.model_dump(mode="json"))


def _trial_id(run: RunId, trial: TrialId) -> TrialId:
    return TrialId(hashlib.sha256(f"{run}\0{trial}".encode()).hexdigest()[:12])


class _Tally:
    """What changed so far."""

    def __init__(self) -> None:
        self.trials = 0
        self.touched = 0
        self.reworded: Counter[str] = Counter()
        self._counts: dict[tuple[str, str], Counter[tuple[str, str, str | None, str | None]]] = defaultdict(Counter)

    def add(self, before: Trial, after: Trial, reworded: Sequence[str]) -> None:
        self.trials += 1
        key = after.key
        found = list(_changes(before, after))
        self.touched += bool(found)
        self._counts[key.scenario, key.variant].update(found)
        for turn in reworded:
            self.reworded[f"{key.scenario}/{key.variant}#{turn}"] += 1

    def changes(self) -> tuple[Change, ...]:
        return tuple(
            Change(scenario, variant, *change, trials)
            for (scenario, variant), counts in self._counts.items()
            for change, trials in counts.items()
        )


def _changes(before: Trial, after: Trial) -> Iterator[tuple[str, str, str | None, str | None]]:
    """(kind, name, before, after) of each step, check and verdict that differs."""
    for kind, old, new in (("step", before.steps, after.steps), ("outcome", before.outcome, after.outcome)):
        was = {grade.step: grade.status.value for grade in old}
        now = {grade.step: grade.status.value for grade in new}
        for name in {**now, **was}:
            if was.get(name) != now.get(name):
                yield kind, name, was.get(name), now.get(name)
    if before.verdict is not after.verdict:
        yield "verdict", "", before.verdict.value, after.verdict.value
