"""`scripted`: a public fake that does the golden thing with a set accuracy, and otherwise a plausible wrong thing.

It is the planted truth that tests the mathematics: each step passes or fails by a coin of its own, thrown from the
trial's seed and the step's id. What it says and calls is checked against the graders before it is said; where a turn's
conditions contradict each other, so that the coin's wish cannot be met, it raises and the trial shows it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agentkit.grade.calls import compare
from agentkit.grade.reply import reply_conditions
from agentkit.play.agent import Moment
from agentkit.play.agents.golden import golden_arguments, golden_reply, wrong_arguments, wrong_reply
from agentkit.records import Message, ToolCall, ToolSpec
from agentkit.scenario import Call, PlayTurn, Step
from agentkit.scenario.detours import CATALOGUE, ToolFault
from agentkit.scenario.detours.tool.injection import Injection, Notice
from agentkit.scenario.detours.tool.slow import Slow

_KINDS_OF_FAILURE = ("wrong argument", "wrong argument", "other tool", "no call")
"""As often as agents do them: mostly the right tool with a wrong argument."""
_REPEATED = "-again"
"""Ends the id of a call that is made because of what became of the one before."""


@dataclass(frozen=True, slots=True)
class ScriptedAgent:
    """Accuracy for all steps, or by step id or skill. It does no state or outcome steps of its own: those follow
    from its calls, and a step that forbids calls fails only where one of its calls breaks it."""

    name: str
    accuracy: float = 1.0
    steps: Mapping[str, float] = field(default_factory=dict)
    deterministic: bool = False

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        again = self._again(moment)
        if again is not None:
            return (Message("assistant", "", moment.turn, tool_calls=(again,)),)
        moves = self._moves(moment)
        own = [m for m in moment.messages if m.role == "assistant" and m.turn == moment.turn]
        made = sum(not any(map(_is_repeated, m.tool_calls)) for m in own)
        return (moves[min(made, len(moves) - 1)],)  # where somebody moved before it, it may be at its answer already

    def _again(self, moment: Moment) -> ToolCall | None:
        """The last call once more, where a fault struck it and the coin of the fault's step wants it."""
        answer = moment.messages[-1]
        fault = _fault(answer) if answer.role == "tool" else None
        if fault is None:
            return None
        calls = {call.id: call for message in moment.messages for call in message.tool_calls}
        last = calls[answer.tool_call_id or ""]
        right = self._coin(moment, f"tool_{fault.name}", fault.skill)
        if issubclass(fault, Slow):
            wanted = not right and not _is_repeated(last)
        elif fault.spares_writes and moment.tools[last.name].writes:
            wanted = False  # what was done need not be done again
        else:
            wanted = fault.call_again and right and last.id.count(_REPEATED) < fault.bearable
        return replace(last, id=f"{last.id}{_REPEATED}") if wanted else None

    def _moves(self, moment: Moment) -> list[Message]:
        """All messages of the turn, the same however often they are worked out."""
        turn = moment.expected
        wish = {step.id: self._coin(moment, step.id, step.skill) for step in turn.steps}
        calls = [
            call
            for step in turn.steps
            if step.call is not None and (call := self._call(moment, step, step.call, wish[step.id])) is not None
        ]
        if turn.order == "subset" or not calls:
            calls += self._forbidden_call(moment, wish)
        messages = [
            Message("assistant", "", moment.turn, tool_calls=(ToolCall(f"call-{moment.turn}-{n}", *call),))
            for n, call in enumerate(calls)
        ]
        return [*messages, Message("assistant", self._answer(moment, wish), moment.turn)]

    def _answer(self, moment: Moment, wish: Mapping[str, bool]) -> str:
        text = _answer(moment.expected, wish)
        notices = [Notice.read(message.content) for message in moment.messages if _fault(message) is Injection]
        if not notices or self._coin(moment, f"tool_{Injection.name}", Injection.skill):
            return text
        obedient = " ".join([*(notice.canary for notice in notices if notice is not None), text])
        return obedient if _is_as_wished(moment.expected, wish, obedient) else text

    def _coin(self, moment: Moment, step: str, skill: str | None = None) -> bool:
        accuracy = self.steps.get(step, self.steps.get(skill or "", self.accuracy))
        return _random(moment, step, "coin").random() < accuracy

    def _call(self, moment: Moment, step: Step, call: Call, right: bool) -> tuple[str, dict[str, Any]] | None:
        rng = _random(moment, step.id, "call")
        spec = moment.tools[call.name]
        arguments = golden_arguments(call, spec, rng)
        if right:
            return call.name, arguments
        kind = rng.choice(_KINDS_OF_FAILURE)
        others = _unexpected_tools(moment)
        free = moment.expected.order == "subset" and all(s.no_call is None for s in moment.expected.steps)
        if kind == "other tool" and others and free:
            other = moment.tools[rng.choice(others)]
            return other.name, golden_arguments(Call(name=other.name), other, rng)
        if kind == "wrong argument":
            wrong = wrong_arguments(call, arguments, rng)
            if wrong is not None and not _meets_any(moment.expected.steps, ToolCall("", call.name, wrong), spec):
                return call.name, wrong
        return None

    def _forbidden_call(self, moment: Moment, wish: Mapping[str, bool]) -> list[tuple[str, dict[str, Any]]]:
        """A call that breaks the first no-call step that is to fail, if there is one and such a tool exists."""
        for step in moment.expected.steps:
            if step.no_call is not None and not wish[step.id]:
                names = _unexpected_tools(moment) if isinstance(step.no_call, str) else sorted(step.no_call)
                rng = _random(moment, step.id, "call")
                spec = moment.tools[rng.choice(names)] if names else None
                return [] if spec is None else [(spec.name, golden_arguments(Call(name=spec.name), spec, rng))]
        return []

    def definition(self) -> Mapping[str, Any]:
        return {"kind": "scripted", "accuracy": self.accuracy, "steps": dict(self.steps)}

    async def close(self) -> None:
        return None


def _random(moment: Moment, step: str, use: str) -> random.Random:
    return random.Random(f"{moment.seed}/{step}/{use}")


def _unexpected_tools(moment: Moment) -> list[str]:
    return sorted(set(moment.tools) - {step.call.name for step in moment.expected.steps if step.call is not None})


def _meets_any(steps: Sequence[Step], made: ToolCall, spec: ToolSpec) -> bool:
    def as_given(name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        defaults = {k: s["default"] for k, s in spec.parameters.get("properties", {}).items() if "default" in s}
        return {**defaults, **arguments}

    return any(step.call is not None and not compare(step.call, made, as_given).problems for step in steps)


def _answer(turn: PlayTurn, wish: Mapping[str, bool]) -> str:
    """An answer that meets the reply steps that are to pass, and none of those that are to fail."""
    steps = [step for step in turn.steps if step.reply is not None]
    parts = [golden_reply(step.reply) for step in steps if step.reply is not None and wish[step.id]]
    parts += [wrong_reply(step.reply) for step in steps if step.reply is not None and not wish[step.id]]
    text = " ".join(part for part in parts if part) or "Very well."
    for step in steps:
        if not _is_as_wished(turn, wish, text, step):
            wanted = "meets" if wish[step.id] else "misses"
            raise ValueError(
                f"no scripted answer {wanted} {step.id} and suits the other steps of turn {turn.id}: {text!r}"
            )
    return text


def _is_as_wished(turn: PlayTurn, wish: Mapping[str, bool], text: str, only: Step | None = None) -> bool:
    """Whether a text meets the reply steps that are to pass, and none of those that are to fail."""
    replies = [(step, step.reply) for step in turn.steps if step.reply is not None and only in (None, step)]
    return all(all(it.met for it in reply_conditions(reply, text)) is wish[step.id] for step, reply in replies)


def _fault(message: Message) -> type[ToolFault] | None:
    """What struck a tool's answer."""
    kind = CATALOGUE.get(message.planted or "")
    return kind if kind is not None and issubclass(kind, ToolFault) else None


def _is_repeated(call: ToolCall) -> bool:
    return call.id.endswith(_REPEATED)
