"""What an upstream answered, as one message: from one body, or joined from the pieces of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentkit.llm.wire import usage_of
from agentkit.records import Usage

_TEXTS = ("content", "refusal", "reasoning", "reasoning_content")


class Joined:
    """The first choice of an answer, put together from what is added."""

    def __init__(self) -> None:
        self.model = ""
        self.finish_reason: str | None = None
        self.usage = Usage()
        self._role = "assistant"
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._whole: Mapping[str, Any] | None = None

    def take(self, answer: Mapping[str, Any]) -> None:
        """A whole answer. Tolerant: what is missing or of another kind is left out."""
        self._about(answer)
        choice = _first(answer)
        message = choice.get("message")
        self._whole = message if isinstance(message, dict) else None
        self._finished(choice)

    def add(self, piece: Mapping[str, Any]) -> None:
        """The next piece of a stream; tolerant like `take`."""
        self._about(piece)
        choice = _first(piece)
        self._finished(choice)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        for field in _TEXTS:
            if isinstance(text := delta.get(field), str):
                self._texts.setdefault(field, []).append(text)
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for call in calls:
                if isinstance(call, dict):
                    self._call(call)

    @property
    def message(self) -> Mapping[str, Any] | None:
        """The assistant's message in the Chat Completions form; None where nothing was said."""
        if self._whole is not None or not (self._texts or self._calls):
            return self._whole
        message: dict[str, Any] = {"role": self._role, "content": None}
        message |= {field: "".join(texts) for field, texts in self._texts.items()}
        if self._calls:
            message["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": "".join(call["name"]), "arguments": "".join(call["arguments"])},
                }
                for _, call in sorted(self._calls.items())
            ]
        return message

    def _about(self, answer: Mapping[str, Any]) -> None:
        if isinstance(model := answer.get("model"), str):
            self.model = model
        if isinstance(usage := answer.get("usage"), dict):
            self.usage, _ = usage_of(usage)

    def _finished(self, choice: Mapping[str, Any]) -> None:
        if isinstance(reason := choice.get("finish_reason"), str):
            self.finish_reason = reason

    def _call(self, piece: Mapping[str, Any]) -> None:
        place = piece.get("index")
        call = self._calls.setdefault(place if type(place) is int else 0, {"id": "", "name": [], "arguments": []})
        if isinstance(identity := piece.get("id"), str) and identity:
            call["id"] = identity
        function = piece.get("function")
        if isinstance(function, dict):
            for field in ("name", "arguments"):
                if isinstance(text := function.get(field), str):
                    call[field].append(text)


def _first(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The choice of index 0 in an answer or a piece; an empty one where there is none."""
    choices = answer.get("choices")
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and choice.get("index", 0) == 0:
                return choice
    return {}
