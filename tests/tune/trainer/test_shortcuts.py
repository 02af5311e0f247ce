"""Models of other kinds: what can be shared is, what cannot is computed plainly, and both are what the model says."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.tune.phase import Phase
from tests.tune.trainer.tiny import TOKENIZER

pytestmark = pytest.mark.slow

SMALL: Mapping[str, Any] = {
    "vocab_size": 49152,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
KINDS: Mapping[str, tuple[Mapping[str, Any], bool]] = {
    "qwen2": ({}, True),
    "qwen3": ({}, True),
    "phi3": ({}, True),
    "qwen3_moe": ({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}, True),
    "mistral": ({"sliding_window": 16}, False),
    "gemma3_text": ({"sliding_window": 16, "query_pre_attn_scalar": 16}, False),
    "gpt_neox": ({}, True),
}
"""Kind → settings of its own, and whether its rows can share what they have in common."""
PROMPTS = [list(range(300, 340)), [*range(300, 320), *range(900, 935)], [1, 12, 88, 9000, 31, 5, 2020]]
END = 2


def write(kind: str, folder: Path, tiny: Path) -> Path:
    import torch
    import transformers

    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(kind, **SMALL | KINDS[kind][0])
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copyfile(tiny / name, folder / name)
    return folder


def loaded(folder: Path, **settings: Any) -> Any:
    from agentkit.tune.trainer.model import load_trainee

    values = {"method": "sft", "learning_rate": 1e-3, "prompts": "", "dtype": "float32", "lora": {"rank": 4}}
    return load_trainee(Phase(model=str(folder), **values | settings))


@pytest.mark.filterwarnings("ignore:The following .* keys")  # experts, which get no adapter of their own
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_answers_as_it_does_alone(kind: str, tmp_path: Path, tiny: Path) -> None:
    import torch

    from agentkit.tune.trainer.generate import Decoding

    trainee = loaded(write(kind, tmp_path / kind, tiny))
    assert trainee.share is KINDS[kind][1]
    assert trainee.try_shortcuts(PROMPTS) < 0.01
    assert trainee.share is KINDS[kind][1], "what was used was found to be right"
    plain = trainee.model.get_base_model()
    with trainee.as_served() as generator:
        found = generator(PROMPTS, [None] * len(PROMPTS), 2, Decoding(0.0, 24), 0)
        for prompt, group in zip(PROMPTS, found, strict=True):
            ids = torch.tensor([prompt])
            expected = plain.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24, eos_token_id=END
            )[0, len(prompt) :].tolist()
            assert [list(it.ids) for it in group] == [expected] * 2


def test_what_a_configuration_does_not_say_is_found_out(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model with a window that is taken for one without: the trial finds it, and it is computed plainly."""
    from agentkit.tune.trainer import model

    monkeypatch.setattr(model, "sees_all", lambda config: True)
    trainee = loaded(write("mistral", tmp_path / "mistral", tiny))
    assert trainee.share
    assert trainee.try_shortcuts(PROMPTS) < 0.01
    assert not trainee.share


def test_a_model_that_cannot_be_computed_in_batches_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentkit.tune.trainer import model

    monkeypatch.setattr(model, "apart", lambda *_: 2.0)
    with pytest.raises(UsageError, match=r"model llama: its answers written in a batch are 2\.0 nats a token from"):
        loaded(tiny).try_shortcuts(PROMPTS)
