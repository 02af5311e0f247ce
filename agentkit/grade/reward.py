"""Rewards: plain Python functions that say how good one completion of a model is, from 0 to 1.

    from agentkit.grade import RewardStep, reward

    @reward(points=5)
    def well_formed(step: RewardStep) -> float:
        return all(call.arguments is not None for call in step.calls)

The rewards of one file, in the order in which they are defined, are a *rubric* (`agentkit.grade.rubric`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from agentkit.errors import BudgetExhausted, JudgeError, RewardError, SandboxError
from agentkit.grade.text import inert, shortened
from agentkit.grade.timed import TookTooLong, call_within
from agentkit.records import Message, ToolCall, ToolSpec
from agentkit.scenario import Step

SECONDS = 30.0
"""How long a reward may take, where it says nothing else."""

_MARK = "__agentkit_reward__"


@dataclass(frozen=True, slots=True)
class RewardStep:
    """One completion of a model, and all that is known of the moment it was written in."""

    prompt: tuple[Message, ...]
    """The conversation up to here, the system prompt included; the last message is the user's or a tool's."""
    completion: str
    """The raw text that the model wrote, calls and reasoning in whatever syntax it uses."""
    calls: tuple[ToolCall, ...] = ()
    """The tool calls in it, in order. `calls[i].arguments` is None where the arguments were no JSON object; `raw` then
    holds what was written."""
    reply: str = ""
    """What the user reads of it; empty where it only called."""
    reasoning: str | None = None
    """The thoughts that it shows before; None where it shows none."""
    expected: Step | None = None
    """The step of the scenario that it should meet: `expected.call`, `.reply`, `.no_call`, `.state` or `.reasoning`,
    exactly one of them not None. None where nothing is known to be right."""
    tools: Mapping[str, ToolSpec] = field(default_factory=dict)
    """Name → the tools that the model was offered."""
    world: Any = None
    """The world's state before the completion, plain JSON, by which each call can be checked; None where it is not
    known. It is shared between rewards: read it only."""
    golden: str | None = None
    """A right completion, as raw text; None where none is known."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """The scenario's variables as they were drawn for this instance."""
    tokens: int | None = None
    """Length of the completion in tokens of the model that wrote it; None where nobody counted."""
    name: str = ""
    """What errors call it, such as `point_of_sale/refund/golden#7 pay`."""

    @property
    def call(self) -> ToolCall | None:
        """The first call; None where it made none."""
        return self.calls[0] if self.calls else None

    def __str__(self) -> str:
        known = self.name or (f"step {self.expected.id!r}" if self.expected else "a step with nothing expected")
        return f"{known}, completion {shortened(inert(self.completion), 80)!r}"


Value = float | bool | int | None
RewardFunction = Callable[[RewardStep], Value] | Callable[[RewardStep], Awaitable[Value]]
F = TypeVar("F", bound=Callable[[RewardStep], Any])


@dataclass(frozen=True, slots=True)
class Mark:
    """What `@reward` notes on a function."""

    points: float
    seconds: float
    module: str
    """Name of the module whose reward it is: one that is only imported elsewhere is no part there."""


@overload
def reward(function: F, /) -> F: ...
@overload
def reward(*, points: float = ..., seconds: float = ...) -> Callable[[F], F]: ...
def reward(function: F | None = None, /, *, points: float = 1.0, seconds: float = SECONDS) -> F | Callable[[F], F]:
    """Make a function a reward: it takes a `RewardStep` and returns how good that completion is.

    It returns a number from 0 to 1, or True or False, or None where it has nothing to say of this completion. It may be
    `async`. `points` is its weight in the rubric, `seconds` how long it may take. Raises RewardError for points or
    seconds that are no positive number, and for a function that cannot be called with a step.
    """

    def marked(function: F) -> F:
        return mark(function, points=points, seconds=seconds, module=getattr(function, "__module__", ""))

    return marked if function is None else marked(function)


def mark(function: F, *, points: float, seconds: float, module: str) -> F:
    """`function`, known as a reward of a module. Raises RewardError."""
    name = getattr(function, "__name__", repr(function))
    for what, number in (("points", points), ("seconds", seconds)):
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
            raise RewardError(f"reward {name}: {what} is {number!r}, expected a number above 0")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        signature = f"{name}{inspect.signature(function)}"
        raise RewardError(f"reward {signature}: expected a function of one argument, the step") from None
    setattr(function, _MARK, Mark(float(points), float(seconds), module))
    return function


def mark_of(value: Any) -> Mark | None:
    """What `@reward` noted on a value; None on anything else."""
    found = getattr(value, _MARK, None) if callable(value) else None
    return found if isinstance(found, Mark) else None


class Unjudged(Exception):
    """A judge that a reward asked could not say: neither a number nor a fault of the reward."""


@dataclass(frozen=True, slots=True)
class Part:
    """One reward of a rubric."""

    name: str
    """The function's; in a rubric of several modules `module.function`."""
    points: float
    """Its weight, above 0."""
    function: Callable[[RewardStep], Any]
    doc: str
    """The first paragraph of the function's docstring; empty where it has none."""
    place: str
    """`rewards/tool_call.py:12`."""
    seconds: float = SECONDS

    def value(self, step: RewardStep) -> float | None:
        """What it gives for a completion, from 0 to 1; None where it does not apply.

        Raises RewardError where it raises, hangs, or returns anything else; Unjudged where its judge could not say;
        SandboxError and BudgetExhausted as they come.
        """
        try:
            found = call_within(self.function, step, self.seconds)
        except TookTooLong:
            raise self._error(step, f"took longer than {self.seconds:g} s") from None
        except JudgeError as error:
            raise Unjudged(str(error)) from error
        except (SandboxError, BudgetExhausted):
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._error(step, f"raised {type(error).__name__}: {error}") from error
        if found is None:
            return None
        if not isinstance(found, bool | int | float):
            kind = type(found).__qualname__
            raise self._error(
                step, f"returned {shortened(repr(found), 120)} ({kind}), expected a number, True, False or None"
            )
        if not 0 <= found <= 1:  # NaN is not either
            raise self._error(step, f"returned {found!r}, expected a number from 0 to 1")
        return float(found)

    def _error(self, step: RewardStep, what: str) -> RewardError:
        return RewardError(f"{self.place}: reward {self.name} {what} ({step})")
