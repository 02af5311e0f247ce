"""Server-sent events: each is there as soon as its last byte is, however the bytes came."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agentkit.serve.router.sse import TooLong, events


async def heard(*sent: bytes) -> list[list[bytes]]:
    """Of each piece, the events that were given before the next one was asked for."""
    found: list[list[bytes]] = []

    async def pieces() -> AsyncIterator[bytes]:
        for piece in sent:
            found.append([])
            yield piece

    async for data in events(pieces(), 1_000):
        found[-1].append(data)
    return found


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_an_event_is_there_with_its_last_byte(end: bytes) -> None:
    one, other = b"data: a" + 2 * end, b"data: b" + 2 * end
    assert await heard(one, other) == [[b"a"], [b"b"]]
    assert await heard(one + other[:3], other[3:]) == [[b"a"], [b"b"]]
    single = await heard(*((one + other)[place : place + 1] for place in range(len(one + other))))
    assert [(place, it) for place, it in enumerate(single) if it] == [
        (len(one) - 1, [b"a"]),
        (len(one + other) - 1, [b"b"]),
    ]


async def test_a_line_end_in_two_pieces() -> None:
    assert await heard(b"data: a\r", b"\n\r", b"\ndata: b\r\n\r\n") == [[], [], [b"a", b"b"]]
    assert await heard(b"data: a\r\ndata: b\r", b"\n: ping\r\n\r", b"\n") == [[], [], [b"a\nb"]]


async def test_an_event_that_does_not_end() -> None:
    assert await heard(b"data: a\r\n\r\ndata: b\r\n") == [[b"a"]]
    with pytest.raises(TooLong, match="more than 1000 bytes"):
        await heard(b"data: ", b"x" * 1_000)
