"""Spill files: exchanges on the disk on their way into the store.

A *segment* is a file of frames, each a length, a checksum and an exchange as JSON. Its writer holds a lock on it until
it is done with it; whoever gets the lock then, in whichever process, moves it into the store and deletes it. What was
synced is there after a `kill -9`; a frame that was not wholly written is cut.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from agentkit.records import Arm, ConversationId, Exchange, ResponseId, Target, TargetKind, Usage
from agentkit.store.storable import json

SUFFIX = ".segment"
_MAGIC = b"agentkit spill 1\n"
_FRAME = struct.Struct("<II")
"""Bytes of the content, and their CRC-32."""
_LARGEST = 256 * 2**20
"""Bytes of one frame; a length beyond that is none."""

_count = itertools.count()


class SegmentWriter:
    """A new segment, locked. Every method raises OSError where the disk fails; what was synced before is safe."""

    def __init__(self, folder: Path) -> None:
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(_count)}{SUFFIX}"
        self.path = folder / name
        self.synced = len(_MAGIC)
        """Bytes that survive."""
        self.frames = 0
        # Nobody takes it for abandoned before it is locked: until then it has a name that nobody looks for.
        part = folder / f".{name}"
        self._file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            _write(self._file, _MAGIC)
            os.fsync(self._file)
            part.rename(self.path)
            _sync_folder(folder)
        except OSError:
            os.close(self._file)
            part.unlink(missing_ok=True)
            raise

    def append(self, contents: Sequence[bytes]) -> None:
        """Write all of them, and sync; or, where the disk fails, none."""
        try:
            _write(self._file, b"".join(_FRAME.pack(len(it), zlib.crc32(it)) + it for it in contents))
            os.fdatasync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self.synced)
                os.lseek(self._file, self.synced, os.SEEK_SET)
            raise
        self.synced += sum(_FRAME.size + len(it) for it in contents)
        self.frames += len(contents)

    def close(self) -> None:
        """Give it up to whoever moves it; an empty one is deleted."""
        if not self.frames:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that nobody writes to any more."""

    path: Path
    exchanges: tuple[Exchange, ...]
    torn: int
    """Bytes that could not be read."""


@contextmanager
def take(path: Path) -> Iterator[Segment | None]:
    """A segment, locked as long as the block runs; None where somebody else has it, or has moved it already.

    Raises OSError where it cannot be read.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield _read(path, file) if _lock(file, path) else None
    finally:
        os.close(file)


def segments(folder: Path) -> list[Path]:
    """The segments of a folder, the oldest first."""
    try:
        return sorted(it for it in folder.iterdir() if it.suffix == SUFFIX and not it.name.startswith("."))
    except FileNotFoundError:
        return []


def is_held(path: Path) -> bool:
    """Whether a process writes to a segment, or is moving it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def encode(it: Exchange) -> bytes:
    """An exchange as a frame's content."""
    try:
        return orjson.dumps(it)
    except TypeError:
        return json(asdict(it)).encode()


def decode(content: bytes) -> Exchange:
    """The exchange of a frame's content. Raises ValueError, TypeError or KeyError where it is none."""
    values: dict[str, Any] = orjson.loads(content)
    target = values["target"]
    return Exchange(
        **values
        | {
            "id": ResponseId(values["id"]),
            "conversation": ConversationId(values["conversation"]),
            "arm": Arm(values["arm"]),
            "target": Target(TargetKind(target["kind"]), target["name"]),
            "usage": Usage(**values["usage"]),
        }
    )


def _lock(file: int, path: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0 and path.exists()  # else it was moved between opening and locking


def _read(path: Path, file: int) -> Segment:
    with os.fdopen(os.dup(file), "rb") as stream:
        content = stream.read()
    found: list[Exchange] = []
    place, torn = (len(_MAGIC), 0) if content.startswith(_MAGIC) else (len(content), len(content))
    while place < len(content):
        frame = content[place : place + _FRAME.size]
        size, checksum = _FRAME.unpack(frame) if len(frame) == _FRAME.size else (_LARGEST + 1, 0)
        end = place + _FRAME.size + size
        if size > _LARGEST or end > len(content):
            torn += len(content) - place
            break
        body = content[place + _FRAME.size : end]
        try:
            if zlib.crc32(body) != checksum:
                raise ValueError("its checksum is another")
            found.append(decode(body))
        except (ValueError, TypeError, KeyError):
            torn += end - place
        place = end
    return Segment(path, tuple(found), torn)


def _write(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
