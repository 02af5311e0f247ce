"""What the page's forms send, and whether it was this page that sent it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import orjson

from agentkit.collect.labels.label import Mark
from agentkit.errors import FeedbackError, UsageError, near_match
from agentkit.web.label.spacing import as_given, content_of

LONGEST_BODY = 1_000_000
"""Bytes of a form; a text takes up to three times its length."""
_MOST_FIELDS = 16


class Seals:
    """What only this server, as long as it runs, can have made: the tokens of its forms and the name in its cookie."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def token(self, expert: str) -> str:
        """What this expert's forms carry: another site can make the browser send a form, but not know this."""
        return self._seal("form", expert)

    def holds(self, token: str, expert: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token(expert).encode())

    def cookie(self, name: str, expert: str) -> str:
        """The header that keeps an expert's name."""
        value = f"{quote(expert, safe='')}.{self._seal('cookie', expert)}"
        return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict"

    def expert(self, name: str, header: str | None) -> str | None:
        """The name that a cookie of this server's holds; None of anybody else's. Other programs on 127.0.0.1 set
        cookies of any form, which the browser sends beside it."""
        for pair in (header or "").split(";"):
            found, _, value = pair.strip().partition("=")
            written, _, seal = value.rpartition(".")
            expert, seals = unquote(written), seal.encode("utf-8", "replace")
            if found == name and expert and hmac.compare_digest(seals, self._seal("cookie", expert).encode()):
                return expert
        return None

    def _seal(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}\0{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def refused(headers: Message, own: Callable[[str], bool]) -> tuple[HTTPStatus, str] | None:
    """Why a form is not even read; None where it may be this page's. `own`: whether a host is this server's."""
    origin, length = headers.get("Origin", ""), headers.get("Content-Length", "")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    ours = origin.startswith("http://") and own(origin.removeprefix("http://"))
    if not ours or headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return HTTPStatus.FORBIDDEN, "another site may not send forms here"
    if kind != "application/x-www-form-urlencoded":
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected a form"
    if not (length.isascii() and length.isdigit()):
        return HTTPStatus.LENGTH_REQUIRED, "expected the length of the form"
    if len(length) > 9 or int(length) > LONGEST_BODY:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {LONGEST_BODY:,} bytes"
    return None


def read_fields(body: bytes) -> dict[str, str]:
    """The fields of a form, line ends as in the rest of the program.

    Raises:
        UsageError: it is no form, or a field comes twice.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MOST_FIELDS,
            errors="strict",
            strict_parsing=True,
        )
    except (UnicodeDecodeError, ValueError):
        raise UsageError("the form cannot be read") from None
    fields = {name: value.replace("\r\n", "\n") for name, value in pairs}
    if len(fields) != len(pairs):
        raise UsageError("the form has a field twice")
    return fields


def mark_in(fields: Mapping[str, str]) -> Mark:
    """Which button was pressed. Raises UsageError."""
    found = fields.get("mark", "")
    if found not in set(Mark):
        raise UsageError(f"mark: found {found[:40]!a}{near_match(found[:40], list(Mark))}")
    return Mark(found)


def answer_in(fields: Mapping[str, str], given: Mapping[str, Any] | None) -> Any:
    """The better answer that was written: a text, one call, or a whole message as JSON. `given`: the one that it mends,
    whose spacing it keeps.

    Raises:
        FeedbackError: what should be JSON is none.
    """
    match fields.get("form", "text"):
        case "call":
            arguments = _json(fields.get("arguments", ""), "arguments")
            return {"content": None, "tool_calls": [_call(fields.get("tool", ""), arguments)]}
        case "message":
            return _json(fields.get("message", ""), "message")
    return as_given(fields.get("text", ""), content_of(given))


def _call(tool: str, arguments: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": tool, "arguments": arguments}}


def _json(text: str, field: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FeedbackError(
            400, f"{field}: found what is no JSON ({error.msg} at {place}), expected an object"
        ) from None
