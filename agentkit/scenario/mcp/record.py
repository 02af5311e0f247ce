"""`tools.json`: the record of a server's tools beside its suite, so that scenarios load, and are hashed, without it.

It is written by `agentkit tools`, kept with the scenarios, and held against what the server says each time one starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agentkit.files import write_whole
from agentkit.records import ToolSpec

RECORD = "tools.json"
MAX_BYTES = 4_000_000


class RecordError(ValueError):
    """A record that cannot be read; the reason in words."""


class RecordedTool(BaseModel):
    """A tool as the server tells it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema of the arguments."""
    read_only: bool = False
    """Whether the server declares that it changes nothing."""

    def spec(self, reads: Sequence[str]) -> ToolSpec:
        """As agents see it."""
        parameters = {**self.parameters, "properties": self.parameters.get("properties", {})}
        writes = not self.read_only and self.name not in reads
        return ToolSpec(self.name, self.description, parameters, writes=writes)


_TOOLS = TypeAdapter(list[RecordedTool])


def told(tool: Any) -> RecordedTool:
    """What the client library gives for a tool of `tools/list`."""
    annotations = tool.annotations
    return RecordedTool(
        name=tool.name,
        description=tool.description or "",
        parameters=orjson.loads(orjson.dumps(tool.input_schema)),
        read_only=bool(annotations and annotations.read_only_hint),
    )


def parse_record(content: bytes) -> tuple[RecordedTool, ...]:
    """Raises RecordError."""
    try:
        tools = _TOOLS.validate_python(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise RecordError(f"not JSON: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RecordError(f"not a record of tools: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return tuple(tools)


def write_record(path: Path, tools: Sequence[RecordedTool]) -> None:
    """Write the tools in the order of their names, whole or not at all."""
    data = [tool.model_dump() for tool in sorted(tools, key=lambda tool: tool.name)]
    write_whole(path, orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def differences(recorded: Sequence[RecordedTool], live: Sequence[RecordedTool]) -> list[str]:
    """In words, how what a server tells differs from its record; nothing where they agree."""
    before, now = _by_name(recorded), _by_name(live)
    said = [f"{name} is new" for name in sorted(now.keys() - before.keys())]
    said += [f"{name} is gone" for name in sorted(before.keys() - now.keys())]
    for name in sorted(before.keys() & now.keys()):
        changed = [
            field for field in RecordedTool.model_fields if getattr(before[name], field) != getattr(now[name], field)
        ]
        if changed:
            said.append(f"{name} has other {' and '.join(changed)}")
    return said


def _by_name(tools: Sequence[RecordedTool]) -> Mapping[str, RecordedTool]:
    return {tool.name: tool for tool in tools}
