"""Reads one YAML file into plain JSON-like values, and knows the line of each.

Built from the parser's events rather than by a constructor: no tag makes an object, dates stay text, nothing is
expanded without bound, and a deeply nested file cannot exhaust the stack. Plain scalars follow YAML 1.2's core schema
(`no` and `12:30` are text); a number with leading zeros is text, because it is an identifier.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agentkit.errors import Problem

Key = str | int
Keys = tuple[Key, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_EXPANDED = 8_000_000
"""Characters, once every alias is written out."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "null": (type(None),)}
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(slots=True)
class Node:
    """Where a value stands in its file."""

    line: int
    """Of its key, or of itself where it has none; counted from 1."""
    text_line: int
    """First line of a text's own characters, which for a block scalar is below its indicator."""
    children: dict[Key, Node] = field(default_factory=dict)


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
    builder = _Builder(file)
    try:
        document = builder.document(_events(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ": ".join(part for part in (error.context, error.problem) if part)
        builder.note(mark.line + 1 if mark else None, f"not valid YAML: {said}")
        document = None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        builder.note(line, f"not valid YAML: the character U+{code:04X} is not allowed")
        document = None
    except _TooMuchError as error:
        builder.note(error.line, str(error))
        document = None
    return document, builder.problems


def _events(text: str) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"the file has {size / 1e6:,.1f} MB" if size >= 100_000 else f"the file has {size:,} bytes"


class _TooMuchError(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class _Anchor:
    value: Any = None
    node: Node | None = None
    weight: int = 0
    """Characters; 0 while the value is still being read, which makes an alias to it cyclic."""


class _Builder:
    """Turns events into values and nodes; goes on after a mistake wherever it can."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.anchors: dict[str, _Anchor] = {}
        self.weight = 0
        self.depth = 0

    def note(self, line: int | None, message: str) -> None:
        self.problems.append(Problem(self.file, line, "", message))

    def document(self, events: Iterator[Any]) -> Document | None:
        next(events)  # the stream's start
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            self.note(None, "the file is empty")
            return None
        value, node = self.value(next(events), events)
        next(events)  # the document's end
        event = next(events)
        if isinstance(event, yaml.DocumentStartEvent):
            self.note(event.start_mark.line + 1, "a second document begins here; one file holds one")
        if not isinstance(value, dict):
            self.note(node.line, f"a mapping is expected at the top, found {describe(value)}")
            return None
        return Document(self.file, value, node)

    def value(self, event: Any, events: Iterator[Any]) -> tuple[Any, Node]:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), line)
        anchor = _Anchor()
        if event.anchor:
            self.anchors[event.anchor] = anchor
        before = self.weight
        self.grow(16, line)
        node = Node(line, line)
        if isinstance(event, yaml.ScalarEvent):
            node.text_line = line + (event.style in ("|", ">"))
            value = self.scalar(event, line)
        else:
            self.check_tag(event, line)
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise _TooMuchError(line, f"nested more than {MAX_DEPTH} deep")
            is_list = isinstance(event, yaml.SequenceStartEvent)
            value = self.sequence(node, events) if is_list else self.mapping(node, events)
            self.depth -= 1
        anchor.value, anchor.node, anchor.weight = value, node, self.weight - before
        return value, node

    def grow(self, weight: int, line: int) -> None:
        self.weight += weight
        if self.weight > MAX_EXPANDED:
            raise _TooMuchError(line, f"its aliases expand to more than {MAX_EXPANDED / 1e6:.0f} million characters")

    def alias(self, name: str, line: int) -> tuple[Any, Node]:
        anchor = self.anchors.get(name)
        if anchor is None:
            raise _TooMuchError(line, f"the alias *{name} has no anchor &{name} before it")
        if not anchor.weight or anchor.node is None:
            raise _TooMuchError(line, f"cyclic reference: the alias *{name} stands inside its own anchor &{name}")
        self.grow(anchor.weight, line)
        return copy.deepcopy(anchor.value), Node(line, line, anchor.node.children)

    def sequence(self, node: Node, events: Iterator[Any]) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            value, child = self.value(event, events)
            node.children[len(items)] = child
            items.append(value)
        return items

    def mapping(self, node: Node, events: Iterator[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = event.start_mark.line + 1
            key = self.key(event, events, line)
            value, child = self.value(next(events), events)
            child.line = line
            if key is None:
                continue
            if key in found:
                self.note(line, f"the key {key!r} is given twice; first at line {node.children[key].line}")
                continue
            found[key] = value
            node.children[key] = child
        return found

    def key(self, event: Any, events: Iterator[Any], line: int) -> str | None:
        """Keys are text as written; None where the key is no text at all."""
        if not isinstance(event, yaml.ScalarEvent):
            self.value(event, events)
            hint = '; a template must stand in quotes: "{{ … }}"' if isinstance(event, yaml.MappingStartEvent) else ""
            self.note(line, f"a key must be text{hint}")
            return None
        self.check_tag(event, line)
        if event.value == "<<" and event.implicit[0]:
            self.note(line, "merge keys (`<<`) are not supported; an alias can stand for a whole value")
            self.grow(16, line)
            return None
        self.grow(len(event.value), line)
        return str(event.value)

    def check_tag(self, event: Any, line: int) -> str | None:
        """The core tag's short name, None where there is no tag."""
        if event.tag is None or event.tag == "!":
            return None
        short = str(event.tag).removeprefix(_CORE)
        if short in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq") and event.tag != short:
            return short
        self.note(line, f"the YAML tag {_shown_tag(event.tag)} is refused: only plain values are read")
        return "str"

    def scalar(self, event: Any, line: int) -> Any:
        text: str = event.value
        self.grow(len(text), line)
        tag = self.check_tag(event, line)
        if tag in ("str", "timestamp", "map", "seq") or (tag is None and not event.implicit[0]):
            return text
        value = _plain(text)
        if isinstance(value, float) and not math.isfinite(value):
            self.note(line, f"{text} is not a finite number")
            return text
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            self.note(line, f"{text[:24]}{'…' * (len(text) > 24)} is too large a number; in quotes it would be text")
            return text
        if tag is not None and not isinstance(value, _TAGGED[tag]):
            self.note(line, f"{text[:40]!r} is not a value of the YAML tag !!{tag}")
            return text
        return value


def _plain(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    first = text[0]
    if first not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        if len(text) > 40:
            return 2**64
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float("nan") if _NOT_FINITE.fullmatch(text) else text


def _shown_tag(tag: str) -> str:
    return "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag


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
