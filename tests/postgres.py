"""A PostgreSQL server for the tests: the one that `AGENTKIT_TEST_POSTGRES` names, else a scratch one where there are
its programs."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

_NAMED = "AGENTKIT_TEST_POSTGRES"
_OWNER = "postgres"
"""Who runs it where the tests are run by root, whom the server refuses."""
_QUICK = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


@cache
def programs() -> Path | None:
    """Folder of `initdb` and `pg_ctl`; None where no server can be started here."""
    if importlib.util.find_spec("psycopg") is None:
        return None
    if os.geteuid() == 0 and _OWNER not in {it.pw_name for it in pwd.getpwall()}:
        return None
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((it for it in places if (it / "initdb").exists() and (it / "pg_ctl").exists()), None)


NEEDED = pytest.mark.skipif(
    not os.environ.get(_NAMED) and programs() is None, reason="there is no PostgreSQL here, or no psycopg"
)
"""Of tests that take the fixture `postgres_url`."""


@contextmanager
def server() -> Iterator[str]:
    """The URL of a database on it. A scratch server listens on loopback, and leaves nothing behind."""
    if named := os.environ.get(_NAMED):
        yield named
        return
    binaries = programs()
    assert binaries is not None, "look whether it is available first"
    with tempfile.TemporaryDirectory(prefix="agentkit-postgres-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, _OWNER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        data = Path(folder) / "data"
        _run(binaries / "initdb", "-D", data, "-A", "trust", "-U", _OWNER, "--no-sync")
        listens = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 {_QUICK}"
        _run(binaries / "pg_ctl", "-D", data, "-l", f"{folder}/log", "-o", listens, "-w", "start")
        try:
            yield f"postgresql+psycopg://{_OWNER}@127.0.0.1:{port}/postgres"
        finally:
            _run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _run(*command: object) -> None:
    user = _OWNER if os.geteuid() == 0 else None
    done = subprocess.run(
        [str(it) for it in command],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
