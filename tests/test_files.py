"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from agentkit.cli.options import check_writable
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


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for place in (pipe, link):
            check_writable(str(place))
            write_whole(place, b"content")
            assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert link.is_symlink()


def test_a_terminal_is_written_to(tmp_path: Path) -> None:
    above, below = os.openpty()
    os.set_blocking(above, False)
    link = tmp_path / "stdout"
    link.symlink_to(os.ttyname(below))
    try:
        write_whole(link, b"content")
        assert os.read(above, 100) == b"content"
    finally:
        os.close(above)
        os.close(below)
    assert link.is_symlink()


def test_a_symlink_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    latest, target = tmp_path / "latest.json", tmp_path / "reports" / "november.json"
    latest.symlink_to(Path("reports") / "november.json")
    for content in (b"new", b"newer"):
        check_writable(str(latest))
        write_whole(latest, content)
        assert latest.is_symlink()
        assert target.read_bytes() == content
    assert [it.name for it in target.parent.iterdir()] == ["november.json"], "no draft stays behind"
    latest.unlink()
    latest.symlink_to(Path("gone") / "november.json")
    with pytest.raises(UsageError, match="gone is no folder"):
        check_writable(str(latest))


def test_a_pipe_that_one_may_not_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    with pytest.raises(UsageError, match="it is a device or pipe that one may not write to"):
        check_writable(str(tmp_path / "pipe"))
