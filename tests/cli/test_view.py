"""`agentkit view` as a user runs it."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import COMMAND, Cli


@pytest.mark.slow
def test_it_prints_its_address_answers_and_ends_cleanly(tmp_path: Path) -> None:
    arguments = ["view", "--port", "0", "--no-open"]
    with subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stdout=-1, stderr=-1, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[0]
            assert url.startswith("http://127.0.0.1:")
            assert httpx.get(f"{url}api/runs", trust_env=False).json() == {"runs": [], "history": ""}
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, rest.strip(), errors) == (0, "", "")


def test_a_taken_port_is_an_error_that_says_so(bare: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = bare("view", "--port", port, "--no-open")
    assert done.returncode == 2
    assert f"error: --port: 127.0.0.1:{port} cannot be used: Address already in use" in done.stderr


def test_without_the_library_that_draws_it_says_what_to_install(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = bare("view", "--no-open")
    assert done.returncode == 2
    assert "pip install 'agentkit-reliability[report]'" in done.stderr
