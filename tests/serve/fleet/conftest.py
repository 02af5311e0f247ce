"""A fleet of small stand-ins for vLLM, each a real process, and adapters with probes that fit them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.records import AdapterName, Target, TargetKind
from agentkit.serve import EngineSettings, merged
from agentkit.serve import engine as engine_module
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.fleet import Fleet, Pace
from agentkit.serve.fleet import server as server_module
from agentkit.serve.model_hash import file_hash
from agentkit.tune import publish
from tests.tune.small_lora import make_card, write_base, write_lora

FAKE = Path(__file__).with_name("fake_vllm.py")
MERGE = Path(__file__).parents[2] / "tune" / "numpy_merge.py"
BASE = Target(TargetKind.BASE)
TOKENS = (3, 14, 15, 92, 65, 35)
QUICK = Pace(look=0.02, probe=0.05, probe_timeout=5.0, backoff=0.05, steady=0.0, drain=5.0)


def number(token: int, adapted: bool) -> float:
    """As the stand-in computes it."""
    return -1 - token % 5 / 10 + (0.5 + token % 3 / 10 if adapted else 0.0)


def adapter_target(name: AdapterName) -> Target:
    return Target(TargetKind.ADAPTER, name)


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder by which the stand-ins are told how to behave."""
    folder = tmp_path / "control"
    folder.mkdir()

    def command(model: str, name: str, port: int, settings: EngineSettings) -> list[str]:
        return [sys.executable, "-S", "-E", str(FAKE), str(port), name, str(folder)]

    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
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
            "prompts": [
                {
                    "tokens": TOKENS,
                    "start": 2,
                    "adapter": adapted,
                    "base": expected,
                }
            ],
        }
        (source / "probe.json").write_text(json.dumps(probe))
        return publish(source, tmp_path / "adapters", make_card(base, step=step))

    return make


@pytest.fixture
def make_fleet(control: Path, base: Path) -> Callable[..., Fleet]:
    def make(replicas: int = 2, room: int = 3, **more: object) -> Fleet:
        settings = EngineSettings(max_loras=room, max_cpu_loras=room, start_timeout=20)
        return Fleet(base, name="tiny", replicas=replicas, settings=settings, pace=QUICK, **more)  # type: ignore[arg-type]

    return make


async def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


def kill(control: Path, base_url: str) -> None:
    """`kill -9` of the server behind a URL."""
    port = base_url.removesuffix("/v1").rpartition(":")[2]
    os.kill(int((control / f"pid-{port}").read_text()), signal.SIGKILL)


def events(control: Path) -> list[str]:
    file = control / "events"
    return file.read_text().splitlines() if file.exists() else []
