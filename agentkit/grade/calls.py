"""Which of the calls that an agent made meets which expected call step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit.grade.match import MISSING, mismatch
from agentkit.grade.text import shortened
from agentkit.records import ToolCall
from agentkit.scenario.matchers import Absent, Operator
from agentkit.scenario.model import Call, Order

Normalize = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""(tool, arguments) → arguments with the tool's defaults filled in."""

_UNTOLD: Any = object()
"""The answer of a tool that nobody told."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One expected call held against one that was made."""

    problems: tuple[str, ...]
    score: float
    """1 where all is right; below that, the share of (name and arguments) that is."""
    check: str = "call.arguments"
    """What decided: `call.name`, `call.arguments`, or `call.result` where all but the tool's answer is right."""


@dataclass(slots=True)
class Alignment:
    """Expected calls paired with actual ones."""

    pairs: dict[int, int] = field(default_factory=dict)
    """Index of the expected call → index of the actual one."""
    charged: dict[int, list[int]] = field(default_factory=dict)
    """Index of the expected call → unexpected actual calls that are charged to it."""
    unmatched: list[int] = field(default_factory=list)
    """Actual calls that meet no expected one, in order."""

    def excuse(self, excused: Collection[int]) -> None:
        """Charge these to nobody."""
        self.charged = {i: [j for j in extra if j not in excused] for i, extra in self.charged.items()}


def compare(expected: Call, actual: ToolCall, normalize: Normalize, answer: Any = _UNTOLD) -> Comparison:
    """Hold an actual call against an expected one. Without the tool's `answer`, an expected result is let be."""
    if actual.name != expected.name:
        return Comparison((f"expected a call of {expected.name}, found {actual.name}",), 0.0, "call.name")
    if actual.arguments is None:
        return Comparison((f"the arguments are not a JSON object: {shortened(actual.raw or '')}",), 0.0)
    arguments = normalize(actual.name, actual.arguments)
    problems = [
        f"{name}: {reason}"
        for name, matcher in expected.arguments.items()
        if (reason := mismatch(matcher, _given(matcher, actual.arguments, arguments).get(name, MISSING))) is not None
    ]
    wrong = len(problems)
    if expected.match == "exact":
        wanted = normalize(
            expected.name, {name: None for name, m in expected.arguments.items() if not isinstance(m, Absent)}
        )
        extra = [
            name
            for name, value in actual.arguments.items()
            if name not in expected.arguments and (name not in wanted or wanted[name] != value)
        ]
        problems += [f"{name}: expected no such argument, found {shortened(actual.arguments[name])}" for name in extra]
    check = "call.arguments"
    if expected.result is not None and answer is not _UNTOLD and not problems:
        reason = mismatch(expected.result, answer)
        problems += [] if reason is None else [f"{expected.name} answered otherwise: {reason}"]
        check = "call.result"
    parts = 1 + len(expected.arguments)
    score = 1.0 if not problems else min((parts - wrong) / parts, (parts - 0.5) / parts)
    return Comparison(tuple(problems), score, check)


def _given(matcher: Operator, given: Mapping[str, Any], with_defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a matcher looks at: an argument that must be absent is so though it has a default."""
    return given if isinstance(matcher, Absent) else with_defaults


def align(
    expected: Sequence[Call],
    actual: Sequence[ToolCall],
    order: Order,
    normalize: Normalize,
    answers: Sequence[Any] | None = None,
) -> Alignment:
    """Pair expected with actual calls so that as many as possible are wholly right, then by name.

    Under `strict` the pairs keep their order (a longest common subsequence); else any assignment may be chosen (a
    maximum bipartite matching). Unless the order is `subset`, each unexpected call is charged to the expected call
    that comes next, or to the last one. `answers`: what the tools said to each actual call, where results are expected.
    """
    told = [_UNTOLD] * len(actual) if answers is None else answers
    exact = [
        [not compare(want, made, normalize, answer).problems for made, answer in zip(actual, told, strict=True)]
        for want in expected
    ]
    by_name = [[want.name == made.name for made in actual] for want in expected]
    result = Alignment()
    if order == "strict":
        weight = [[2 * exact[i][j] + by_name[i][j] for j in range(len(actual))] for i in range(len(expected))]
        result.pairs = _ordered_pairs(weight, len(actual))
    else:
        result.pairs = matching(exact, len(actual))
        taken = set(result.pairs.values())
        for i, row in enumerate(by_name):
            if (
                i not in result.pairs
                and (free := next((j for j, same in enumerate(row) if same and j not in taken), None)) is not None
            ):
                result.pairs[i] = free
                taken.add(free)
    taken = set(result.pairs.values())
    result.unmatched = [j for j in range(len(actual)) if j not in taken]
    if order != "subset" and expected:
        for j in result.unmatched:
            later = [i for i in range(len(expected)) if result.pairs.get(i, -1) > j]
            result.charged.setdefault(min(later, default=len(expected) - 1), []).append(j)
    return result


def _ordered_pairs(weight: list[list[int]], width: int) -> dict[int, int]:
    """The order-keeping pairs of greatest total weight (dynamic programming over suffixes)."""
    height = len(weight)
    best = [[0] * (width + 1) for _ in range(height + 1)]
    for i in reversed(range(height)):
        for j in reversed(range(width)):
            paired = weight[i][j] + best[i + 1][j + 1] if weight[i][j] else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], paired)
    pairs, i, j = {}, 0, 0
    while i < height and j < width:
        if weight[i][j] and best[i][j] == weight[i][j] + best[i + 1][j + 1]:
            pairs[i] = j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def matching(fits: list[list[bool]], width: int) -> dict[int, int]:
    """A maximum bipartite matching by augmenting paths (Kuhn), expected index → actual index."""
    owner: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for j in range(width):
            if fits[i][j] and j not in seen:
                seen.add(j)
                if j not in owner or place(owner[j], seen):
                    owner[j] = i
                    return True
        return False

    for i in range(len(fits)):
        place(i, set())
    return {i: j for j, i in owner.items()}
