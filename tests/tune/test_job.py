"""A job's stages, with what came before them already in its folder: what it makes of it, and that it does it once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agentkit.cli.tune import _new as begin
from agentkit.config import Config, EngineOptions, ServeSettings
from agentkit.errors import ExitCode, UsageError
from agentkit.llm import Budget
from agentkit.lock import locked
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.session import RunSettings
from agentkit.play.user import Users
from agentkit.records import JobStatus
from agentkit.serve import ServedModel, merged
from agentkit.serve.adapter_folder import AdapterFolder, verify
from agentkit.store import Store
from agentkit.tune.curve import cut
from agentkit.tune.job import Work
from agentkit.tune.job_folder import JobFolder
from agentkit.tune.jobs import expected_seconds, new_job, pace
from agentkit.tune.phase import Phase
from agentkit.tune.plays import Plays
from agentkit.tune.prompt import Prompt, Split
from agentkit.tune.registry import publish_and_register
from agentkit.tune.serving import Hall
from agentkit.tune.settings import JobSettings
from tests.store.records import make_adapter, make_run
from tests.tune.compiled import ROOT, chat_agent, compiled, suite
from tests.tune.played import SETTINGS, clerk, play
from tests.tune.small_lora import RANK, lora_config, lora_tensors, make_card, write_lora

SECONDS = {"loading": 1.0, "generation": 6.0, "forward and backward": 13.0}


def phase_result(best: int, right: tuple[int, int]) -> dict[str, object]:
    evaluations = [
        {"step": step, "passed": it, "graded": 8, "guarded": 0} for step, it in zip((0, 4), right, strict=True)
    ]
    told = {"method": "sft", "stopped": "", "seconds": SECONDS, "versions": {}}
    return {**told, "best": best, "evaluations": evaluations}


async def work(
    store: Store, folder: Path, base: Path, monkeypatch: pytest.MonkeyPatch, below: str | None = None
) -> Work:
    """A job that is compiled for real, about a run that was played for real; by an agent with an adapter, if told."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("agentkit.tune.job.served_model", lambda *_, **__: ServedModel("tiny", base))
    agent = chat_agent(clerk, name=f"demo+{below}" if below else "demo")
    having = SETTINGS.model_copy(update={"adapters": (below,) if below else ()})
    run = await play(
        store, agent, folder / "traces", changed=lambda it: it.model_copy(update={"agent_settings": having})
    )
    settings = JobSettings(
        run=run.id,
        step="refund",
        method="sft",
        train=4,
        validation=2,
        held_out=4,
        rewards=str(ROOT / "rewards"),
        adapters=str(folder / "adapters"),
    )
    return Work(new_job(store, "refund", settings), settings, store, suite(), Config(), tell=lambda line: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path}/jobs.db")


def test_training_that_comes_to_nothing_better_is_inconclusive(
    store: Store, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    job = asyncio.run(work(store, tmp_path, base, monkeypatch))
    monkeypatch.setattr(Work, "_begun", lambda self, manifest, prompts: "sft")
    seeds = []

    def train(folder: Path, phase: Phase, *_: object) -> dict[str, object]:
        seeds.append(phase.seed)
        return phase_result(0, (3, 2))

    monkeypatch.setattr("agentkit.tune.job.train_phase", train)
    ended = job.do()
    assert seeds == [0, 1]
    assert ended.verdict.exit_code is ExitCode.INCONCLUSIVE
    assert ended.adapter is None
    assert "2 of 8 validation prompts are answered right, and 3 were before" in ended.document["sentence"]
    assert [it.partition(" came")[0] for it in ended.document["reasons"]] == [
        "sft with training seed 0",
        "sft with training seed 1",
    ]
    assert store.adapters() == []
    assert store.job("last").status is JobStatus.FINISHED
    assert (job.folder / "certificate.html").is_file()
    assert job.files.read("adapters.json") == []


def test_no_job_is_begun_for_an_adapter_that_could_not_be_served(
    store: Store, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    settings = asyncio.run(work(store, tmp_path, base, monkeypatch)).settings
    with pytest.raises(UsageError, match=r"--rank: found 33, and .* max_lora_rank is 32; set it to 33 or more"):
        begin(store, settings.model_copy(update={"rank": 33}))
    assert len(store.jobs()) == 1, "the one that was there"


@pytest.mark.slow
def test_the_first_training_seed_that_is_any_better_is_proved_by_its_own_plays(
    store: Store, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    job = asyncio.run(work(store, tmp_path, base, monkeypatch))
    job = replace(job, settings=job.settings.model_copy(update={"attempts": 3, "rest": 0}))
    seeds = []

    def train(folder: Path, phase: Phase, *_: object) -> dict[str, object]:
        seeds.append(phase.seed)
        if phase.seed == 0:
            return phase_result(0, (3, 2))
        write_lora(folder / "adapter")
        return phase_result(4, (3, 8))

    @contextmanager
    def cast(hall: Hall, settings: RunSettings, budget: Budget) -> Iterator[tuple[ChatAgent, None, Users, None]]:
        """The clerk as he was; with an adapter, one who refunds to the card."""
        tuned = "+" in settings.agent
        answer = (lambda request: clerk(request).replace('"cash"', '"card"')) if tuned else clerk
        yield chat_agent(answer, model="tuned" if tuned else "tiny"), None, Users(), None

    async def answered(adapters: int, prompts: Sequence[Prompt]) -> list[str]:
        golden = [prompt.golden or "" for prompt in prompts]
        return [text if adapters else text.replace('"card"', '"cash"') for text in golden]

    told: list[str] = []
    job = replace(job, tell=told.append)
    monkeypatch.setattr("agentkit.tune.job.train_phase", train)
    monkeypatch.setattr(Work, "_probe", lambda *_: None)
    monkeypatch.setattr(Work, "_server", lambda work, adapters=(): nullcontext(len(adapters)))
    monkeypatch.setattr("agentkit.tune.plays.answer_served", answered)
    monkeypatch.setattr(Hall, "_cast", cast)
    job.files.write("parity.json", {})
    job.files.write("preflight.json", {"method": "sft", "why": "it is told"})
    ended = job.do()

    assert seeds == [0, 1], "the third is not wanted any more"
    assert not job.files.has("after.json")
    [adapter] = store.adapters()
    assert ended.adapter == adapter.name == job.files.read("adapters-1.json")[0]
    assert store.run(job.files.read("after-1.json")["run"]).agent == f"demo+{adapter.name}"
    assert [it.partition(": ")[2] for it in told if "by itself" in it] == [
        "by itself the step is better: step refund given a right history 0 % → 100 %, 100 points higher "
        "(95 % interval: 2 to 100 points higher; 4 held-out instances)"
    ]
    assert ended.document["given_right_history"]["pairs"] == 4
    target = ended.document["target"]
    assert (target["before"], target["after"], target["pairs"]) == (0, 1, 4)
    assert ended.document["notes"][0].startswith("sft with training seed 0 came to nothing better")
    assert verify(tmp_path / "adapters" / adapter.name).manifest.seeds["training"] == 1

    told.clear()
    with_half = job.settings.model_copy(update={"examples": 2, "concurrency": 3})
    other = replace(job, job=new_job(store, "refund", with_half), settings=with_half)
    other.files.write("parity.json", {})
    other.files.write("preflight.json", {"method": "sft"})
    manifest, prompts = other._compiled()
    assert other._begun(manifest, prompts) == "sft"
    other._played(manifest, ())
    assert other.files.read("before.json")["run"] == job.files.read("before.json")["run"]
    assert "all 4 conversations were played before" in told[-1]

    monkeypatch.setattr(Hall, "_cast", None)
    assert job.do().document == ended.document
    assert seeds == [0, 1, 0, 1], "a phase that is done says so itself"


@pytest.mark.slow
def test_what_is_trained_on_top_of_an_adapter_is_held_against_it_and_takes_its_place(
    store: Store, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr(merged, "PROGRAM", (sys.executable, str(Path(__file__).with_name("numpy_merge.py"))))
    below = publish_and_register(store, write_lora(tmp_path / "below", 3), tmp_path / "adapters", make_card(base))
    job = asyncio.run(work(store, tmp_path, base, monkeypatch, below=str(below.name)))
    job = replace(job, settings=job.settings.model_copy(update={"rest": 0, "rank": RANK, "moments": 0}))
    models, served, stacked = [], [], []

    def train(folder: Path, phase: Phase, *_: object) -> dict[str, object]:
        models.append(Path(phase.model))
        write_lora(folder / "adapter", 4)
        return phase_result(4, (3, 8))

    def stack(folder: Path, model: Path, onto: Path, max_rank: int) -> dict[str, object]:
        stacked.append((model, onto, max_rank))
        chance = np.random.default_rng(7)
        wide = {name: np.tile(it, (2, 1) if "lora_A" in name else (1, 2)) for name, it in lora_tensors(4).items()}
        noise = {name: (it * chance.normal(1, 0.1, it.shape)).astype(np.float32) for name, it in wide.items()}
        write_lora(folder / "stacked", config=lora_config(r=2 * RANK), tensors=noise)
        return {"whole": 48, "rank": 32, "kept": 0.98765}

    @contextmanager
    def endpoint(model: ServedModel, *, adapters: Sequence[AdapterFolder], **_: object) -> Iterator[list[str]]:
        served.append([str(it.name) for it in adapters])
        yield served[-1]

    @contextmanager
    def cast(hall: Hall, settings: RunSettings, budget: Budget) -> Iterator[tuple[ChatAgent, None, Users, None]]:
        yield chat_agent(clerk, model=settings.agent.partition("+")[2], name=settings.agent), None, Users(), None

    monkeypatch.setattr("agentkit.tune.job.train_phase", train)
    monkeypatch.setattr("agentkit.tune.trained.stack_adapters", stack)
    monkeypatch.setattr("agentkit.tune.job.model_endpoint", endpoint)
    monkeypatch.setattr(Work, "_probe", lambda *_: None)
    monkeypatch.setattr(Hall, "_cast", cast)
    job.files.write("parity.json", {})
    job.files.write("preflight.json", {"method": "sft", "why": "it is told"})

    narrow = replace(job, config=Config(serve=ServeSettings(engines=EngineOptions(max_lora_rank=1))))
    with pytest.raises(UsageError, match=r"--rank: found 2, and .* max_lora_rank is 1"):
        narrow.do()
    ended = job.do()

    [made] = [it for it in store.adapters() if it.name != below.name]
    assert ended.adapter == made.name
    assert models == [merged.merged_model(base, [verify(Path(below.path))])]
    assert stacked == [(base, Path(below.path), 32)]
    assert served == [[made.name], [below.name]], "after, then before"
    assert made.parents == (below.name,)
    assert made.card["method"] == f"SFT, on top of {below.name}"
    assert made.base_hash == below.base_hash, "it is an adapter of the same model"
    sides = {name: store.run(job.files.read(name)["run"]).agent for name in ("before.json", "after.json")}
    assert sides == {"before.json": f"demo+{below.name}", "after.json": f"demo+{made.name}"}
    assert ended.document["notes"][0].startswith(f"trained on top of {below.name}, whose change it holds too")
    seen = f"what is held out may have been seen by an adapter underneath: {below.name}: "
    assert ended.document["notes"][2].startswith(seen), "its job is not in this store"
    cut = f"With the change of {below.name} it would have the rank 48; of both, the 32 largest directions"
    assert ended.document["notes"][1].startswith(cut)
    assert "98.8% of their squared norm" in made.card["limits"][1] == ended.document["notes"][1]


def test_where_seeds_are_compared_none_is_tried_again() -> None:
    settings = JobSettings(run="r", rewards="x", adapters="y", training_seed=3, attempts=2)
    assert (list(settings.attempted_seeds), list(settings.further_seeds)) == ([3, 4], [])
    compared = settings.model_copy(update={"training_seeds": 3})
    assert (list(compared.attempted_seeds), list(compared.further_seeds)) == ([3], [4, 5])


def test_a_file_that_went_missing_is_named(tmp_path: Path) -> None:
    files = JobFolder(tmp_path)
    assert files.read_if_there("warm.json") is None
    with pytest.raises(UsageError, match=r"before\.json: is missing"):
        files.read("before.json")


def test_seconds_add_up_over_sittings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((10.0, 12.5, 100.0, 103.0))
    monkeypatch.setattr("agentkit.tune.job_folder.time.monotonic", lambda: next(clock))
    for _ in range(2):
        with JobFolder(tmp_path).timed("preflight"):
            pass
    assert JobFolder(tmp_path).seconds == {"preflight": 5.5}


def test_the_time_is_reckoned_from_the_newest_job_that_was_timed(store: Store) -> None:
    settings = JobSettings(run="r", rewards="x", adapters="y", held_out=100, rest=20, grpo_steps=16)
    assert expected_seconds(store, settings) == (None, "no job of this store was timed yet")
    job = new_job(store, "refund", settings)
    measured = pace([phase_result(4, (0, 8))], {"conversations": 480.0}, 240)
    assert measured == {"seconds_per_update": 5.0, "seconds_per_conversation": 2.0}
    store.update_job(job.id, status=JobStatus.FINISHED, result={"pace": measured})
    assert expected_seconds(store, settings) == (16 * 5.0 + 240 * 2.0, f"as fast as job {job.id}")


def test_a_job_that_is_at_work_is_not_taken_up_by_another_process(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = JobSettings(run="r", rewards="x", adapters="y")
    job = new_job(store, "refund", settings)
    at_work = store.update_job(job.id, status=JobStatus.TRAINING, stage="grpo in 0-grpo", pid=4711)
    second = Work(at_work, settings, store, (), Config(), tell=lambda line: None)
    with (
        locked(second.folder / "job.lock", ""),
        pytest.raises(UsageError, match=rf"job {job.id} is at work in process {os.getpid()}"),
    ):
        second.do()
    assert store.job(job.id) == at_work, "the first one's job is left as it is"


def test_its_pace_counts_the_conversations_of_all_training_seeds(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create_run(make_run("r"))
    store.add_adapter(adapter := make_adapter())
    settings = JobSettings(run="r", rewards="x", adapters="y", training_seeds=3)
    monkeypatch.chdir(tmp_path)
    job = Work(new_job(store, "refund", settings), settings, store, (), Config(), tell=lambda line: None)
    for name in ("before", "after", "warm", "after-1", "after-2", "moments.after", "after.run"):
        job.files.write(f"{name}.json", {})
    job.files.write("seconds.json", {"conversations": 100.0})
    job.files.write("certificate.json", {"verdict": "refuse", "sentence": "refuse: it is worse"})
    monkeypatch.setattr(Plays, "held_out", lambda self, manifest: range(10))
    job._certified(None, [adapter], [phase_result(4, (0, 8))], [])  # type: ignore[arg-type]
    result = store.job(job.job.id).result or {}
    assert result["pace"]["seconds_per_conversation"] == 2.0, "five times ten were played"


async def test_smaller_points_of_a_curve_are_parts_of_larger_ones() -> None:
    prompts = (await compiled()).prompts
    small, all_of_them = cut(prompts, 2), cut(prompts, 99)
    assert [it.split for it in small].count(Split.TRAIN) == 2
    assert {it.id for it in small} < {it.id for it in all_of_them}
    assert all_of_them == prompts
    assert [it.id for it in small if it.split is Split.VALIDATION] == [
        it.id for it in prompts if it.split is Split.VALIDATION
    ]
