"""Keys and values of what was read, with room for what will be written.

transformers' cache copies all of them for each token that is added; behind prompts of several hundred tokens that was
two fifths of the processor time of an evaluation.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


def make_room(cache: DynamicCache, tokens: int) -> None:
    """Let so many tokens a row be added in place; not in layers that keep something else than all keys."""
    cache.layers = [_Roomy(it, tokens) if type(it) is DynamicLayer else it for it in cache.layers]


class _Roomy(DynamicLayer):
    """`keys` and `values` [rows, heads, tokens, width] are the filled part of a longer tensor."""

    def __init__(self, layer: DynamicLayer, room: int) -> None:
        super().__init__()
        self.lazy_initialization(layer.keys, layer.values)
        self._whole = _longer(layer.keys, room), _longer(layer.values, room)
        self._fill(layer.keys.shape[-2])

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        begin = self.keys.shape[-2]
        end = begin + key_states.shape[-2]
        for whole, new in zip(self._whole, (key_states, value_states), strict=True):
            whole[:, :, begin:end] = new
        self._fill(end)
        return self.keys, self.values

    def _fill(self, end: int) -> None:
        self.keys, self.values = (it[:, :, :end] for it in self._whole)


def _longer(states: Tensor, room: int) -> Tensor:
    rows, heads, tokens, width = states.shape
    whole = states.new_empty(rows, heads, tokens + room, width)
    whole[:, :, :tokens] = states
    return whole
