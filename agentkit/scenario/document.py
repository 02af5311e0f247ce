"""Reads one YAML file, and knows the line of each of its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agentkit.errors import Problem
from agentkit.scenario.syntax import Builder, Key, Node, UnreadableError

Keys = tuple[Key, ...]

MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """One file's content and its lines."""

    file: str
    data: dict[str, Any]
    root: Node | None
    """None where the content did not come from a text (Python scenarios)."""
    prefix: Keys = ()
    """Where `data` itself stands in its file."""

    def line(self, keys: Sequence[Key] = ()) -> int | None:
        """Line of the value at `keys`, or of the nearest thing around it that exists."""
        node = self.root
        for key in keys:
            below = node.children.get(key) if node else None
            if below is None:
                break
            node = below
        return node.line if node else None

    def text_line(self, keys: Sequence[Key]) -> int | None:
        """First line of the characters of the text at `keys`."""
        node = self.root
        for key in keys:
            node = node.children.get(key) if node else None
        return node.text_line if node else self.line(keys)

    def problem(self, keys: Sequence[Key], message: str, line: int | None = None) -> Problem:
        return Problem(self.file, self.line(keys) if line is None else line, dotted((*self.prefix, *keys)), message)


def dotted(keys: Sequence[Key]) -> str:
    """`turns[1].steps[0].call.name`."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return "".join(parts).removeprefix(".")


def read(path: Path, file: str | None = None) -> tuple[Document | None, list[Problem]]:
    """The document, or None where there is none to speak of; and everything that is wrong with it as YAML.

    A document is given in spite of problems such as a duplicate key, so that what else is wrong can be told as well.
    """
    file = file or str(path)
    try:
        if not path.is_file():
            return None, [Problem(file, None, "", "not a regular file")]
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1) if path.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        return None, [Problem(file, None, "", f"cannot be read: {error.strerror or error}")]
    if raw is None or len(raw) > MAX_BYTES:
        return None, [Problem(file, None, "", f"{_size(path)}, while a scenario may hold {MAX_BYTES / 1e6:.0f} MB")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return None, [Problem(file, line, "", f"not UTF-8: byte 0x{raw[error.start]:02x} here is no character")]
    return parse(text, file)


def parse(text: str, file: str) -> tuple[Document | None, list[Problem]]:
    """As `read`, of a text."""
    builder = Builder(file)
    found = None
    try:
        found = builder.document(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ": ".join(part for part in (error.context, error.problem) if part)
        builder.note(mark.line + 1 if mark else None, f"not valid YAML: {said}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        builder.note(line, f"not valid YAML: the character U+{code:04X} is not allowed")
    except UnreadableError as error:
        builder.note(error.line, str(error))
    return Document(file, *found) if found else None, builder.problems


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"the file has {size / 1e6:,.1f} MB" if size >= 100_000 else f"the file has {size:,} bytes"


def describe(value: Any) -> str:
    """A found value in words, short enough for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:39] + '…'!r}"
    return f"the number {value}"
