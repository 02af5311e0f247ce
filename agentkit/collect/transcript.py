"""A conversation rebuilt from its exchanges: each request repeats what was said, and each response adds to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from agentkit.records import Exchange, ResponseId, ToolCall


@dataclass(frozen=True, slots=True)
class Said:
    """One message."""

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: str | None = None
    """Of a tool's message: the id of the call."""
    response: ResponseId | None = None
    """Of an assistant's: the exchange that gave it."""
    step: str = ""
    """As the caller named it in that exchange."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it the same message in two requests."""
        calls = tuple((it.name, json.dumps(it.arguments, sort_keys=True), it.raw) for it in self.calls)
        return (self.role, self.text.strip(), calls, self.answers)


@dataclass(frozen=True, slots=True)
class SaidTurn:
    """What a user said, and what followed until the user spoke again."""

    user: str
    moves: tuple[Said, ...]
    """Of the assistant."""
    answers: Mapping[str, str]
    """Call → what the tool answered."""


def transcript(exchanges: Sequence[Exchange]) -> tuple[Said, ...]:
    """All that was said, of exchanges in their order. Those that failed add nothing."""
    known: list[Said] = []
    for it in exchanges:
        if it.response is None or it.status >= 400:
            continue
        given = it.request.get("messages")
        messages = [said(message) for message in given if isinstance(message, Mapping)] if _is_list(given) else []
        known = [*_merged(known, messages), replace(said(it.response, "assistant"), response=it.id, step=it.step)]
    return tuple(known)


def said(message: Mapping[str, Any], role: str = "") -> Said:
    """A message in the Chat Completions form."""
    calls = message.get("tool_calls")
    answers = message.get("tool_call_id")
    return Said(
        role=str(message.get("role") or role),
        text=_text(message.get("content")),
        calls=tuple(_call(it) for it in calls if isinstance(it, Mapping)) if _is_list(calls) else (),
        answers=answers if isinstance(answers, str) else None,
    )


def turns(messages: Sequence[Said]) -> list[SaidTurn]:
    """The conversation by turns; messages of the user that follow each other are one."""
    found: list[tuple[list[str], list[Said], dict[str, str]]] = []
    for it in messages:
        if it.role == "user":
            if not found or found[-1][1]:
                found.append(([], [], {}))
            found[-1][0].append(it.text)
        elif found and it.role == "assistant":
            found[-1][1].append(it)
        elif found and it.role == "tool" and it.answers is not None:
            found[-1][2][it.answers] = it.text
    return [SaidTurn("\n".join(user), tuple(moves), answers) for user, moves, answers in found]


def policy(messages: Sequence[Said]) -> str:
    """What the system's messages said."""
    return "\n\n".join(it.text for it in messages if it.role in ("system", "developer"))


def _merged(known: list[Said], given: list[Said]) -> list[Said]:
    """What is known, and what a request adds to it. Where the caller went back, what it left is gone; where it cut the
    beginning off, that stays."""
    there, new = [it.key for it in known], [it.key for it in given]
    if there[: len(new)] == new:
        return known[: len(given)]
    body = next((place for place, it in enumerate(given) if it.role not in ("system", "developer")), len(given))
    for start in range(len(known)):
        rest = there[start:]
        for first in {0, body} if start else {0}:
            if new[first : first + len(rest)] == rest:
                return known + given[first + len(rest) :]
    return given


def _call(call: Mapping[str, Any]) -> ToolCall:
    function = call.get("function")
    function = function if isinstance(function, Mapping) else {}
    raw = function.get("arguments")
    try:
        arguments = json.loads(raw) if isinstance(raw, str) else raw
    except (ValueError, RecursionError):
        arguments = None
    name = str(function.get("name") or "")
    if not isinstance(arguments, dict):
        return ToolCall(str(call.get("id") or ""), name, None, str(raw))
    return ToolCall(str(call.get("id") or ""), name, arguments)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [it.get("text") for it in content if isinstance(it, Mapping)] if _is_list(content) else []
    return "\n".join(it for it in parts if isinstance(it, str))


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)
