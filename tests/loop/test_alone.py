"""One process at a time turns a project's loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.errors import UsageError
from agentkit.loop.alone import alone


def test_a_lock_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".agentkit").write_text("a file where the folder should be")
    lock = tmp_path / ".agentkit" / "loop.lock"
    with pytest.raises(UsageError, match=f"{lock} cannot be written: "), alone(lock):
        raise AssertionError("it is not held")


def test_what_fails_while_it_is_held_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="elsewhere"), alone(tmp_path / "loop.lock"):
        raise OSError("elsewhere")
