"""What a model's text says and calls: read as the server reads it, which a check holds against the server itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import orjson

from agentkit.llm.arguments import parse_arguments
from agentkit.play.agents.guided import read_guided
from agentkit.records import ToolCall

Dialect = Literal["guided", "hermes"]
"""`guided`: one JSON action (agentkit/play/agents/guided.py). `hermes`: `<tool_call>{"name": …, "arguments": {…}}
</tool_call>`, as Qwen, Hermes and the template here write calls, and vLLM's parser of that name reads them."""

_THOUGHT = re.compile(r"\A\s*<think>(.*?)</think>", re.DOTALL)
_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a model."""

    reply: str
    """What the user reads; '' where there is nothing to read."""
    calls: tuple[ToolCall, ...] = ()
    reasoning: str | None = None


def read_answer(text: str, dialect: Dialect, call_id: str) -> Answer:
    """Read `text`, without end-of-text token. Never raises: what is no call is an answer as it stands."""
    if dialect == "guided":
        reply, calls = read_guided(text, call_id)
        return Answer(reply, calls)
    thought = _THOUGHT.match(text)
    reasoning = thought.group(1).strip() if thought else None
    said = text[thought.end() :] if thought else text
    found = (_hermes_call(text, f"{call_id}-{n}") for n, text in enumerate(_CALL.findall(said)))
    made = tuple(call for call in found if call is not None)
    if not made:
        return Answer(said.strip(), (), reasoning)
    return Answer(said[: said.index("<tool_call>")].strip(), made, reasoning)


def _hermes_call(text: str, call_id: str) -> ToolCall | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return None
    arguments, raw = parse_arguments(found.get("arguments"))
    return ToolCall(call_id, found["name"], arguments, raw)
