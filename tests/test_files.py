"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from agentkit.errors import UsageError
from agentkit.files import write_whole
from agentkit.gate.files import write_json


def test_what_cannot_be_put_in_place_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "baseline.json"
    write_whole(file, b"old")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"new")
    with pytest.raises(UsageError, match=r"baseline\.json: cannot be written: No space left on device"):
        write_json({"new": 1}, file)
    assert [it.name for it in tmp_path.iterdir()] == ["baseline.json"], "no draft stays behind"
    assert file.read_bytes() == b"old"


def test_a_private_file_is_the_owners_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"", private=True)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    write_whole(tmp_path / "a", b"")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) & 0o600 == 0o600
