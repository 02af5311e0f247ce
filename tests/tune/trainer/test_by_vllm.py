"""Completions that a real vLLM writes, with the adapter as each update leaves it, are those of the training program."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import EngineOptions
from agentkit.errors import UsageError
from agentkit.serve import Endpoint, ServedModel
from agentkit.serve.fleet.talk import Talk
from agentkit.tune.phase import ROLLOUT_KEY, ROLLOUT_URL, Lora, Phase
from agentkit.tune.rollouts import rollout_server
from tests.tune.trainer.tiny import fresh, prompt, result, rows, run, schema, write_grpo, write_model, write_phase

OPTIONS = EngineOptions(max_model_len=512, max_num_seqs=64, kv_cache_gib=1, arguments=("--dtype", "float32"))
GUIDED, FREE = [prompt(n) for n in range(3)], [prompt(3, guided=False)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("trl", reason="comes with training")
    return write_model(tmp_path_factory.mktemp("tiny") / "model", width=128)


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    folder = tmp_path_factory.mktemp("phase")
    phase = Phase.read(write_grpo(folder, model, generation="vllm"))
    with rollout_server(folder, phase, ServedModel("tiny", model), OPTIONS, lambda _: None) as environment:
        yield environment


def trainee(model: Path, folder: Path) -> Any:
    from agentkit.tune.trainer.model import load_trainee

    return load_trainee(Phase.read(write_phase(folder, model, method="sft", dtype="float32")))


def change(trainee: Any, seed: int) -> None:
    """An update that changes what is said."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in trainee.model.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=draw) * 0.1)


def listed(environment: Mapping[str, str]) -> list[str]:
    async def ask() -> list[str]:
        async with Talk(Endpoint(environment[ROLLOUT_URL], "", environment[ROLLOUT_KEY])) as talk:
            return await talk.models()

    return asyncio.run(ask())


@pytest.mark.serve
def test_they_are_those_that_the_training_program_writes_after_each_update(
    model: Path, served: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentkit.tune.trainer.generate import Decoding
    from agentkit.tune.trainer.model import checked_ids
    from agentkit.tune.trainer.ranks import ALONE
    from agentkit.tune.trainer.served import Server

    for name, value in served.items():
        monkeypatch.setenv(name, value)
    it = trainee(model, tmp_path)
    ids = list(checked_ids([*GUIDED, *FREE], it.tokenizer, 512, 32).values())
    asked = ids, [schema()] * len(GUIDED) + [None], 1, Decoding(0.0, 24, 0.3), 7
    said = []
    with Server.of_environment(it, tmp_path, ALONE) as server:
        for step in range(3):
            change(it, step)
            with server.after(step) as write:
                found = write(*asked)
            with it.as_served() as generator:
                expected = generator(*asked)
            for ours, theirs in zip(expected, found, strict=True):
                assert [(a.ids, a.free, a.finished) for a in theirs] == [(a.ids, a.free, a.finished) for a in ours]
            assert listed(served) == ["tiny", f"rollout-{step}"]
            said.append([group[0].ids for group in found])
        assert said[0] != said[1] != said[2], "another model writes otherwise"
        again = Server(served[ROLLOUT_URL], served[ROLLOUT_KEY], it, tmp_path, ALONE)
        with again.after(2) as write:  # as where a training that was killed is taken up
            assert [group[0].ids for group in write(*asked)] == said[2]

        many = ids[:1], [schema()], 400, Decoding(1.0, 40, 0.3), 7
        with server.after(2) as write, it.as_served() as generator:
            shares = [_paints(it, group) for [group] in (write(*many), generator(*many))]
        assert abs(shares[0] - shares[1]) < 0.12, "more than four standard errors"
        assert 0 < shares[1] < 1
    assert not list(tmp_path.glob("rollout-*"))


def _paints(trainee: Any, group: list[Any]) -> float:
    """Share of the answers that name the first colour or the first reply."""
    texts = [trainee.text(it.ids) for it in group]
    return sum('"red"' in text or '"yes"' in text for text in texts) / len(texts)


@pytest.mark.serve
def test_a_reinforcement_learns_from_them(model: Path, served: Mapping[str, str], tmp_path: Path) -> None:
    folder = write_grpo(tmp_path / "grpo", model, generation="vllm", steps=3)
    fresh(folder, **served)
    assert {row["step"] for row in rows(folder)} == {0, 1, 2}
    assert all(set(row["parts"]) >= {"paints"} for row in rows(folder))
    assert len({row["completion"] for row in rows(folder)}) > 2
    assert result(folder)["evaluations"][-1]["step"] == 3
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert not list(folder.glob("rollout-*"))


@pytest.mark.slow
def test_without_a_server_it_says_what_is_missing(tiny: Path, tmp_path: Path) -> None:
    said = run(write_grpo(tmp_path, tiny, generation="vllm"), code=2)
    assert f"{ROLLOUT_URL}: found '', expected the URL, ending in /v1, of a vLLM server" in said


def test_a_rank_that_vllm_does_not_take_is_refused(tmp_path: Path) -> None:
    phase = Phase(
        method="grpo", model="m", prompts="p", rubric="r", learning_rate=1, generation="vllm", lora=Lora(rank=600)
    )
    with (
        pytest.raises(UsageError, match="--rank: found 600, and vLLM takes 512 at most"),
        rollout_server(tmp_path, phase, ServedModel("m", tmp_path), OPTIONS, lambda _: None),
    ):
        pass


def test_none_is_started_where_the_training_program_writes_or_is_done(tmp_path: Path) -> None:
    phase = Phase(method="grpo", model="m", prompts="p", rubric="r", learning_rate=1)
    with rollout_server(tmp_path, phase, ServedModel("m", tmp_path), OPTIONS, lambda _: None) as environment:
        assert environment == {}
    (tmp_path / "result.json").write_text("{}")
    done = phase.model_copy(update={"generation": "vllm"})
    with rollout_server(tmp_path, done, ServedModel("m", tmp_path), OPTIONS, lambda _: None) as environment:
        assert environment == {}
