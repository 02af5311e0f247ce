"""The reward audit: before a single step of training, is this reward worth climbing?

Golden answers, spoilt ones and cheap tricks are scored, and graded by the scenario's own grader. A reward that cannot
tell them apart, or pays for a trick, is stopped here and not after a night of training.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

from agentkit.errors import RewardError, UsageError
from agentkit.grade import Rubric, Scored, same_twice
from agentkit.grade.text import inert, shortened
from agentkit.records import Status
from agentkit.tune.corrupt import CHARACTERS_A_TOKEN, Example, Kind, examples
from agentkit.tune.prompt import Prompt

MARGIN = 0.05
"""Of the reward's range: an answer that comes this close to the golden one rivals it."""
_FLAT = 0.02
"""Standard deviation of all rewards below which there is nothing to climb."""
_GOLDEN_AT_LEAST = 0.7
_TOLERATED = 0.1
"""Share of the prompts in which one odd case is no pattern."""
_UNJUDGED = 0.2


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a reward, or worth knowing."""

    code: str
    """`rivals_gold`, `hardly_varies`, `never_fires`, `gold_is_low`, `unsteady`, `blind`, `fails`, `unjudged`,
    `not_applicable`, `length_is_free`."""
    found: str
    """In words, with numbers."""
    example: str
    """An answer that shows it; '' where none does."""
    advice: str
    """What to do about it."""
    stops: bool = True
    """Whether training would learn the wrong thing or nothing, so that it does not begin."""

    def __str__(self) -> str:
        shown = f" For example {self.example}." if self.example else ""
        return f"{self.found}.{shown} {self.advice}."


@dataclass(frozen=True, slots=True)
class Tally:
    """How answers of one kind were scored."""

    kind: Kind
    answers: int
    reward: float | None
    """Mean; None where no part applied to any."""
    right: float
    """Share that the scenario's own grader passes."""
    parts: Mapping[str, float]
    """Part → mean, where it applied."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit of a rubric says."""

    rubric: str
    hash: str
    prompts: int
    seed: int
    findings: tuple[Finding, ...]
    tallies: tuple[Tally, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing stops the training."""
        return not any(finding.stops for finding in self.findings)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "rubric": self.rubric,
            "hash": self.hash,
            "prompts": self.prompts,
            "seed": self.seed,
            "passed": self.passed,
            "findings": [
                {"code": it.code, "found": it.found, "example": it.example, "advice": it.advice, "stops": it.stops}
                for it in self.findings
            ],
            "answers": [
                {
                    "kind": it.kind.value,
                    "answers": it.answers,
                    "reward": it.reward,
                    "right": it.right,
                    "parts": dict(it.parts),
                }
                for it in self.tallies
            ],
        }


@dataclass(frozen=True, slots=True)
class _Case:
    """One answer, scored and graded."""

    example: Example
    scored: Scored
    right: bool

    @property
    def kind(self) -> Kind:
        return self.example.kind

    @property
    def total(self) -> float | None:
        return self.scored.total

    def __str__(self) -> str:
        text = shortened(inert(self.example.text), 120)
        reward = "no reward" if self.total is None else f"reward {self.total:.2f}"
        return f"{self.example.prompt.id}: the {self.kind} answer {text!r} gets {reward}"


async def audit_rewards(
    rubric: Rubric,
    prompts: Sequence[Prompt],
    seed: int,
    *,
    most: int = 16,
    tokens: Callable[[str], int] = lambda text: -(-len(text) // CHARACTERS_A_TOKEN),
) -> Audit:
    """Hold a rubric against answers that are known to be right, wrong, and cheap. Equal seeds ask equal things.

    Args:
        most: prompts that are looked at, spread over all: a rubric with a judge asks it about each answer.
        tokens: counts tokens, for rewards that look at length.

    Raises:
        UsageError: there are no prompts, or one has no golden answer.
        SandboxError, BudgetExhausted: as the rewards themselves raise them.
    """
    if not prompts:
        raise UsageError("audit: expected at least one prompt to hold the rewards against")
    chosen = [prompts[place * len(prompts) // min(most, len(prompts))] for place in range(min(most, len(prompts)))]
    asked = examples(chosen, seed)
    steps = [it.prompt.reward_step(it.text, tokens(it.text)) for it in asked]
    try:
        unsteady = await asyncio.to_thread(same_twice, rubric, steps)
        scored = await asyncio.to_thread(rubric.score_all, steps)
    except RewardError as error:
        finding = Finding("fails", str(error), "", "Mend the reward: it must give a number from 0 to 1 for any answer")
        return Audit(rubric.name, rubric.hash, len(chosen), seed, (finding,), ())
    rights = [(await it.prompt.grade(it.text)).status is Status.PASSED for it in asked]
    cases = [_Case(*it) for it in zip(asked, scored, rights, strict=True)]
    findings = [
        *(
            Finding("unsteady", f"{it.part} ({it.place}) {it.found}", "", "Let it depend on the step alone")
            for it in unsteady
        ),
        *_gold_is_low(cases),
        *_rivals(cases),
        *_blind(cases),
        *_hardly_varies(cases),
        *(told for part in rubric.parts if (told := _part(part.name, part.place, cases)) is not None),
        *_unjudged(cases),
    ]
    return Audit(rubric.name, rubric.hash, len(chosen), seed, tuple(findings), _tallies(cases))


def _of(cases: Sequence[_Case], kind: Kind) -> list[_Case]:
    return [case for case in cases if case.kind is kind]


def _mean(cases: Sequence[_Case]) -> float | None:
    totals = [case.total for case in cases if case.total is not None]
    return fmean(totals) if totals else None


def _gold_is_low(cases: Sequence[_Case]) -> Iterator[Finding]:
    golden = _of(cases, Kind.GOLDEN)
    advice = "Make the reward fit the step: a right answer must score near the top, or training leads away from it"
    blank = [case for case in golden if case.total is None]
    if len(blank) > _TOLERATED * len(golden):
        yield Finding(
            "gold_is_low",
            f"no part applies to {len(blank)} of {len(golden)} golden answers",
            str(blank[0]),
            "Choose rewards for this kind of step (rewards/README.md)",
        )
    mean = _mean(golden)
    if mean is not None and mean < _GOLDEN_AT_LEAST:
        worst = min((case for case in golden if case.total is not None), key=lambda it: it.total or 0.0)
        parts = ", ".join(f"{name} {value:.2f}" for name, value in worst.scored.parts.items())
        yield Finding("gold_is_low", f"golden answers get {mean:.2f} on average", f"{worst} ({parts})", advice)


def _rivals(cases: Sequence[_Case]) -> Iterator[Finding]:
    """Answers that need no understanding and come near the golden ones, or that outscore them."""
    gold = _mean(_of(cases, Kind.GOLDEN))
    if gold is None:
        return
    for kind in (kind for kind in Kind if kind.degenerate):
        own = _of(cases, kind)
        mean = _mean(own)
        if mean is None or mean < gold - MARGIN:
            continue
        right = fmean(case.right for case in own)
        best = max((case for case in own if case.total is not None), key=lambda it: it.total or 0.0)
        found = f"{kind} answers get {mean:.2f}, golden ones {gold:.2f}"
        if kind is Kind.LONGEST and right > 0.5 and mean <= gold + MARGIN:
            yield Finding(
                "length_is_free",
                f"{found}: words without end cost nothing",
                str(best),
                "Add a reward for brevity (rewards/cost.py), or watch the length",
                stops=False,
            )
        elif kind is Kind.CONSTANT and right > 0.5 and mean <= gold + MARGIN:
            yield Finding(
                "rivals_gold",
                f"{found}: one answer is right nearly everywhere",
                str(best),
                "Train on prompts whose right answers differ, or expect a habit",
                stops=False,
            )
        else:
            accepted = "; the scenario's own grader accepts it too" if right > 0.5 else ""
            where = (
                "the step's conditions (max_words, asks, not_mentions), or add a reward for brevity (rewards/cost.py)"
                if accepted
                else "the reward"
            )
            yield Finding("rivals_gold", f"{found}{accepted}", str(best), f"Tighten {where}: a model learns the trick")


def _blind(cases: Sequence[_Case]) -> Iterator[Finding]:
    """Wrong answers, by the scenario's grader, that are paid as well as the golden answer of the same prompt."""
    golden = {case.example.prompt.id: case.total for case in _of(cases, Kind.GOLDEN)}
    for kind in (kind for kind in Kind if not kind.degenerate and kind is not Kind.GOLDEN):
        wrong = [case for case in _of(cases, kind) if not case.right and case.total is not None]
        paid = [case for case in wrong if (case.total or 0.0) >= (golden[case.example.prompt.id] or 0.0) - _FLAT / 2]
        if paid and len(paid) > _TOLERATED * len(wrong):
            yield Finding(
                "blind",
                f"{len(paid)} of {len(wrong)} answers with the fault '{kind}' are wrong by the scenario's grader and "
                "get no less than the golden one",
                str(paid[0]),
                "Add a part that sees this fault, such as agentkit.grade.graded()",
            )


def _hardly_varies(cases: Sequence[_Case]) -> Iterator[Finding]:
    totals = [case.total for case in cases if case.total is not None]
    if totals and pstdev(totals) < _FLAT:
        reward = f"{fmean(totals):.2f} ± {pstdev(totals):.3f}"
        found = f"over {len(totals)} answers, right, wrong and empty, the reward is {reward}"
        yield Finding(
            "hardly_varies", found, str(cases[0]), "Nothing can be learned from a reward that is always the same"
        )


def _part(name: str, place: str, cases: Sequence[_Case]) -> Finding | None:
    values = [case.scored.parts[name] for case in cases if name in case.scored.parts]
    if not values:
        return Finding(
            "not_applicable", f"{name} ({place}) applies to no answer", "", "Leave it out, or look why", stops=False
        )
    if max(values) - min(values) > 1e-9:
        return None
    what = "never fires: it is 0" if values[0] == 0 else f"never differs: it is {values[0]:g}"
    shown = next(case for case in cases if name in case.scored.parts)
    return Finding(
        "never_fires",
        f"{name} ({place}) {what} for all {len(values)} answers, the golden ones included",
        str(shown),
        "Mend it or leave it out: its points only dilute the others",
    )


def _unjudged(cases: Sequence[_Case]) -> Iterator[Finding]:
    without = [case for case in cases if case.scored.unjudged]
    if len(without) > _UNJUDGED * len(cases):
        part = without[0].scored.unjudged[0]
        why = without[0].scored.left_out[part]
        yield Finding(
            "unjudged",
            f"the judge gave no verdict on {len(without)} of {len(cases)} answers: {why}",
            str(without[0]),
            "Look at [tool.agentkit.judge] before training on its verdicts",
        )


def _tallies(cases: Sequence[_Case]) -> tuple[Tally, ...]:
    found = []
    for kind in Kind:
        own = _of(cases, kind)
        if own:
            names = dict.fromkeys(name for case in own for name in case.scored.parts)
            parts = {
                name: fmean(case.scored.parts[name] for case in own if name in case.scored.parts) for name in names
            }
            found.append(Tally(kind, len(own), _mean(own), fmean(case.right for case in own), parts))
    return tuple(found)
