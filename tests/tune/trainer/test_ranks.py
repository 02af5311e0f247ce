"""Several processes train together, each on its part of every update: on a CPU here, with the real communication."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import psutil
import pytest

from agentkit.errors import AgentkitError
from agentkit.serve.engine import reserved_port
from agentkit.tune.phase import Phase
from agentkit.tune.training import train_phase
from tests.tune.trainer.tiny import REWARDS, events, fresh, result, rows, start, taught, write_grpo

pytestmark = pytest.mark.slow


def run_together(folder: Path, size: int = 2) -> list[int]:
    """The exit codes of the processes, first to last."""
    meeting = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "GLOO_SOCKET_IFNAME": "lo"}
    meeting["AGENTKIT_RENDEZVOUS"] = f"file://{folder / 'meeting'}"
    started = [start(folder, RANK=str(rank), LOCAL_RANK=str(rank), **meeting) for rank in range(size)]
    return [it.wait(timeout=300) for it in started]


def test_two_processes_imitate_as_one_does(tiny: Path, imitated: Path, tmp_path: Path) -> None:
    """An update has the same rows, half of them each; so it is the same update but for rounding."""
    import torch
    from safetensors.torch import load_file

    folder = taught(tmp_path / "sft", tiny)
    assert run_together(folder) == [0, 0]
    one, two = result(imitated), result(folder)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["evaluations"] == one["evaluations"]
    assert [it["loss"] for it in events(folder, "step")] == pytest.approx(
        [it["loss"] for it in events(imitated, "step")], abs=1e-3
    )
    assert len(events(folder, "begin")) == len(events(folder, "end")) == 1, "the first alone tells of it"
    adapter = "adapter/adapter_model.safetensors"
    expected = load_file(imitated / adapter)
    for name, weight in load_file(folder / adapter).items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    "launcher",
    [
        ("torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1"),
        ("accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1", "--mixed_precision=no",
         "--dynamo_backend=no", "--main_process_ip=127.0.0.1"),
    ],
    ids=["torchrun", "accelerate launch"],
)  # fmt: skip
def test_the_launchers_that_people_have_start_processes_that_meet(
    launcher: tuple[str, ...], tiny: Path, imitated: Path, tmp_path: Path
) -> None:
    folder = taught(tmp_path / "sft", tiny)
    with reserved_port() as port:
        flag = f"--master-port={port}" if launcher[0].startswith("torch") else f"--main_process_port={port}"
    fresh(folder, *launcher, flag, GLOO_SOCKET_IFNAME="lo")
    assert result(folder)["processes"] == 2
    assert result(folder)["evaluations"] == result(imitated)["evaluations"]


def test_the_job_starts_processes_that_reinforce_together(tiny: Path, tmp_path: Path) -> None:
    folder = write_grpo(tmp_path / "grpo", tiny)
    told: list[str] = []
    found = train_phase(folder, Phase.read(folder), lambda it: told.append(it["event"]), processes=2)
    assert found["processes"] == 2
    updates = found["evaluations"][-1]["step"]
    assert updates == 8 or found["stopped"]
    assert [it["step"] for it in found["evaluations"]] == list(range(0, updates + 1, 2))
    assert (told.count("begin"), told.count("step"), told.count("end")) == (1, updates, 1)
    written = rows(folder)
    assert [row["step"] for row in written] == [step for step in range(updates) for _ in range(8)]
    for step, mean in enumerate(found["rewards"]):
        update = [row for row in written if row["step"] == step]
        assert mean == pytest.approx(fmean(row["total"] for row in update)), "of the completions of both"
        groups = [{row["prompt"] for row in update[:4]}, {row["prompt"] for row in update[4:]}]
        assert [len(it) for it in groups] == [1, 1]
    for line in events(folder, "step"):
        parts = [row["parts"].get("paints", 0.0) for row in written if row["step"] == line["step"] - 1]
        assert line["rewards/paints/mean"] == pytest.approx(fmean(parts), abs=1e-4), "TRL has those of both, too"
    assert found["rewards"][-1] > found["rewards"][0]
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()


def test_where_one_fails_all_end_and_its_reason_is_told(tiny: Path, tmp_path: Path) -> None:
    """The reward raises in whichever process has the prompt; the other waits for it in vain."""
    raising = '"""It paints."""\n    if "white" in step.prompt[-1].content:\n        raise ValueError("no such thing")'
    source = REWARDS.replace('"""It paints."""', raising)
    folder = write_grpo(tmp_path / "grpo", tiny, source)
    with pytest.raises(AgentkitError, match="no such thing"):
        train_phase(folder, Phase.read(folder), lambda _: None, processes=2)
    left = [it.info["cmdline"] for it in psutil.process_iter(["cmdline"]) if str(folder) in (it.info["cmdline"] or [])]
    assert left == []
    assert not (folder / "result.json").exists()


def test_an_update_that_cannot_be_dealt_out_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = write_grpo(tmp_path / "grpo", tiny, batch=3)
    assert run_together(folder) == [2, 2]
    assert "grpo_prompts: found 3 an update, expected a multiple of the 2 processes" in (folder / "log").read_text()
