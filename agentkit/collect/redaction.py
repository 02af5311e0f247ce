"""Takes out of an exchange what identifies people and what is secret, before anything of it is written.

`anna@example.org` becomes `[email 48213]`. The number is a hash, keyed with the project's secret, of the conversation
and the value: the same value has the same number throughout a conversation, in whichever process, request or judgement
it occurs, and another one in another conversation. A key becomes `[redacted]`. A file inside a message, which cannot be
read, is replaced by what it was.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from agentkit.collect.pii import Found, find, is_phone_name, searches
from agentkit.collect.pseudonym import is_pseudonym, keyed_hash, pseudonym
from agentkit.config import CollectSettings
from agentkit.records import ConversationId, Exchange
from agentkit.redact import REDACTED, is_secret_field, redact

PLACEHOLDER = re.compile(r"\[([a-z][a-z0-9_]{0,31}) ([1-9][0-9]{0,4})\]")
"""Kind and number."""

_NUMBERS = 99_999
_REMEMBERED = 4096
"""Characters of the longest text whose findings are remembered: each request repeats the conversation so far."""
_MOST_TOOLS = 1024
"""Of so many tools it is remembered that they are clean, by their hash."""
_DEEPEST = 100
_FILE = re.compile(
    r"data:((?:application|audio|font|image|message|model|multipart|text|video)/[\w.+-]{1,100})?(?:;[^\s,;]{1,100}){0,4},",
    re.IGNORECASE,
)
"""A `data:` URL (RFC 2397), and not somebody's line that begins with the word."""
_FILE_FIELDS = {"file_data", "data"}
_LONGEST_DATA = 200
_NAMES_USER = {"user", "user_id", "safety_identifier", "consent", "conversation_id", "prompt_cache_key"}
"""What tells who the user is; the exchange itself has the pseudonym and the conversation."""
_COOKIES = {"cookie", "set-cookie"}
"""Names whose values are secret only where they read as a header's: a cookie may be a cake."""
_JSON = re.compile(r"\s*[{\[]")


class Redactor:
    """Takes personal data and secrets out, for one project. Safe to share between threads."""

    def __init__(self, settings: CollectSettings) -> None:
        """Raises ConfigError for a pattern or region that cannot be used."""
        self._folder = Path(settings.folder)
        looking = searches(settings.kinds, settings.phone_regions, settings.patterns)

        def found(text: str) -> tuple[str, tuple[Found, ...]]:
            cleaned = redact(text.encode("utf-8", "backslashreplace").decode())
            return cleaned, tuple(find(cleaned, looking))

        self._found = found
        self._remembered = functools.lru_cache(maxsize=4096)(found)
        self._clean_tools: set[bytes] = set()
        """Hashes of tools in which there is nothing to redact, which nearly all requests repeat."""

    def exchange(self, it: Exchange) -> Exchange:
        """The exchange as it may be written: texts redacted, its user by pseudonym, and named nowhere else."""
        metadata = it.request.get("metadata")
        told = it.user or _user(it.request)
        request = {name: value for name, value in it.request.items() if name not in _NAMES_USER and name != "tools"}
        if isinstance(metadata, Mapping):
            request["metadata"] = {name: value for name, value in metadata.items() if name not in _NAMES_USER}
        return replace(
            it,
            request=self.value(request, it.conversation) | self._tools(it),
            response=None if it.response is None else self.value(it.response, it.conversation),
            error=None if it.error is None else self.text(it.error, it.conversation),
            user=told if told is None or is_pseudonym(told) else pseudonym(told, self._folder),
        )

    def _tools(self, it: Exchange) -> dict[str, Any]:
        if "tools" not in it.request:
            return {}
        tools = it.request["tools"]
        try:
            content = orjson.dumps(tools)
        except TypeError:
            return {"tools": self.value(tools, it.conversation)}
        known = hashlib.sha256(content).digest()
        if known in self._clean_tools:
            return {"tools": tools}
        clean = self.value(tools, it.conversation)
        if clean == tools:
            if len(self._clean_tools) >= _MOST_TOOLS:
                self._clean_tools.clear()
            self._clean_tools.add(known)
        return {"tools": clean}

    def text(self, text: str, conversation: ConversationId) -> str:
        """A text of a conversation, redacted. One that is JSON as a whole stays JSON."""
        if _JSON.match(text):
            try:
                whole = json.loads(text)
            except (ValueError, RecursionError):
                return self._plain(text, conversation)
            clean = self.value(whole, conversation)
            return text if clean == whole else json.dumps(clean, ensure_ascii=False)
        return self._plain(text, conversation)

    def value(self, value: Any, conversation: ConversationId) -> Any:
        """Plain JSON of a conversation, redacted: its texts, its keys, and numbers that are a card's or a phone's."""
        return self._value(value, conversation, "", 0)

    def _value(self, value: Any, conversation: ConversationId, name: str, depth: int) -> Any:
        if depth > _DEEPEST:
            return "[nested too deeply]"
        if is_secret_field(name) and isinstance(value, str | int | float) and not isinstance(value, bool):
            return REDACTED
        if isinstance(value, str):
            return self._field(value, conversation, name)
        if isinstance(value, Mapping):
            return {
                self._plain(str(key), conversation): self._value(item, conversation, str(key), depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._value(item, conversation, name, depth + 1) for item in value]
        if type(value) in (int, float) and abs(value) >= 1_000_000:
            return self._number(value, conversation, name)
        return value

    def _field(self, text: str, conversation: ConversationId, name: str) -> str:
        file = _FILE.match(text[:256])
        if file is not None or (name in _FILE_FIELDS and len(text) > _LONGEST_DATA and " " not in text[:1000]):
            return f"[file: {(file[1] if file else '') or 'unknown type'}, {len(text)} characters]"
        if is_phone_name(name) or name.lower() in _COOKIES:
            return self._after(f"{name}: ", text, conversation)
        return self.text(text, conversation)

    def _number(self, value: float, conversation: ConversationId, name: str) -> Any:
        """A bare number in JSON, which can be a card's or, by its name, a phone's."""
        digits = str(value)
        clean = self._after(f"{name}: " if is_phone_name(name) else "", digits, conversation)
        return value if clean == digits else clean

    def _after(self, context: str, text: str, conversation: ConversationId) -> str:
        """The text redacted as it reads after some words."""
        return self._plain(context + text, conversation).removeprefix(context)

    def _plain(self, text: str, conversation: ConversationId) -> str:
        text, found = self._remembered(text) if len(text) <= _REMEMBERED else self._found(text)
        if not found:
            return text
        parts, place = [], 0
        for it in found:
            parts += [text[place : it.start], self._placeholder(it, conversation)]
            place = it.end
        return "".join((*parts, text[place:]))

    def _placeholder(self, it: Found, conversation: ConversationId) -> str:
        content = f"{conversation}\0{it.kind}\0{it.value}".encode("utf-8", "backslashreplace")
        number = int.from_bytes(keyed_hash(self._folder, "placeholder", content)[:8]) % _NUMBERS + 1
        return f"[{it.kind} {number}]"


def _user(request: Mapping[str, Any]) -> str | None:
    """Whom the caller names as its user, where it does."""
    metadata = request.get("metadata")
    places = [request, metadata] if isinstance(metadata, Mapping) else [request]
    named = (place.get(name) for place in places for name in ("user", "user_id", "safety_identifier"))
    return next((str(it) for it in named if isinstance(it, str | int) and str(it).strip()), None)
