"""Attention for writing many answers at once on a CPU: query heads that share keys read them together.

`sdpa` of transformers copies the keys and values of grouped-query attention once for each query head wherever a mask
is given, and torch reads all copies; where each token is written after hundreds that were read, that is most of the
time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "agentkit_grouped"


def read_keys_once(model: PreTrainedModel) -> None:
    """From now on, a model that attends by `sdpa` computes the same without those copies."""
    if model.config._attn_implementation != "sdpa":
        return
    AttentionInterface.register(_NAME, grouped_attention)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation(_NAME)


def grouped_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Queries [rows, heads, tokens, width] over keys and values [rows, fewer heads, seen, width], as `sdpa` gives it.

    The queries of all heads that share keys become further tokens of one head.
    """
    rows, heads, tokens, width = query.shape
    shared = key.shape[1]
    each = heads // shared
    if each == 1 or attention_mask is None or torch.is_grad_enabled() or query.device.type != "cpu":
        found, _ = sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **others)
        return found, None
    mask = attention_mask.expand(rows, 1, tokens, key.shape[2]).repeat(1, 1, each, 1)
    together = query.reshape(rows, shared, each * tokens, width)
    output = torch.nn.functional.scaled_dot_product_attention(together, key, value, attn_mask=mask, scale=scaling)
    return output.view(rows, heads, tokens, value.shape[-1]).transpose(1, 2).contiguous(), None
