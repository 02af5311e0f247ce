"""Recognises what varies in a conversation: identifiers that users say or tools answer and calls take up, and what was
redacted. Wherever such a value stands, a draft has the variable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentkit.collect.redaction import PLACEHOLDER
from agentkit.collect.transcript import SaidTurn
from agentkit.ingest.bfcl.scenarios import literal
from agentkit.scenario.patterns import drawing_complaint

_IDENTIFIER = re.compile(r"(?=\S*\d)[^\s{}\"'<>]{3,64}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}.*")
_DECIMAL = re.compile(r"-?\d{1,3}|-?\d+[.,]\d+")
_FAKE: Mapping[str, Mapping[str, Any]] = {
    "email": {"fake": "email"},
    "phone": {"fake": "phone_number"},
    "card": {"pattern": "4[0-9]{15}"},
}
_NO_NAME = re.compile(r"[^A-Za-z0-9_]+")


class Variables:
    """The variables of one conversation."""

    def __init__(self, conversation: Sequence[SaidTurn], schemas: Mapping[str, Any]) -> None:
        """`schemas`: tool → JSON Schema of its arguments."""
        self.names: dict[str, str] = {}
        """Value → name."""
        self._generators: dict[str, dict[str, Any]] = {}
        heard = ""
        for turn in conversation:
            heard += f"\n{turn.user}"
            for name, value, schema in _arguments(turn, schemas):
                if _is_identifier(value) and _stands_in(value, heard):
                    self._add(name, value, schema)
                heard += "".join(f"\n{it}" for it in turn.answers.values())
            for kind, number in PLACEHOLDER.findall(turn.user):
                self._add(kind, f"[{kind} {number}]", {})
        alternatives = "|".join(re.escape(it) for it in sorted(self.names, key=len, reverse=True))
        self._found = re.compile(rf"(?<![A-Za-z0-9])(?:{alternatives})(?![A-Za-z0-9])") if alternatives else None

    def generators(self) -> dict[str, Any]:
        """Name → generator, as a scenario has them; values of one form are kept apart."""
        made: dict[str, Any] = {}
        for name, generator in self._generators.items():
            alike = [other for other, known in self._generators.items() if known == generator and other in made]
            made[name] = {**generator, "unlike": alike} if alike else generator
        return made

    def filled(self, value: Any) -> Any:
        """A value as a scenario has it: variables as templates, and nothing else in it read as one."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {self._text(str(key)): self.filled(item) for key, item in value.items()}
        return [self.filled(it) for it in value] if isinstance(value, list | tuple) else value

    def of_text(self, text: str) -> list[str]:
        """The variables whose values stand in a text, as templates, in order."""
        found = [] if self._found is None else [it[0] for it in self._found.finditer(text)]
        return list(dict.fromkeys(f"{{{{ {self.names[it]} }}}}" for it in found))

    def _text(self, text: str) -> str:
        if self._found is None:
            return str(literal(text))
        parts, place = [], 0
        for it in self._found.finditer(text):
            before = text[place : it.start()]
            opens = before.endswith("{")  # which would join the braces that follow
            parts.append(literal(before[:-1] if opens else before) + ("{{ '{' }}" if opens else ""))
            parts.append(f"{{{{ {self.names[it[0]]} }}}}")
            place = it.end()
        return "".join((*parts, literal(text[place:])))

    def _add(self, name: str, value: str, schema: Mapping[str, Any]) -> None:
        if value in self.names:
            return
        plain = _NO_NAME.sub("_", name).strip("_")[:50] or "value"
        plain = plain if plain[0].isalpha() else f"v_{plain}"
        count = sum(it == plain or it.startswith(f"{plain}_") for it in self.names.values())
        self.names[value] = unique = plain if not count else f"{plain}_{count + 1}"
        self._generators[unique] = _generator(value, schema)


def _generator(value: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    placeholder = PLACEHOLDER.fullmatch(value)
    if placeholder is not None:
        return dict(_FAKE.get(placeholder[1], {"choice": [value]}))
    told = schema.get("pattern")
    if isinstance(told, str):
        pattern = told.removeprefix("^").removesuffix("$")
        if drawing_complaint(pattern) is None and re.fullmatch(pattern, value):
            return {"pattern": pattern}
    shape = re.sub(r"\d+", lambda it: f"[0-9]{{{len(it[0])}}}", re.sub(r"([^\w\s-])", r"\\\1", value))
    return {"pattern": shape} if drawing_complaint(shape) is None else {"choice": [literal(value)]}


def _is_identifier(value: str) -> bool:
    if PLACEHOLDER.fullmatch(value):
        return True
    return bool(_IDENTIFIER.fullmatch(value)) and not _DATE.fullmatch(value) and not _DECIMAL.fullmatch(value)


def _stands_in(value: str, text: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", text) is not None


def _arguments(turn: SaidTurn, schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, value and schema of each text among the arguments of a turn's calls."""
    for move in turn.moves:
        for call in move.calls:
            properties = (schemas.get(call.name) or {}).get("properties") or {}
            for name, value in (call.arguments or {}).items():
                schema = properties.get(name) if isinstance(properties, Mapping) else None
                for it in _texts(value):
                    yield name, it, schema if isinstance(schema, Mapping) else {}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for it in value.values():
            yield from _texts(it)
    elif isinstance(value, list):
        for it in value:
            yield from _texts(it)
