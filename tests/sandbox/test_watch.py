"""What several processes hold together, whoever shares what with whom."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentkit.sandbox import watch

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

MB = 1_000_000
_FOUR = """
import mmap, os, sys

def private():
    return b"x" * 20_000_000

def shared():
    held = mmap.mmap(-1, 20_000_000)
    held.write(private())
    return held

early = sys.argv[2] == "before they part"
if early:
    held = globals()[sys.argv[1]]()
for _ in range(3):
    if os.fork() == 0:
        break
if not early:
    held = globals()[sys.argv[1]]()
held[::4096]
os.write(1, b"x")
sys.stdin.read()
"""


@contextmanager
def four(kind: str, when: str) -> Iterator[int]:
    """The first of four processes, with 20 MB each or all together."""
    with subprocess.Popen(
        [sys.executable, "-c", _FOUR, kind, when], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(4):
            assert process.stdout.read(1) == b"x"
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize("kind", ["private", "shared"])
def test_what_each_holds_is_added_up(kind: str) -> None:
    with four(kind, "after they part") as first:
        assert watch.holds_more(first, 70 * MB)
        assert not watch.holds_more(first, 300 * MB)


@pytest.mark.parametrize("kind", ["private", "shared"])
def test_what_they_share_counts_once_where_that_can_be_known(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with four(kind, "before they part") as first:
        assert not watch.holds_more(first, 70 * MB)
        assert watch.holds_more(first, 10 * MB)
        monkeypatch.setattr(watch, "_SHARE", re.compile(rb"nothing is told"))
        assert watch.holds_more(first, 70 * MB)


def test_who_has_ended_holds_nothing() -> None:
    with four("private", "after they part") as first:
        pass
    assert not watch.holds_more(first, 1)
