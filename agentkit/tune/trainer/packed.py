"""Rows of a batch that begin alike are computed as one.

All completions of a group follow the same prompt, and the prompt is most of a row. So the rows of a group are packed
into one: the prompt once, then every completion behind it, each seeing the prompt and itself and none of the others.
Hidden states and gradients are those of the rows computed one by one, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_WORTH = 0.8
"""Packing is done where it leaves less than this share of the tokens."""


@dataclass(frozen=True, slots=True)
class Packing:
    """Where each token of `rows` rows of `width` tokens stands in the packed rows."""

    ids: Tensor
    """[packed rows, packed width]"""
    visible: Tensor
    """[packed rows, 1, packed width, packed width], True where the row's token may look at the column's."""
    positions: Tensor
    """[packed rows, packed width]"""
    source: Tensor
    """[rows, width]: index into the packed tokens, flattened."""


def share_prompts(decoder: nn.Module) -> None:
    """From now on, a decoder (`LlamaModel` and its like) computes what rows of a batch have in common once."""
    plain: Callable[..., Any] = decoder.forward

    def forward(input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **others: Any) -> Any:
        packing = None
        if input_ids is not None and attention_mask is not None and others.get("past_key_values") is None:
            packing = pack(input_ids, attention_mask)
        if packing is None:
            return plain(input_ids=input_ids, attention_mask=attention_mask, **others)
        others |= {"position_ids": packing.positions, "use_cache": False}
        output = plain(input_ids=packing.ids, attention_mask=packing.visible, **others)
        output.last_hidden_state = output.last_hidden_state.flatten(0, 1)[packing.source]
        return output

    decoder.forward = forward


def compute_alone(decoder: nn.Module) -> None:
    """From now on, each row by itself again."""
    decoder.__dict__.pop("forward", None)


def pack(ids: Tensor, mask: Tensor) -> Packing | None:
    """How the rows [rows, width] with their mask (1: no padding) are packed; None where that is not worth it."""
    rows, width = ids.shape
    if rows < 2 or mask.dim() != 2:
        return None
    shared = _shared(ids, mask)
    if shared < 1:
        return None
    groups = _groups(ids[:, :shared], mask[:, :shared])
    most = max(map(len, groups))
    own = width - shared
    packed_width = shared + most * own
    if len(groups) * packed_width > _WORTH * rows * width:
        return None
    packed_ids = ids.new_zeros(len(groups), packed_width)
    real = torch.zeros(len(groups), packed_width, dtype=torch.bool, device=ids.device)
    positions = torch.zeros_like(packed_ids)
    source = torch.empty_like(ids)
    each = (mask.cumsum(1) - 1).clamp(min=0)
    for line, group in enumerate(groups):
        first = group[0]
        packed_ids[line, :shared], real[line, :shared] = ids[first, :shared], mask[first, :shared].bool()
        positions[line, :shared] = each[first, :shared]
        for place, row in enumerate(group):
            start = shared + place * own
            packed_ids[line, start : start + own] = ids[row, shared:]
            real[line, start : start + own] = mask[row, shared:].bool()
            positions[line, start : start + own] = each[row, shared:]
            offset = line * packed_width
            source[row, :shared] = torch.arange(offset, offset + shared, device=ids.device)
            source[row, shared:] = torch.arange(offset + start, offset + start + own, device=ids.device)
    return Packing(packed_ids, _visible(real, shared, own, most), positions, source)


def _shared(ids: Tensor, mask: Tensor) -> int:
    """The most columns from the left that every row has in common with at least one other."""
    same = (ids[:, None] == ids[None]) & (mask[:, None] == mask[None])
    lengths = same.long().cumprod(-1).sum(-1).fill_diagonal_(0)
    return min(int(lengths.max(1).values.min()), ids.shape[1] - 1)


def _groups(ids: Tensor, mask: Tensor) -> list[list[int]]:
    """Rows that are equal, in order of appearance."""
    groups: dict[bytes, list[int]] = {}
    for row in range(len(ids)):
        key = ids[row].cpu().numpy().tobytes() + mask[row].cpu().numpy().tobytes()
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _visible(real: Tensor, shared: int, own: int, most: int) -> Tensor:
    """All see what comes before them in the prompt and in their own completion; padding sees itself, lest a softmax be
    over nothing."""
    width = shared + most * own
    place = torch.arange(width, device=real.device)
    block = torch.where(place < shared, -1, (place - shared) // max(own, 1))
    allowed = (place[None] <= place[:, None]) & ((block[None] == -1) | (block[None] == block[:, None]))
    return (allowed[None] & real[:, None, :] | torch.eye(width, dtype=torch.bool, device=real.device))[:, None]
