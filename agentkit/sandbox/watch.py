"""How much memory the processes of a sandbox use together: the kernel's own limits look at each by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_RESIDENT = re.compile(rb"^Rss(?:Anon|Shmem):\s*(\d+) kB", re.MULTILINE)
_SHARE = re.compile(rb"^Pss_(?:Anon|Shmem):\s*(\d+) kB", re.MULTILINE)
"""`Shmem` is what processes share without a file, and files in memory; other files are left out."""


def holds_more(first: int, limit: int) -> bool:
    """Whether a process and all its descendants hold more than `limit` bytes of memory together.

    A page that several of them share counts once where the kernel tells that, else once for each. It walks through all
    pages to tell it, and is asked only where that decides. Then two looks must agree: a process that ends between two
    readings leaves its share to the others, and the page counts twice.
    """
    if sum(map(_resident, _family(first))) <= limit:
        return False
    return all(sum(map(_share, _family(first))) > limit for _ in range(2))


def _resident(process: int) -> int:
    """Bytes in memory, each page in full."""
    return sum(_sizes(process, "status", _RESIDENT))


def _share(process: int) -> int:
    """Bytes in memory, each page divided by the number of processes that share it; in full where the kernel, or the
    process itself, gives us no right to know that."""
    shares = _sizes(process, "smaps_rollup", _SHARE)
    return sum(shares) if shares else _resident(process)


def _sizes(process: int, file: str, named: re.Pattern[bytes]) -> list[int]:
    """Bytes, as `/proc` tells them; none where it tells nothing."""
    try:
        return [int(size) * 1024 for size in named.findall(Path(f"/proc/{process}/{file}").read_bytes())]
    except OSError:  # it has ended, or is not ours to look at
        return []


def _family(first: int) -> Iterator[int]:
    """The process and all its descendants."""
    waiting = [first]
    while waiting:
        process = waiting.pop()
        yield process
        waiting += _children(process)


def _children(process: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        return found
    return found
