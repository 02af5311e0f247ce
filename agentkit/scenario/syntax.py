"""From YAML events to plain JSON-like values: no tag makes an object, and nothing grows without bound.

Plain scalars follow YAML 1.2's core schema (`no` and `12:30` are text); a number with leading zeros is text, because it
is an identifier. Mistakes are noted and reading goes on wherever it can.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from agentkit.errors import Problem

Key = str | int
Events = Callable[[], Any]
"""Gives the next event of a stream."""

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


class UnreadableError(Exception):
    """What cannot be read any further, and the line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class _Anchor:
    value: Any = None
    node: Node | None = None
    weight: int = 0
    """Characters; 0 while the value is still being read, which makes an alias to it cyclic."""


class Builder:
    """Turns events into values and nodes; goes on after a mistake wherever it can."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.anchors: dict[str, _Anchor] = {}
        self.weight = 0
        self.depth = 0

    def note(self, line: int | None, message: str) -> None:
        self.problems.append(Problem(self.file, line, "", message))

    def document(self, text: str) -> tuple[dict[str, Any], Node] | None:
        """The one document of a text. Raises UnreadableError, and yaml.YAMLError where it is no YAML."""
        loader = _Loader(text)
        try:
            return self.only_document(loader.get_event)
        finally:
            loader.dispose()

    def only_document(self, get: Events) -> tuple[dict[str, Any], Node] | None:
        get()  # the stream's start
        event = get()
        if event.__class__ is yaml.StreamEndEvent:
            self.note(None, "the file is empty")
            return None
        value, node = self.value(get(), get)
        get()  # the document's end
        event = get()
        if event.__class__ is yaml.DocumentStartEvent:
            self.note(_line(event), "a second document begins here; one file holds one")
        if not isinstance(value, dict):
            self.note(
                node.line,
                f"a mapping is expected at the top, found {'a list' if isinstance(value, list) else 'a single value'}",
            )
            return None
        return value, node

    def value(self, event: Any, get: Events) -> tuple[Any, Node]:
        line = _line(event)
        if event.__class__ is yaml.AliasEvent:
            return self.alias(str(event.anchor), line)
        anchor = _Anchor() if event.anchor else None
        if anchor:
            self.anchors[event.anchor] = anchor
        before = self.weight
        self.grow(16, line)
        node = Node(line, line)
        if event.__class__ is yaml.ScalarEvent:
            node.text_line = line + (event.style in ("|", ">"))
            value = self.scalar(event, line)
        else:
            self.check_tag(event, line)
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise UnreadableError(line, f"nested more than {MAX_DEPTH} deep")
            is_list = event.__class__ is yaml.SequenceStartEvent
            value = self.sequence(node, get) if is_list else self.mapping(node, get)
            self.depth -= 1
        if anchor:
            anchor.value, anchor.node, anchor.weight = value, node, self.weight - before
        return value, node

    def grow(self, weight: int, line: int) -> None:
        self.weight += weight
        if self.weight > MAX_EXPANDED:
            raise UnreadableError(line, f"its aliases expand to more than {MAX_EXPANDED / 1e6:.0f} million characters")

    def alias(self, name: str, line: int) -> tuple[Any, Node]:
        anchor = self.anchors.get(name)
        if anchor is None:
            raise UnreadableError(line, f"the alias *{name} has no anchor &{name} before it")
        if not anchor.weight or anchor.node is None:
            raise UnreadableError(line, f"cyclic reference: the alias *{name} stands inside its own anchor &{name}")
        self.grow(anchor.weight, line)
        return copy.deepcopy(anchor.value), Node(line, line, anchor.node.children)

    def sequence(self, node: Node, get: Events) -> list[Any]:
        items: list[Any] = []
        while (event := get()).__class__ is not yaml.SequenceEndEvent:
            value, child = self.value(event, get)
            node.children[len(items)] = child
            items.append(value)
        return items

    def mapping(self, node: Node, get: Events) -> dict[str, Any] | str:
        """A text instead where it was meant as a template without quotes: what is wrong is told once."""
        found: dict[str, Any] = {}
        is_template = False
        while (event := get()).__class__ is not yaml.MappingEndEvent:
            is_template = is_template or event.__class__ is yaml.MappingStartEvent
            line = _line(event)
            key = self.key(event, get, line)
            value, child = self.value(get(), get)
            child.line = line
            if key is None:
                continue
            if key in found:
                self.note(line, f"the key {key!r} is given twice; first at line {node.children[key].line}")
                continue
            found[key] = value
            node.children[key] = child
        return "" if is_template else found

    def key(self, event: Any, get: Events, line: int) -> str | None:
        """Keys are text as written; None where the key is no text at all."""
        if event.__class__ is not yaml.ScalarEvent:
            self.value(event, get)
            hint = '; a template must stand in quotes: "{{ … }}"' if event.__class__ is yaml.MappingStartEvent else ""
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
        if event.tag is None:
            return None
        if event.tag == "!":
            return "str"
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


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


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
