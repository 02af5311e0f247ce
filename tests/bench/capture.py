"""What capturing costs: the answer's path, the thread behind it, and texts that were made to be slow.

    python tests/bench/capture.py                     # about a minute
    python tests/bench/capture.py --rate 150 --check  # exit status 1 where a limit is exceeded

Exchanges are of a conversation of ten messages with tools (about 6 kB), each with an e-mail address, a phone number and
a text of its own, so that nothing is found in a cache that would not be in production.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[2]))

from agentkit.collect.capture import Capture
from agentkit.collect.pii import find, searches
from agentkit.collect.redaction import Redactor
from agentkit.collect.spill import SegmentWriter, encode
from agentkit.config import CollectSettings
from agentkit.records import ConversationId, Exchange
from agentkit.store import Store
from tests.collect.conversations import LOOK_UP, REFUND, exchanges, user
from tests.collect.test_pii import HOSTILE

T = TypeVar("T")
RATE = 300
SIZE = 6_000
"""Bytes of one exchange, as the router tells them."""
ADDED_MEDIAN_MS, ADDED_P99_MS, WINDOW_MS = 0.5, 10.0, 100.0
"""What capture may add to the wait of the event loop, of the 5 and 25 ms that the router has in all; and the window."""


def made(count: int) -> list[Exchange]:
    """Exchanges of conversations that differ in what their users say."""
    found: list[Exchange] = []
    for number in range(0, count, 4):
        hello = user(f"Conversation {number}: mail me at anna{number}@example.org or (415) 555-{number % 10_000:04d}.")
        name = f"c{number}"
        found += exchanges(name, hello, *LOOK_UP[1:], *REFUND, conversation=ConversationId(name), user=f"user {number}")
    return found[:count]


async def latency(capture: Capture | None, offered: list[Exchange], rate: float) -> list[float]:
    """How late the event loop is, in milliseconds, at each of the moments at which a request would be answered."""
    late, due = [], time.perf_counter()
    for it in offered:
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        begun = time.perf_counter()
        if capture is not None:
            capture.offer(it, size=SIZE)
        late.append(1000 * (time.perf_counter() - due))
        due = max(due, begun)
    return late


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  threads set what is waited for
        await asyncio.sleep(0.005)


def at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def path(seconds: float, rate: float) -> bool:
    with tempfile.TemporaryDirectory() as folder, Store.open(f"sqlite:///{folder}/store.db") as store:
        offered = made(int(seconds * rate))
        capture = Capture(CollectSettings(folder=f"{folder}/collect"), store)
        await capture.start()
        without = await latency(None, offered, rate)
        windows: list[float] = []

        async def watch() -> None:
            while True:
                windows.append(1000 * capture.figures.window)
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        with_it = await latency(capture, offered, rate)
        watching.cancel()
        await capture.stop()
        found = capture.figures
    median, p99 = (at(with_it, share) - at(without, share) for share in (0.5, 0.99))
    print(f"At {rate:.0f} exchanges a second for {seconds:.0f} s:")
    print(
        f"  the event loop's delay   median {at(without, 0.5):.2f} ms without, {at(with_it, 0.5):.2f} ms with capture"
    )
    print(
        f"                           p99    {at(without, 0.99):.2f} ms without, {at(with_it, 0.99):.2f} ms with capture"
    )
    print(f"  in memory alone          median {at(windows, 0.5):.0f} ms, p99 {at(windows, 0.99):.0f} ms, "
          f"longest {max(windows):.0f} ms (limit {WINDOW_MS:.0f})")  # fmt: skip
    print(f"  offered {found.offered}, on the disk {found.spilled}, stored {found.stored}, dropped {found.dropped}")
    return median <= ADDED_MEDIAN_MS and p99 <= ADDED_P99_MS and at(windows, 0.99) <= WINDOW_MS and not found.dropped


async def most(count: int) -> None:
    """How many a second get through, when all are offered at once."""
    with tempfile.TemporaryDirectory() as folder, Store.open(f"sqlite:///{folder}/store.db") as store:
        offered = made(count)
        capture = Capture(CollectSettings(folder=f"{folder}/collect", queue=count), store)
        await capture.start()
        begun = time.perf_counter()
        for it in offered:
            capture.offer(it, size=SIZE)
        told = time.perf_counter() - begun
        await until(lambda: not capture.figures.depth and capture.figures.spilled == count)
        safe = time.perf_counter() - begun
        await capture.stop()
        stored = time.perf_counter() - begun
        assert capture.figures.stored == count
    print(f"All {count} at once: {1e6 * told / count:.1f} µs for an offer, "
          f"{count / safe:,.0f} a second to the disk, {count / stored:,.0f} a second into the store")  # fmt: skip


def parts(count: int) -> None:
    """What each part costs, in microseconds of one exchange."""
    with tempfile.TemporaryDirectory() as folder, Store.open(f"sqlite:///{folder}/store.db") as store:
        redactor, offered = Redactor(CollectSettings(folder=folder)), made(count)
        clean: list[Exchange] = []
        print("Parts, in µs of CPU for one exchange:")
        _part("redact", lambda: clean.extend(redactor.exchange(it) for it in offered), count)
        contents: list[bytes] = []
        _part("encode", lambda: contents.extend(map(encode, clean)), count)
        writer = SegmentWriter(Path(folder))
        _part("write and sync, 10 at a time", lambda: [writer.append(it) for it in chunks(contents, 10)], count)
        _part("store, 100 at a time", lambda: [store.add_exchanges(it) for it in chunks(clean, 100)], count)
        print(f"  ({statistics.mean(map(len, contents)) / 1000:.1f} kB of JSON each)")


def _part(name: str, run: Callable[[], object], count: int) -> None:
    begun = time.process_time()
    run()
    print(f"  {name:<30}{1e6 * (time.process_time() - begun) / count:8.0f}")


def chunks(values: list[T], size: int) -> list[list[T]]:
    return [values[place : place + size] for place in range(0, len(values), size)]


def hostile() -> bool:
    """Texts that were made to be slow: four times the length may take about four times as long."""
    looking, kept = searches(("email", "phone", "card"), ("US",), {}), True
    print("Hostile lines, in ms of CPU:")
    for name, text in HOSTILE.items():
        spent = []
        for times in (1, 4, 16):
            begun = time.process_time()
            find(text * times, looking)
            spent.append(1000 * (time.process_time() - begun))
        kept = kept and spent[2] < 6 * spent[1] + 20
        sizes = ", ".join(
            f"{it:.0f} for {len(text) * times // 1000} kB" for it, times in zip(spent, (1, 4, 16), strict=True)
        )
        print(f"  {name:<18}{sizes}")
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    kept = asyncio.run(path(options.seconds, options.rate))
    asyncio.run(most(2000))
    parts(1000)
    kept = hostile() and kept
    print("limits kept" if kept else "a limit is exceeded")
    return int(options.check and not kept)


if __name__ == "__main__":
    sys.exit(main())
