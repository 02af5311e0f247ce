"""The program that scores an adapter, on a tiny model: its numbers are PEFT's own, and the base model's."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.serve.adapter_folder import PROBE, WEIGHTS
from agentkit.serve.model_hash import file_hash
from agentkit.serve.probe import make_probe, read_probe
from agentkit.tune.prompt import write_prompts
from tests.tune.trainer.tiny import prompt, write_model

pytestmark = pytest.mark.slow


def test_the_numbers_are_those_of_the_adapted_and_of_the_plain_model(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="comes with training")
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    base = write_model(tmp_path / "base")

    def model() -> object:
        return transformers.AutoModelForCausalLM.from_pretrained(base)

    lora = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    trained = peft.get_peft_model(model(), lora)
    torch.manual_seed(7)
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    trained.save_pretrained(tmp_path / "adapter")
    write_prompts([prompt(number) for number in range(9)], tmp_path / "prompts.jsonl")
    make_probe(base, tmp_path / "adapter", tmp_path / PROBE, tmp_path / "prompts.jsonl")
    make_probe(base, tmp_path / "adapter", tmp_path / "general.json")

    found = read_probe(tmp_path / PROBE, tmp_path / "adapter" / WEIGHTS)
    assert found.weights == file_hash(tmp_path / "adapter" / WEIGHTS)
    assert len(found.prompts) == 4
    for row in found.prompts:
        tokens = torch.tensor([row.tokens])
        with torch.no_grad():
            for scored, numbers in ((trained, row.adapter), (model(), row.base)):
                logits = scored(input_ids=tokens).logits[0, row.start - 1 : -1]  # type: ignore[operator]
                expected = logits.log_softmax(-1).gather(1, tokens[0, row.start :, None])[:, 0]
                assert torch.allclose(expected, torch.tensor(numbers), atol=1e-4)
    general = read_probe(tmp_path / "general.json", tmp_path / "adapter" / WEIGHTS)
    assert {row.tokens[: row.start] for row in general.prompts}.isdisjoint(
        {row.tokens[: row.start] for row in found.prompts}
    )
