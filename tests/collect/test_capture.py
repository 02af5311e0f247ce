"""Capture keeps what it is offered, without ever making anybody wait, and says what it could not keep."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.collect import spill
from agentkit.collect.capture import Capture, is_sampled
from agentkit.collect.spill import SegmentWriter, encode, segments
from agentkit.config import CollectSettings
from agentkit.errors import ConfigError, StoreError
from agentkit.records import ConversationId
from agentkit.store import Store
from tests.collect.captured import make_exchange
from tests.collect.waiting import until


def files_below(folder: Path) -> list[Path]:
    return [it for it in folder.rglob("*") if it.is_file()]


def changed(settings: CollectSettings, **changes: Any) -> CollectSettings:
    return settings.model_copy(update=changes)


async def test_what_is_offered_is_stored_redacted(settings: CollectSettings, store: Store) -> None:
    capture = Capture(settings, store)
    await capture.start()
    said = [{"role": "user", "content": "I am anna@example.org"}]
    offered = make_exchange(request={"messages": said, "user": "Anna", "metadata": {"user": "Anna", "shop": "7"}})
    assert capture.offer(replace(offered, user=None))
    assert capture.offer(make_exchange("second"))
    await until(lambda: capture.figures.stored == 2)
    await capture.stop()
    first = store.exchange(offered.id)
    assert first is not None
    assert first.user is not None
    assert first.user.startswith("user-")
    assert first.request["messages"][0]["content"].startswith("I am [email ")
    assert first.request.keys() == {"messages", "metadata"}
    assert first.request["metadata"] == {"shop": "7"}
    assert replace(first, request=offered.request, user=offered.user) == offered
    found = capture.figures
    assert (found.offered, found.dropped, found.spilled, found.depth, found.alarm) == (2, 0, 2, 0, None)
    assert segments(Path(settings.folder) / "spill") == []


async def test_nothing_of_a_user_is_in_any_file_before_it_is_redacted(
    settings: CollectSettings, tmp_path: Path
) -> None:
    def closed() -> Store:
        raise StoreError("down")

    capture = Capture(settings, closed)
    await capture.start()
    capture.offer(make_exchange(request={"messages": [{"content": "card 4111 1111 1111 1111, anna@example.org"}]}))
    await until(lambda: capture.figures.spilled)
    await until(lambda: capture.figures.alarm)
    assert capture.figures.alarm == "the store cannot be written: exchanges wait in spill files (down)"
    await capture.stop()
    files = files_below(tmp_path)
    assert len(files) == 2, "the secret and a spill file"
    assert not any(b"4111" in it.read_bytes() or b"anna" in it.read_bytes() for it in files)
    assert all(it.stat().st_mode & 0o077 == 0 for it in files)


async def test_who_does_not_consent_is_not_written(settings: CollectSettings, store: Store) -> None:
    def asked(consent: Any) -> Any:
        return {"messages": [], "metadata": {} if consent is None else {"consent": consent}}

    said = {"yes": "true", "no": "false", "odd": "perhaps", "json": True, "refused": False, "silent": None}
    for kind, kept in (("assumed", {"yes", "json", "silent"}), ("required", {"yes", "json"})):
        capture = Capture(changed(settings, consent=kind), store)
        await capture.start()
        for name, consent in said.items():
            assert capture.offer(make_exchange(f"{kind}-{name}", request=asked(consent)))
        await capture.stop()
        assert {it.id for it in store.exchanges() if it.id.startswith(kind)} == {f"{kind}-{name}" for name in kept}
        assert capture.figures.skipped == len(said) - len(kept)
        assert capture.figures.dropped == 0


def test_a_sample_is_the_same_conversations_everywhere() -> None:
    names = [ConversationId(f"conv-{number}") for number in range(4000)]
    chosen = {it for it in names if is_sampled(it, 0.25)}
    assert 850 < len(chosen) < 1150
    assert chosen <= {it for it in names if is_sampled(it, 0.5)}
    assert not any(is_sampled(it, 0.0) for it in names)


async def test_a_full_queue_drops_and_counts(settings: CollectSettings, store: Store) -> None:
    capture = Capture(changed(settings, queue=3), store)
    assert [capture.offer(make_exchange(str(number))) for number in range(5)] == [True] * 3 + [False] * 2
    assert capture.figures.dropped == 2
    assert capture.figures.alarm == "the queue is full: exchanges are dropped"
    await capture.start()
    await until(lambda: capture.figures.depth == 0)
    assert capture.offer(make_exchange("later"))
    await capture.stop()
    assert [it.id for it in store.exchanges()] == ["0", "1", "2", "later"]


def test_the_queue_is_bounded_in_bytes(settings: CollectSettings, store: Store) -> None:
    capture = Capture(changed(settings, queue_mb=1.0), store)
    assert capture.offer(make_exchange("a"), size=600_000)
    assert not capture.offer(make_exchange("b"), size=600_000)
    long = "x" * 600_000
    for request in (
        {"messages": [{"content": long}]},
        {"messages": [{"content": [{"type": "text", "text": long}]}]},
        {"messages": [{"tool_calls": [{"function": {"name": "f", "arguments": long}}]}]},
        {"messages": [], "tools": [{"function": {"name": "f", "description": long}}]},
        {"messages": [], "response_format": {"json_schema": {"description": long}}},
    ):
        assert not capture.offer(make_exchange("c", request=request))
    assert not capture.offer(make_exchange("d", response={"tool_calls": [{"function": {"arguments": long}}]}))
    assert capture.offer(make_exchange("e"))


async def test_what_cannot_be_handled_is_dropped_alone(settings: CollectSettings, store: Store) -> None:
    class Odd(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("not today")

    capture = Capture(settings, store)
    await capture.start()
    capture.offer(make_exchange("a", request=Odd(messages=[])))
    capture.offer(
        make_exchange("b", request={"messages": [{"content": "\ud800 \0"}], "top_p": float("nan"), "n": 2**70})
    )
    assert not capture.offer(None)  # type: ignore[arg-type]
    await capture.stop()
    assert [it.id for it in store.exchanges()] == ["b"]
    assert capture.figures.dropped == 2


async def test_a_locked_store_makes_nobody_wait(settings: CollectSettings, store: Store, tmp_path: Path) -> None:
    capture = Capture(settings, store)
    await capture.start()
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for number in range(500):
        assert capture.offer(make_exchange(str(number)))
    await until(lambda: capture.figures.spilled == 500)
    assert capture.figures.stored == 0
    assert capture.figures.depth == 0
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: capture.figures.stored == 500)
    await capture.stop()
    assert len(store.exchanges()) == 500


async def test_a_store_that_is_down_at_first_gets_everything_later(settings: CollectSettings, store: Store) -> None:
    down = True

    def opened() -> Store:
        if down:
            raise StoreError("down")
        return store

    capture = Capture(settings, opened)
    await capture.start()
    capture.offer(make_exchange("a"))
    await until(lambda: capture.figures.alarm)
    down = False
    capture.offer(make_exchange("b"))
    await until(lambda: capture.figures.alarm is None)
    await capture.stop()
    assert {it.id for it in store.exchanges()} == {"a", "b"}


async def test_a_full_disk_drops_counts_and_recovers(
    settings: CollectSettings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    written = os.write

    def write(file: int, content: Any) -> int:
        if full and len(content) > 100:
            written(file, content[:50])  # as a real disk does: a part, and then no more
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(file, content)

    monkeypatch.setattr(spill.os, "write", write)
    capture = Capture(settings, store)
    await capture.start()
    assert capture.offer(make_exchange("a"))
    await until(lambda: capture.figures.dropped == 1)
    assert capture.figures.alarm == "the spill file cannot be written: exchanges are dropped (No space left on device)"
    full = False
    assert capture.offer(make_exchange("b"))
    await until(lambda: capture.figures.stored == 1)
    assert capture.figures.alarm is None
    await capture.stop()
    assert [it.id for it in store.exchanges()] == ["b"]
    assert capture.figures.torn == 0


async def test_spill_files_have_a_limit(settings: CollectSettings, store: Store) -> None:
    def down() -> Store:
        raise StoreError("down")

    capture = Capture(changed(settings, spill_mb=0.02, segment_mb=0.01), down)
    await capture.start()
    for number in range(100):
        capture.offer(make_exchange(str(number)))
        await until(lambda: not capture.figures.depth)
        if capture.figures.dropped:
            break
    assert "the spill files have reached their limit: exchanges are dropped (0 MB)" in (capture.figures.alarm or "")
    await capture.stop()
    size = sum(it.stat().st_size for it in segments(Path(settings.folder) / "spill"))
    assert 5_000 < size < 35_000


async def test_what_a_dead_process_left_is_taken_up(settings: CollectSettings, store: Store) -> None:
    folder = Path(settings.folder) / "spill"
    folder.mkdir(parents=True)
    left = SegmentWriter(folder)
    left.append([encode(make_exchange("left"))])
    held = SegmentWriter(folder)
    held.append([encode(make_exchange("held"))])
    left.close()
    capture = Capture(settings, store)
    await capture.start()
    await until(lambda: capture.figures.stored == 1)
    await capture.stop()
    assert [it.id for it in store.exchanges()] == ["left"], "the other is still being written"
    assert segments(folder) == [held.path]
    held.close()


async def test_one_exchange_that_the_store_refuses_does_not_stop_the_others(
    settings: CollectSettings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Store.add_exchanges

    def refuse(self: Store, batch: Any) -> int:
        if any(it.id == "bad" for it in batch):
            raise StoreError("index row size exceeds the maximum")
        return add(self, batch)

    monkeypatch.setattr(Store, "add_exchanges", refuse)
    folder = Path(settings.folder) / "spill"
    folder.mkdir(parents=True)
    for ids in (["a", "bad", "b"], ["c"]):
        writer = SegmentWriter(folder)
        writer.append([encode(make_exchange(it)) for it in ids])
        writer.close()
    capture = Capture(settings, store)
    await capture.start()
    await until(lambda: capture.figures.stored == 3)
    await capture.stop()
    assert {it.id for it in store.exchanges()} == {"a", "b", "c"}
    assert capture.figures.dropped == 1
    assert segments(folder) == []


async def test_old_exchanges_go_at_the_start(settings: CollectSettings, store: Store) -> None:
    store.add_exchanges([make_exchange("old", at="2020-01-01T00:00:00Z")])
    capture = Capture(changed(settings, retention_days=30.0), store)
    await capture.start()
    await until(lambda: not store.exchanges())
    await capture.stop()
    assert capture.figures.dropped == 0, "what is old is no loss"


async def test_a_secret_that_others_may_read_is_refused(settings: CollectSettings, store: Store) -> None:
    secret = Path(settings.folder) / "secret.key"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"x" * 32)
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match=rf"{secret}: others may read it \(mode 0644\), expected 0600"):
        await Capture(settings, store).start()


@pytest.fixture
def small_disk(settings: CollectSettings) -> Iterator[Path]:
    """A file system of 256 kB at the folder of the settings."""
    folder = Path(settings.folder)
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only who may mount can try this")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
async def test_a_disk_that_is_really_full(settings: CollectSettings, store: Store, small_disk: Path) -> None:
    trouble = True

    def down() -> Store:
        if trouble:
            raise StoreError("down")
        return store

    capture = Capture(settings, down)
    await capture.start()
    offered = 0
    while not capture.figures.dropped:
        capture.offer(make_exchange(str(offered)))
        offered += 1
        if not offered % 50:
            await until(lambda: not capture.figures.depth)
    assert "No space left on device" in (capture.figures.alarm or "")
    assert capture.figures.spilled > 100
    trouble = False
    await until(lambda: capture.figures.stored == capture.figures.spilled)
    assert capture.offer(make_exchange("afterwards"))
    await until(lambda: store.exchange("afterwards"))
    await capture.stop()
    assert capture.figures.alarm is None
    assert len(store.exchanges()) == capture.figures.spilled == capture.figures.stored
    assert capture.figures.torn == 0
    assert store.exchange("0") == make_exchange("0")
    assert segments(small_disk / "spill") == []


async def test_two_processes_share_a_folder(settings: CollectSettings, store: Store) -> None:
    both = [Capture(settings, store) for _ in range(2)]
    for capture in both:
        await capture.start()
    for number in range(200):
        both[number % 2].offer(make_exchange(str(number)))
        if not number % 50:
            await until(lambda: not any(it.figures.depth for it in both))
    for capture in both:
        await capture.stop()
    assert sorted(int(it.id) for it in store.exchanges()) == list(range(200))
    assert sum(it.figures.stored for it in both) == 200
    assert segments(Path(settings.folder) / "spill") == []
