"""A training that is killed goes on, and ends as if it had not been."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tune.trainer.nursery import Fork
from tests.tune.trainer.tiny import (
    REWARDS,
    UPDATES,
    events,
    result,
    rows,
    run,
    start,
    taught,
    write_grpo,
    write_phase,
)

pytestmark = pytest.mark.slow
JOB = """
import sys
from pathlib import Path
from agentkit.tune.phase import Phase
from agentkit.tune.training import train_phase

folder = Path(sys.argv[1])
train_phase(folder, Phase.read(folder), lambda told: print(told["event"], flush=True))
"""
"""What a job does of a training."""


def reached(process: Fork, folder: Path, step: int) -> bool:
    """Wait until so many updates are done; False where it ended before."""
    limit = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < limit:
        if (folder / "progress.jsonl").is_file() and f'"step":{step},'.encode() in (
            folder / "progress.jsonl"
        ).read_bytes():
            return True
        time.sleep(0.005)
    return False


def endless(folder: Path, model: Path) -> Path:
    """A training that nobody waits for."""
    return write_phase(folder, model, method="sft", epochs=9999, evaluate_every=99_999)


def end_at(folder: Path, step: int, number: signal.Signals) -> int:
    """Start training, and send it a signal once `step` updates are done; its exit code."""
    process = start(folder)
    if reached(process, folder, step):
        process.send_signal(number)
    code = process.wait(timeout=60)
    assert not (folder / "result.json").exists(), "it was ended in the middle"
    assert not (folder / "adapter").exists()
    return code


def same(folder: Path, other: Path) -> None:
    """Bit by bit, on one thread."""
    one, two = result(folder), result(other)
    for name in ("best", "stopped", "evaluations", "rewards", "groups_replaced"):
        assert one.get(name) == two.get(name), name
    adapter = "adapter/adapter_model.safetensors"
    assert (folder / adapter).read_bytes() == (other / adapter).read_bytes()
    assert len(events(folder, "begin")) == 2
    last, expected = events(folder, "step")[-1], events(other, "step")[-1]
    for name in {"loss", "kl", "rewards/margins", "reward"} & expected.keys():
        assert last[name] == pytest.approx(expected[name]), name


def test_imitation_that_is_killed_goes_on_from_its_newest_whole_checkpoint(
    tiny: Path, imitated: Path, tmp_path: Path
) -> None:
    folder = taught(tmp_path / "sft", tiny)
    assert end_at(folder, 7, signal.SIGKILL) == -signal.SIGKILL
    checkpoints = sorted((folder / "checkpoints").glob("checkpoint-*"), key=lambda it: int(it.name.split("-")[1]))
    assert checkpoints, "there is one to go on from"
    torn = folder / "checkpoints" / "checkpoint-11"  # written up to the last file, and into that
    shutil.copytree(checkpoints[-1], torn)
    whole = (torn / "trainer_state.json").read_bytes()
    (torn / "trainer_state.json").write_bytes(whole[: len(whole) // 2])
    run(folder)
    same(folder, imitated)
    assert (folder / "checkpoints" / "broken-checkpoint-11").is_dir()
    assert_went_on(folder)


def test_learning_from_preferences_goes_on_with_what_it_had_learned(
    tiny: Path, preferred: Path, tmp_path: Path
) -> None:
    """The reference is still the model of the start, and not the one that training is taken up with."""
    folder = taught(tmp_path / "killed", tiny, preferred.name)
    assert end_at(folder, 7, signal.SIGKILL) == -signal.SIGKILL
    run(folder)
    same(folder, preferred)
    assert_went_on(folder)


def assert_went_on(folder: Path) -> None:
    steps = [it["step"] for it in events(folder, "step")]
    begun = steps.index(min(steps[7:]), 7)
    assert steps[begun] > 1, "it did not begin anew"
    assert steps[begun:] == list(range(steps[begun], UPDATES + 1))


def test_reinforcement_that_is_killed_goes_on_and_keeps_each_completion_once(
    tiny: Path, reinforced: Path, tmp_path: Path
) -> None:
    folder = write_grpo(tmp_path, tiny)
    assert end_at(folder, 5, signal.SIGKILL) == -signal.SIGKILL
    with (folder / "completions.jsonl").open("ab") as stream:
        stream.write(b'{"step": 5, "attempt": 0, "prom')
    run(folder)
    same(folder, reinforced)
    assert rows(folder) == rows(reinforced)


def test_a_training_that_is_asked_to_end_says_so_and_goes_on_later(
    tiny: Path, reinforced: Path, tmp_path: Path
) -> None:
    folder = write_grpo(tmp_path, tiny)
    assert end_at(folder, 3, signal.SIGTERM) == 130
    assert "Traceback" not in (folder / "log").read_text()
    run(folder)
    same(folder, reinforced)


def test_a_training_is_ended_in_the_middle_of_a_reward_too(tiny: Path, tmp_path: Path) -> None:
    waits = REWARDS.replace(
        '    """It paints."""',
        f'    """It paints."""\n    open({str(tmp_path / "asked")!r}, "w").close()\n    time.sleep(25)',
    )
    folder = write_grpo(tmp_path / "job", tiny, waits.replace("from agentkit", "import time\n\nfrom agentkit", 1))
    process = start(folder)
    limit = time.monotonic() + 300
    while not (tmp_path / "asked").exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    asked = time.monotonic()
    process.terminate()
    assert process.wait(timeout=60) == 130, (folder / "log").read_text()
    assert time.monotonic() - asked < 20, "it does not wait for the reward"
    assert not (folder / "adapter").exists()


def test_a_training_ends_with_a_job_that_is_killed(tiny: Path, tmp_path: Path) -> None:
    folder = endless(tmp_path / "job", tiny)

    def left() -> list[psutil.Process]:
        return [it for it in psutil.process_iter(["cmdline"]) if str(folder) in (it.info["cmdline"] or [])]

    with subprocess.Popen([sys.executable, "-c", JOB, str(folder)], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert "step\n" in iter(job.stdout.readline, ""), "it trains"
        assert len(left()) > 1, "the training is a process of its own"
        job.kill()
    limit = time.monotonic() + 60
    while left() and time.monotonic() < limit:
        time.sleep(0.05)
    training = left()
    for process in training:
        process.kill()
    assert training == []
    assert not (folder / "result.json").exists(), "it was ended in the middle"


def test_a_second_training_in_the_same_folder_is_refused_and_named_the_first(tiny: Path, tmp_path: Path) -> None:
    folder = endless(tmp_path / "job", tiny)
    first = start(folder)
    try:
        assert reached(first, folder, 1)
        said = run(folder, code=2)
    finally:
        first.terminate()
    assert f"train.lock: process {first.pid} trains in this folder; end it, or let it come to its end" in said
    assert first.wait(timeout=60) == 130, "the first was not disturbed"
    assert len(events(folder, "begin")) == 1


def unfinished(done: Path, folder: Path) -> Path:
    """As a run is left that is killed between the adapter and the result."""
    shutil.copytree(done, folder)
    shutil.copytree(folder / "adapter", folder / f"best-{result(folder)['best']}")
    (folder / "result.json").unlink()
    return folder


def test_a_kill_between_the_adapter_and_the_result_costs_no_training(imitated: Path, tmp_path: Path) -> None:
    folder = unfinished(imitated, tmp_path / "job")
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"cut off")
    run(folder)
    same(folder, imitated)
    assert len(events(folder, "step")) == len(events(imitated, "step"))


def test_what_was_stopped_early_stays_stopped(tiny: Path, tmp_path: Path) -> None:
    done = write_grpo(tmp_path / "done", tiny, patience=1, learning_rate=1e-9)
    run(done)
    found = result(done)
    assert found["stopped"] == "no better in 1 evaluations than after 0 updates"
    assert [it["step"] for it in found["evaluations"]] == [0, 2]
    folder = unfinished(done, tmp_path / "job")
    run(folder)
    same(folder, done)
    assert len(events(folder, "step")) == len(events(done, "step")) == 2


def test_moving_too_far_from_the_start_stops_it(tiny: Path, tmp_path: Path) -> None:
    folder = write_grpo(tmp_path, tiny, max_kl=0.001, learning_rate=0.2)
    run(folder)
    found = result(folder)
    assert "nats a token away from where it began" in found["stopped"]
    assert len(events(folder, "step")) < 8
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()


def test_a_better_adapter_that_the_checkpoint_does_not_know_is_not_taken_for_its_best(tmp_path: Path) -> None:
    """Killed after an evaluation and before its checkpoint: the best of then is still there."""
    from agentkit.tune.trainer.state import Kept
    from agentkit.tune.trainer.validate import Evaluation

    def evaluation(step: int, passed: int) -> Evaluation:
        return Evaluation(step, passed, 4, 10.0, 2)

    kept = Kept([evaluation(0, 0), evaluation(2, 2), evaluation(4, 2), evaluation(6, 4)], best=6, stopped="enough")
    kept.write(tmp_path)
    assert Kept.read(tmp_path) == kept
    before = Kept.read(tmp_path).until(4, max_loss=0.1)
    assert (before.best, before.stopped, before.resumed_at, len(before.evaluations)) == (2, "", 4, 3)
    assert Kept.read(tmp_path / "elsewhere") == Kept()


def test_only_whole_checkpoints_count(tmp_path: Path) -> None:
    from agentkit.tune.trainer.checkpoints import newest, updates_of

    def checkpoint(number: int, state: Any) -> None:
        folder = tmp_path / "checkpoints" / f"checkpoint-{number}"
        folder.mkdir(parents=True)
        if state is not None:
            (folder / "trainer_state.json").write_text(state)

    assert newest(tmp_path) is None
    assert updates_of(None) == 0
    checkpoint(4, "{}")
    checkpoint(12, "{}")
    checkpoint(16, '{"global_st')
    checkpoint(20, None)
    found = newest(tmp_path)
    assert found is not None
    assert (Path(found).name, updates_of(found)) == ("checkpoint-12", 12)
    checkpoint(20, None)
    assert newest(tmp_path) == found, "once more at the same place"


def test_the_program_says_how_it_is_called() -> None:
    ended = subprocess.run([sys.executable, "-m", "agentkit.tune.trainer", "go"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: python -m agentkit.tune.trainer train|render FOLDER")
