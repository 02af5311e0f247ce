"""Server-sent events, as far as chat completions use them."""

from __future__ import annotations

from collections.abc import AsyncIterator

DONE = b"data: [DONE]\n\n"


class TooLong(Exception):
    """An event that does not end."""


async def events(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """The data of each event, from bytes in whatever pieces they came; comments and other fields are left out.

    `most`: bytes of an event at which TooLong is raised. What follows the last empty line is no event.
    """
    rest = b""
    async for piece in pieces:
        rest += piece
        if b"\r" in rest:  # one at the end may be half of a line's end, and stays for what follows
            rest = rest.replace(b"\r\n", b"\n")
        *whole, rest = rest.split(b"\n\n")
        for event in whole:
            if data := _data(event):
                yield data
        if len(rest) > most:
            raise TooLong(f"an event of more than {most} bytes")


def _data(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


def event(data: bytes, name: bytes = b"") -> bytes:
    """One event on the wire."""
    return (b"event: " + name + b"\n" if name else b"") + b"data: " + data + b"\n\n"
