"""Fleets of small stand-ins for vLLM, within this process or as others, and adapters with probes that fit them."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.errors import EngineError
from agentkit.records import AdapterName, Target, TargetKind
from agentkit.serve import Endpoint, EngineSettings, merged
from agentkit.serve import engine as engine_module
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.fleet import Fleet, Pace
from agentkit.serve.fleet import fleet as fleet_module
from agentkit.serve.fleet import server as server_module
from agentkit.serve.fleet.prepared import Merged, Prepared
from agentkit.serve.merged import merged_name
from agentkit.serve.model_hash import file_hash
from agentkit.tune import publish
from tests.serve.fleet.fake_vllm import Control, FakeVllm, number
from tests.tune.small_lora import make_card, write_base, write_lora

FAKE = Path(__file__).with_name("fake_vllm.py")
MERGE = Path(__file__).parents[2] / "tune" / "numpy_merge.py"
BASE = Target(TargetKind.BASE)
TOKENS = (3, 14, 15, 92, 65, 35)
QUICK = Pace(look=0.005, probe=0.02, probe_timeout=5.0, backoff=0.02, steady=0.0, reload=0.02, drain=5.0)
SETTINGS = EngineSettings(max_loras=3, max_cpu_loras=3, start_timeout=20)


def adapter_target(name: AdapterName) -> Target:
    return Target(TargetKind.ADAPTER, name)


class Near:
    """A server within this process."""

    def __init__(self, model: str | Path, name: str, control: Control) -> None:
        self.name, self.control = name, control
        self.fake: FakeVllm | None = None
        self.why: str | None = None

    async def start(self) -> Endpoint:
        if self.control.die:
            raise EngineError("RuntimeError: not enough memory")
        if self.control.no_process:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        key = secrets.token_hex(8)
        self.fake, self.why = FakeVllm(self.name, key, self.control), None
        return Endpoint(f"http://127.0.0.1:{await self.fake.listen()}/v1", self.name, key)

    def ended(self) -> str | None:
        return self.why

    async def kill(self) -> None:
        self.why = f"{self.name} was killed"
        await self.stop()

    async def stop(self, *, keep_log: bool = False) -> None:
        if self.fake is not None:
            await self.fake.close()
            self.fake = None


class Park:
    """Makes servers within this process, and knows them in the order in which they were made."""

    def __init__(self) -> None:
        self.control = Control()
        self.servers: list[Near] = []

    def make(self, model: str | Path, name: str, settings: EngineSettings) -> Near:
        self.servers.append(Near(model, name, self.control))
        return self.servers[-1]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def park(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Park:
    """Servers within this process; nothing is merged either."""

    def merge(prepared: Prepared, base: Path, name: str, tell: Callable[[str], None]) -> Merged:
        return Merged(prepared, base, merged_name(name, [prepared.folder]))

    monkeypatch.setattr(fleet_module, "merge", merge)
    return Park()


@pytest.fixture
def processes(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Servers in processes of their own, and a program that merges; gives the folder of the servers' ids."""
    folder = tmp_path / "servers"
    folder.mkdir()

    def command(model: str, name: str, port: int, settings: EngineSettings) -> list[str]:
        return [sys.executable, "-S", "-E", str(FAKE), str(port), name, str(folder)]

    monkeypatch.setattr(engine_module, "vllm_command", command)
    monkeypatch.setattr(server_module, "_LOOK", 0.02)
    monkeypatch.setattr(merged, "PROGRAM", (sys.executable, str(MERGE)))
    monkeypatch.setattr(merged, "_SOURCE", MERGE)
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


@pytest.fixture
def make_adapter(tmp_path: Path, base: Path) -> Callable[..., AdapterFolder]:
    def make(step: str = "refund", seed: int = 1, change: float = 1.0) -> AdapterFolder:
        source = write_lora(tmp_path / f"trained-{step}-{seed}", seed)
        expected = [number(it, False) for it in TOKENS[2:]]
        adapted = [number(it, False) + change * (number(it, True) - number(it, False)) for it in TOKENS[2:]]
        probe = {
            "weights": file_hash(source / "adapter_model.safetensors"),
            "prompts": [{"tokens": TOKENS, "start": 2, "adapter": adapted, "base": expected}],
        }
        (source / "probe.json").write_text(json.dumps(probe))
        return publish(source, tmp_path / "adapters", make_card(base, step=step))

    return make


@pytest.fixture
def make_fleet(park: Park, base: Path) -> Callable[..., Fleet]:
    def make(replicas: int = 2, room: int = 3, **more: object) -> Fleet:
        settings = EngineSettings(max_loras=room, max_cpu_loras=room)
        return Fleet(
            base,
            name="tiny",
            replicas=replicas,
            settings=settings,
            pace=QUICK,
            maker=park.make,
            **more,  # type: ignore[arg-type]
        )

    return make


async def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.005)


def kill(folder: Path, base_url: str) -> None:
    """`kill -9` of the server behind a URL."""
    port = base_url.removesuffix("/v1").rpartition(":")[2]
    os.kill(int((folder / f"pid-{port}").read_text()), signal.SIGKILL)
