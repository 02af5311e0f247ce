"""How much memory the processes of a sandbox use together: the kernel's own limits look at each by itself."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def memory_of(first: int) -> int:
    """Bytes of memory that a process and all its descendants hold by themselves, shared files left out."""
    total, waiting = 0, [first]
    while waiting:
        process = waiting.pop()
        total += _own_memory(process)
        waiting += _children(process)
    return total


def _own_memory(process: int) -> int:
    try:
        _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
    except (OSError, ValueError):  # it has ended
        return 0
    return (int(resident) - int(shared)) * _PAGE


def _children(process: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        return found
    return found
