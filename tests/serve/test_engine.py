"""The life of a server process, with a small stand-in for vLLM: ready, failing, and gone in every way to go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from agentkit.errors import EngineError
from agentkit.serve import Engine, EngineSettings
from agentkit.serve import engine as engine_module
from agentkit.serve.keeper import end
from agentkit.serve.process import ServerProcess

FAKE = Path(__file__).with_name("fake_server.py")
SOON = EngineSettings(start_timeout=1.5)
PROGRAM = """
import sys, time
from agentkit.serve import Engine, engine
engine.vllm_command = lambda model, name, port, settings: [sys.executable, {fake!r}, str(port), name, "serve"]
with Engine("a-model", name="m"):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in writes the process ids of its keeper, itself and its child; also a cache of our own."""
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_SERVER_PIDS", str(tmp_path / "pids"))
    return tmp_path / "pids"


@pytest.fixture
def behave(pids: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def choose(behaviour: str) -> None:
        def command(model: str, name: str, port: int, settings: EngineSettings) -> list[str]:
            return [sys.executable, str(FAKE), str(port), name, behaviour]

        monkeypatch.setattr(engine_module, "vllm_command", command)

    return choose


def assert_gone(pids: Path) -> None:
    """Neither keeper nor server nor child still runs; a process that only waits to be collected has ended."""
    deadline = time.monotonic() + 20
    left = [int(pid) for pid in pids.read_text().split()]
    while (left := [pid for pid in left if running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_serves_while_the_block_runs(behave: Callable[[str], None], pids: Path, tmp_path: Path) -> None:
    behave("serve")
    said: list[str] = []
    with Engine("a-model", name="m", on_progress=said.append) as endpoint:
        assert endpoint.model == "m"
        answer = httpx.get(f"{endpoint.base_url}/models", headers={"Authorization": f"Bearer {endpoint.api_key}"})
        assert answer.json() == {"data": [{"id": "m"}]}
        assert httpx.get(f"{endpoint.base_url}/models").status_code == 401
        assert endpoint.api_key not in repr(endpoint)
        for pid in pids.read_text().split():
            assert endpoint.api_key not in Path(f"/proc/{pid}/cmdline").read_text()
    assert_gone(pids)
    assert said[0] == "starting vLLM with m"
    assert said[-1].startswith("vLLM is ready after")
    assert list((tmp_path / "cache" / "logs").iterdir()) == []


@pytest.mark.slow
def test_two_at_once_have_ports_and_keys_of_their_own(behave: Callable[[str], None]) -> None:
    behave("serve")
    with Engine("a-model", name="m") as one, Engine("a-model", name="m") as two:
        assert one.base_url != two.base_url
        assert one.api_key != two.api_key


def test_an_exception_in_the_block_stops_the_server(behave: Callable[[str], None], pids: Path) -> None:
    behave("serve")
    with pytest.raises(ZeroDivisionError), Engine("a-model", name="m"):
        _ = 1 / 0
    assert_gone(pids)


def test_a_server_that_dies_is_explained_by_its_log(behave: Callable[[str], None], pids: Path, tmp_path: Path) -> None:
    behave("die")
    with pytest.raises(EngineError, match="exit code 3") as caught, Engine("a-model", name="m"):
        pytest.fail("it cannot have started")
    assert "RuntimeError: not enough memory" in str(caught.value)
    (log,) = (tmp_path / "cache" / "logs").iterdir()
    assert str(log) in str(caught.value)
    assert_gone(pids)


def test_of_a_long_log_only_the_end_is_read(pids: Path) -> None:
    process = ServerProcess([sys.executable, "-c", "print('the end')"], os.environ)
    try:
        while process.exit_code is None:
            time.sleep(0.01)
        with process.log.open("r+b") as log:
            log.truncate(2**26)  # one line of nothing
            log.seek(0, os.SEEK_END)
            log.write("a\n\u00e9\nRuntimeError: not enough memory\n".encode())
        words = process.explain("it ended")
        assert words.startswith(f"it ended; the end of its log, {process.log}:\n")
        assert words.endswith("\n  \u00e9\n  RuntimeError: not enough memory")
        assert len(words) < 2**17
    finally:
        process.stop()
    assert process.explain("it ended").startswith("it ended; its log cannot be read: [Errno 2]")


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", ["mute", "other"])
def test_a_server_that_never_serves_our_model_is_given_up(
    behave: Callable[[str], None], pids: Path, behaviour: str
) -> None:
    behave(behaviour)
    with (
        pytest.raises(EngineError, match=r"not ready after 2 s"),
        Engine("a-model", name="m", settings=SOON),
    ):
        pytest.fail("it cannot have started")
    assert_gone(pids)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_the_process_that_started_it(pids: Path, how: signal.Signals) -> None:
    program = PROGRAM.format(fake=str(FAKE))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        owner.send_signal(how)
    assert_gone(pids)


@pytest.mark.skipif(sys.platform != "linux", reason="how long a variable may be is Linux's")
def test_a_process_that_the_system_does_not_start_is_told(pids: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"could not be started: .*Argument list too long"):
        ServerProcess(["server"], {"TOO_LONG": "x" * 2**20})
    assert list((tmp_path / "cache" / "logs").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_server_ends_with_a_killed_keeper(behave: Callable[[str], None], pids: Path) -> None:
    behave("serve")
    with Engine("a-model", name="m"):
        keeper, server, child = (int(pid) for pid in pids.read_text().split())
        os.kill(keeper, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while running(server) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not running(server)
        os.kill(child, signal.SIGKILL)  # the stand-in, unlike vLLM, leaves its child alone when asked to end


def test_a_process_that_ignores_the_request_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.serve.keeper.GRACE", 0.3)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        end(child)
        assert child.wait() == -signal.SIGKILL
