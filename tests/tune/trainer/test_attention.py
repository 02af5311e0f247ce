"""Attention that reads shared keys once gives what `sdpa` gives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("mask_rows", [1, 2])
def test_equal_to_sdpa_with_a_mask(mask_rows: int) -> None:
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    from agentkit.tune.trainer.attention import grouped_attention

    draw = torch.Generator().manual_seed(0)
    query = torch.randn(2, 6, 4, 8, generator=draw)
    key, value = (torch.randn(2, 2, 9, 8, generator=draw) for _ in range(2))
    mask = torch.rand(mask_rows, 1, 4, 9, generator=draw) > 0.4
    mask[..., 0] = True
    module: Any = SimpleNamespace(num_key_value_groups=3, is_causal=True)
    with torch.no_grad():
        expected, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.3)
        found, _ = grouped_attention(module, query, key, value, mask, scaling=0.3)
    assert found.shape == expected.shape == (2, 4, 6, 8)
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_a_model_says_the_same_with_it_and_its_gradients_stay(tiny: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from agentkit.tune.trainer.attention import read_keys_once

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    assert model.config.num_key_value_heads < model.config.num_attention_heads
    ids = torch.arange(12).view(2, 6)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    with torch.no_grad():
        before = model(input_ids=ids, attention_mask=mask).logits
        read_keys_once(model)
        after = model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(after[mask.bool()], before[mask.bool()])
    model(input_ids=ids, attention_mask=mask).logits.sum().backward()
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0
