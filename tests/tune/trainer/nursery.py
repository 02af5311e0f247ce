"""Starts the training program many times and loads what it needs once.

Torch, TRL and their kin take longer to load than a tiny model to train. So one process loads them and does nothing
else; each training is a fork of it, a process of its own like the real one: it can be killed, and has an exit code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOADED = "agentkit.tune.trainer.grpo", "agentkit.tune.trainer.sft", "agentkit.tune.trainer.preference"


class Fork:
    """A training under way, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.ask("poll", self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        limit = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > limit:
                self.send_signal(signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} took more than {timeout:g} s")
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class Nursery:
    """The process that is forked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.tune.trainer.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            cwd=Path(__file__).parents[3],
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if said != b"ready\n":
            rest, _ = self._process.communicate()
            raise RuntimeError(f"the training program cannot be loaded:\n{(said + rest).decode()}")

    def start(self, folder: Path, verb: str, environment: Mapping[str, str]) -> Fork:
        return Fork(self, self.ask("start", [verb, str(folder), dict(environment)]))

    def ask(self, what: str, about: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, about]).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()  # the end of its input is its own


def _fork(verb: str, folder: str, environment: Mapping[str, str]) -> int:
    """Run the program in a fork; the fork's process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    os.environ.update(environment)
    try:
        log = os.open(f"{folder}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        from agentkit.tune.trainer.__main__ import main

        code = main([verb, folder])
    except BaseException:  # as an interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _code(pid: int) -> int | None:
    """A fork's exit code, negative for a signal; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _load() -> None:
    from importlib import import_module

    from agentkit.tune.trainer.__main__ import quieten
    from agentkit.tune.trainer.without_vllm import hide_vllm

    quieten()
    hide_vllm()
    for name in _LOADED:
        import_module(name)


def _serve() -> None:
    _load()
    print("ready", flush=True)
    for line in sys.stdin:
        what, about = json.loads(line)
        print(json.dumps(_fork(*about) if what == "start" else _code(about)), flush=True)
    os._exit(0)  # taking down what was loaded takes seconds


if __name__ == "__main__":
    _serve()
