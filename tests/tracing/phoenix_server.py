"""A real Arize Phoenix in an environment of its own, built once and kept in the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

VERSION = "20.26.1"
_START_SECONDS = 240


def environment() -> Path:
    """The folder of the virtual environment, made (a minute, 0.9 GB) where it is missing or of another version."""
    cache = Path(os.environ.get("AGENTKIT_CACHE") or Path.home() / ".cache" / "agentkit")
    folder = cache / "test-envs" / "phoenix"
    done = folder / "complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "phoenix.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.is_file() and done.read_text() == VERSION):
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            install = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", f"arize-phoenix=={VERSION}"]
            subprocess.run(install, check=True)
            done.write_text(VERSION)
    return folder


@contextmanager
def running(working_folder: Path) -> Iterator[str]:
    """The address of a Phoenix that is ready; it is ended when the block is left."""
    port, grpc_port = _free_ports(2)
    url = f"http://127.0.0.1:{port}"
    log = working_folder / "phoenix.log"
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    variables |= {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_WORKING_DIR": str(working_folder),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    with log.open("wb") as output:
        command = [str(environment() / "bin" / "phoenix"), "serve"]
        server = subprocess.Popen(command, env=variables, stdout=output, stderr=output, cwd=working_folder)
    try:
        _wait(server, f"{url}/healthz", log)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen[bytes], health: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(health).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise RuntimeError(f"Phoenix did not start:\n{log.read_text()[-3000:]}")


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; Phoenix cannot be told to take any."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports
