"""Whole routers as a person starts them: killed upstreams, the command line, an orderly end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentkit.cli import app
from tests.serve.router.world import HELLO, world

BENCH = Path(__file__).parents[2] / "bench"
AGENTKIT = [sys.executable, "-c", "from agentkit.cli import main; main()", "serve"]


@pytest.mark.slow
def test_nothing_is_lost_when_upstreams_are_killed(tmp_path: Path) -> None:
    program = [sys.executable, str(BENCH / "router_kill.py"), "--seconds", "14", "--rate", "100", "--check"]
    found = subprocess.run(program, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    print(found.stdout)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "lost before anything was streamed       0" in found.stdout


@pytest.mark.slow
def test_the_load_bench_measures(tmp_path: Path) -> None:
    """No limit is checked here: how long something takes tells of the machine, too."""
    program = [sys.executable, str(BENCH / "router_load.py"), "--seconds", "2"]
    found = subprocess.run(program, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    print(found.stdout)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "  lost                       0 of" in found.stdout
    assert "dropped 0" in found.stdout


@pytest.mark.slow
def test_from_keys_to_an_orderly_end(tmp_path: Path) -> None:
    with world() as it:  # its instant upstream is what answers
        _, port = it.upstreams.of[next(iter(it.upstreams.of))][0].base_url.rsplit(":", 1)
        settings = f'[tool.agentkit.upstreams.far]\nmodel = "tiny"\nbase_url = "http://127.0.0.1:{port}"\n'
        (tmp_path / "pyproject.toml").write_text(settings)
        key, admin = _run(tmp_path, "keys", "add", "alice"), _run(tmp_path, "keys", "add", "root", "--admin")
        program = [*AGENTKIT, "--port", "0", "--no-engines"]
        with subprocess.Popen(
            program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                lines = [server.stdout.readline() for _ in range(3)]
                url = lines[0].split()[0]
                assert "*/*" in lines[2]
                assert url.startswith("http://127.0.0.1:")
                _check(url, key, admin)
            finally:
                server.send_signal(signal.SIGTERM)
                said, trouble = server.communicate(timeout=30)
        assert server.returncode == 0, trouble
        assert key not in "".join(lines) + said + trouble
    kept = _run(tmp_path.parent, "keys", "--json", "-", store=f"sqlite:///{tmp_path}/.agentkit/agentkit.db")
    assert '"name": "alice"' in kept
    assert not list((tmp_path / ".agentkit/collect/spill").glob("*.seg*")), "all of it is in the store"


def _check(url: str, key: str, admin: str) -> None:
    mine, theirs = ({"authorization": f"Bearer {it}"} for it in (key, admin))
    route: Any = {"action": "set", "agent": "*", "step": "*", "target": "far", "why": "no engine here"}
    with httpx.Client(trust_env=False, timeout=20) as client:
        assert client.post(f"{url}/admin/routes", json=route, headers=mine).status_code == 403
        assert client.post(f"{url}/admin/routes", json=route, headers=theirs).status_code == 200
        answer = client.post(f"{url}/chat/completions", json=HELLO, headers=mine)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-agentkit-target"] == "far"
        judged = client.post(f"{url}/feedback", json={"response": answer.json()["id"], "thumb": "up"}, headers=mine)
        assert judged.status_code == 200, judged.text


def _run(folder: Path, *words: str, store: str | None = None) -> str:
    env = {**os.environ, **({"AGENTKIT_STORE": store} if store else {})}
    found = subprocess.run([*AGENTKIT, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--no-auth", "--host", "0.0.0.0"], "only on this machine's own address, found --host 0.0.0.0"),
        (["--no-engines", "--replicas", "2"], "--no-engines: expected no --replicas"),
    ],
)
def test_what_is_refused(words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentkit.errors import UsageError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says):
        app.main(["serve", *words], standalone_mode=False)


def test_a_port_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from agentkit.errors import UsageError

    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port} cannot be used: .*; --port 0 takes a free one"):
            app.main(["serve", "--no-engines", "--port", str(port)], standalone_mode=False)
