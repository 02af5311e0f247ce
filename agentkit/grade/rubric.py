"""A rubric: the rewards of a file of the user's `rewards/` folder, added up by their points."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson

from agentkit.config import rewards_folder
from agentkit.errors import RewardError
from agentkit.grade.reward import Part, RewardStep, Unjudged, mark_of
from agentkit.grade.reward_modules import load_sources
from agentkit.grade.sequel import ASKS
from agentkit.scenario.rewards import (
    Reference,
    RewardsProblem,
    Sources,
    no_part,
    read_references,
    read_sources,
    shown,
)

NOT_APPLICABLE = "it does not apply to this completion"


@dataclass(frozen=True, slots=True)
class Scored:
    """What a rubric says of one completion."""

    parts: Mapping[str, float]
    """Part → its value, from 0 to 1, in the rubric's order; without those that were left out."""
    left_out: Mapping[str, str]
    """Part → why it says nothing: it does not apply, or its judge could not say. In no denominator."""
    unjudged: tuple[str, ...]
    """Which of those left out were left out for want of a verdict: worth a look where there are many."""
    points: float
    """Points earned."""
    possible: float
    """Points that the parts which apply are worth together."""

    @property
    def total(self) -> float | None:
        """The share of the possible points, from 0 to 1; None where no part applies, which is neither good nor bad."""
        return self.points / self.possible if self.possible else None


@dataclass(frozen=True, slots=True)
class Rubric:
    """Rewards and their points."""

    name: str
    """As it was asked for: `tool_call`, `tool_call:right_tool`, `tool_call+cost`."""
    parts: tuple[Part, ...]
    hash: str
    """SHA-256 of which parts these are, and of the files that they are made of, imported neighbours included."""

    @property
    def plays_on(self) -> bool:
        """Whether a part asks what follows a completion (`agentkit.grade.counterfactual`)."""
        return any(hasattr(part.function, ASKS) for part in self.parts)

    def score(self, step: RewardStep) -> Scored:
        """Every part's value for a completion, and the total.

        Raises RewardError where a reward raises, hangs, or returns what is no number from 0 to 1.
        """
        values: dict[str, float] = {}
        left_out: dict[str, str] = {}
        unjudged: list[str] = []
        for part in self.parts:
            try:
                value = part.value(step)
            except Unjudged as error:
                unjudged.append(part.name)
                left_out[part.name] = str(error)
                continue
            if value is None:
                left_out[part.name] = NOT_APPLICABLE
            else:
                values[part.name] = value
        counted = [part for part in self.parts if part.name in values]
        return Scored(
            parts=values,
            left_out=left_out,
            unjudged=tuple(unjudged),
            points=sum(part.points * values[part.name] for part in counted),
            possible=sum(part.points for part in counted),
        )

    def score_all(self, steps: Sequence[RewardStep], at_once: int = 4) -> tuple[Scored, ...]:
        """`score` of each, `at_once` at a time: for rewards that wait, such as on a judge or a sandbox."""
        with ThreadPoolExecutor(max(1, at_once), thread_name_prefix="rubric") as pool:
            waiting = [pool.submit(copy_context().run, self.score, step) for step in steps]
            return tuple(future.result() for future in waiting)


@dataclass(frozen=True, slots=True)
class Unsteady:
    """A reward that cannot be trusted: asked twice about one completion, it says different things, or it changes it."""

    part: str
    place: str
    found: str
    """In words."""


def same_twice(rubric: Rubric, steps: Sequence[RewardStep]) -> tuple[Unsteady, ...]:
    """The rewards that say different things of the same completion, or that write into the step; each once.

    Parts that a judge decides are included: a judge whose verdicts are kept says the same. Raises RewardError as
    `Rubric.score` does.
    """
    return tuple(found for part in rubric.parts if (found := _unsteady(part, steps)) is not None)


def _unsteady(part: Part, steps: Sequence[RewardStep]) -> Unsteady | None:
    for step in steps:
        before = _frozen(step)
        try:
            first, second = part.value(step), part.value(step)
        except Unjudged:
            continue
        if first != second:
            return Unsteady(part.name, part.place, f"gives {first} and then {second} ({step})")
        if _frozen(step) != before:
            return Unsteady(part.name, part.place, f"changes the step that it is given ({step})")
    return None


def _frozen(step: RewardStep) -> str:
    """The mutable things in a step, as they are now."""
    return repr([step.world, dict(step.variables), [call.arguments for call in step.calls]])


def load_rubric(reference: str, folder: Path | None = None) -> Rubric:
    """The rubric that `tool_call`, `tool_call:right_tool,well_formed` or `tool_call+cost` names.

    `folder` (default: `[tool.agentkit].rewards` of the project around the working folder) holds the files; it may be
    given relative to the working folder. Of several modules, the parts are named `module.part`.

    Raises RewardError with file, line, what was found and what was expected.
    """
    folder = rewards_folder() if folder is None else folder.absolute()
    try:
        references = read_references(reference)
        loaded = [(it, read_sources(it.module, folder)) for it in references]
        parts = [list(_parts(it, sources)) for it, sources in loaded]
    except ValueError as error:
        raise RewardError(f"rewards: {error}") from None
    except RewardsProblem as error:
        raise RewardError(str(error)) from error
    if len(loaded) > 1:
        parts = [
            [replace(part, name=f"{it.module}.{part.name}") for part in own]
            for (it, _), own in zip(loaded, parts, strict=True)
        ]
    chosen = tuple(part for own in parts for part in own)
    content = [
        [it.module, sources.hash, [part.name for part in own]] for (it, sources), own in zip(loaded, parts, strict=True)
    ]
    return Rubric(reference, chosen, sha256(orjson.dumps(content)).hexdigest())


def _parts(reference: Reference, sources: Sources) -> Iterator[Part]:
    """The parts that are asked for, in the order in which the file defines them."""
    module = load_sources(sources)
    path = sources.path(sources.module)
    known = {part.name: part for part in _defined(module, sources)}
    for name, line in _defined_twice(sources):
        if name in known:
            raise RewardError(f"{shown(path)}:{line}: a second reward {name!r}, which hides the first")
    if not known:
        raise RewardError(f"{shown(path)}: no rewards: a function with @reward is expected")
    for name in reference.parts:
        if name not in known:
            raise no_part(name, sources, tuple(known))
    yield from (part for part in known.values() if not reference.parts or part.name in reference.parts)


def _defined(module: ModuleType, sources: Sources) -> Iterator[Part]:
    path = sources.path(sources.module)
    lines = _lines(sources)
    seen: set[int] = set()
    for name, value in vars(module).items():
        mark = mark_of(value)
        if mark is not None and mark.module == module.__name__ and id(value) not in seen:
            seen.add(id(value))
            place = shown(path) + (f":{lines[name]}" if name in lines else "")
            yield Part(name, mark.points, value, _doc(value), place, mark.seconds)


def _doc(function: Any) -> str:
    return " ".join((getattr(function, "__doc__", None) or "").split("\n\n")[0].split())


def _lines(sources: Sources) -> dict[str, int]:
    """Name → the line that defines it."""
    return dict(_definitions(sources))


def _defined_twice(sources: Sources) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    for name, line in _definitions(sources):
        if name in seen:
            yield name, line
        seen.add(name)


def _definitions(sources: Sources) -> Iterator[tuple[str, int]]:
    for node in ast.parse(sources.files[sources.module]).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno
        elif isinstance(node, ast.Assign):
            yield from ((target.id, node.lineno) for target in node.targets if isinstance(target, ast.Name))
