"""Servers that are processes of their own: killed, explained by their logs, and gone in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agentkit.errors import EngineError
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.fleet import Fleet
from tests.serve.fleet.conftest import BASE, QUICK, SETTINGS, adapter_target, kill, until


def mine() -> list[psutil.Process]:
    """The servers that this process started, and their keepers."""
    children = psutil.Process().children(recursive=True)
    return [
        it for it in children if it.is_running() and it.status() != "zombie" and "fake_vllm.py" in str(it.cmdline())
    ]


async def test_a_killed_process_comes_again_and_all_are_gone_in_the_end(
    base: Path, processes: Path, cache: Path
) -> None:
    said: list[str] = []
    async with Fleet(base, name="tiny", settings=SETTINGS, pace=QUICK, on_progress=said.append) as fleet:
        (dead,) = fleet.serving(BASE)
        kill(processes, dead.base_url)
        await until(lambda: not fleet.serving(BASE))
        await until(lambda: fleet.serving(BASE))
        (again,) = fleet.serving(BASE)
        assert (again.base_url, again.api_key) != (dead.base_url, dead.api_key)
        assert len(mine()) == 2
    assert any(it.startswith("engine-0: dead: vLLM ended with exit code 137") for it in said)
    assert mine() == []
    assert len(list((cache / "logs").iterdir())) == 1, "of the server that died"


async def test_what_the_log_of_a_server_says_that_does_not_come_up(base: Path, processes: Path) -> None:
    (processes / "die").touch()
    with pytest.raises(EngineError, match="vLLM ended with exit code 1 before it was ready") as caught:
        await Fleet(base, name="tiny", settings=SETTINGS, pace=QUICK).__aenter__()
    assert "RuntimeError: not enough memory" in str(caught.value)
    assert mine() == []


async def test_logs_that_cannot_be_written_are_told(
    base: Path, processes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "file"))
    fleet = Fleet(base, name="tiny", settings=SETTINGS, pace=QUICK)
    with pytest.raises(EngineError, match=r"file/logs: found .Not a directory., expected .* AGENTKIT_CACHE"):
        await asyncio.wait_for(fleet.__aenter__(), 60)


@pytest.mark.slow
async def test_a_swap_to_weights_that_were_merged(
    base: Path, processes: Path, cache: Path, make_adapter: Callable[..., AdapterFolder]
) -> None:
    adapter = make_adapter()
    async with Fleet(base, name="tiny", settings=SETTINGS, pace=QUICK) as fleet:
        await fleet.swap([adapter])
        (merged,) = fleet.serving(adapter_target(adapter.name))
        assert merged.model == f"tiny+{adapter.name}"
        assert next((cache / "models").iterdir()).name.startswith(f"base+{adapter.name}-")
        kill(processes, merged.base_url)
        await until(lambda: fleet.replicas[1].restarts)
        await until(lambda: fleet.serving(adapter_target(adapter.name)))
    assert mine() == []
