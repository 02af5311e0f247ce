"""Reading a request's JSON: never more than is allowed, never longer than is allowed, never deeper."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.types import Receive, Scope

from agentkit.config import RouterSettings
from agentkit.serve.router.refused import Refused


class CallerGone(Exception):
    """The caller hung up; there is nobody to answer."""


async def read_json(scope: Scope, receive: Receive, settings: RouterSettings) -> dict[str, Any]:
    """The JSON object that a request carries.

    Raises:
        Refused: 400 no JSON object or nested too deep, 408 too slow, 413 too long, 415 said to be something else.
        CallerGone: it never came.
    """
    _check_kind(scope)
    try:
        async with asyncio.timeout(settings.read_time):
            raw = await _read(scope, receive, settings.max_body)
    except TimeoutError:
        message = f"the body was not here after {settings.read_time:g} s"
        raise Refused(408, "request_timeout", message, close=True) from None
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(400, "invalid_json", f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refused(400, "invalid_json", "the body is JSON, expected an object")
    if deeper_than(settings.max_depth, found):
        raise Refused(400, "too_deep", f"the body is nested deeper than {settings.max_depth} levels")
    return found


def deeper_than(levels: int, value: Any) -> bool:
    """Whether lists and objects are nested deeper than that; the outermost is level 1. Takes no recursion."""
    level = [value]
    for _ in range(levels):
        level = [
            child
            for it in level
            for child in (it.values() if type(it) is dict else it)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a header, by its name in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def _check_kind(scope: Scope) -> None:
    """Only JSON, said to be JSON: what a form of a stranger's web page can send from a browser is not.

    Raises Refused (415).
    """
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Refused(415, "unsupported_media_type", "expected the header `Content-Type: application/json`", close=True)


async def _read(scope: Scope, receive: Receive, most: int) -> bytes:
    """All of the body. Raises Refused (413) as soon as it is known to be longer than `most` bytes."""
    length = header(scope, b"content-length")
    if length is not None and (not length.isdigit() or int(length[:20]) > most):
        raise _too_long(most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _too_long(most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_long(most: int) -> Refused:
    return Refused(413, "request_too_large", f"the body is longer than {most} bytes", close=True)
