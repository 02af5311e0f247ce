"""What models cost: a table that the user gives. None is shipped: prices change, and a wrong one is worse.

In `[tool.agentkit.prices]`, for instance:

    "some-model" = { input = 0.15, output = 0.60, cached = 0.075 }
    "local-*" = { input = 0, output = 0 }
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from agentkit.errors import ConfigError, near_match
from agentkit.records import Usage

_MILLION = 1_000_000
_WILD = "*?["
_EXAMPLE = 'a table such as { "some-model" = { input = 0.15, output = 0.60 } }'


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float
    """Reasoning tokens are output tokens."""
    cached: float | None = None
    """Of those input tokens that the provider had in its cache; the price of input where not given."""

    @property
    def free(self) -> bool:
        return not (self.input or self.output or self.cached)

    def cost(self, usage: Usage) -> float:
        """US dollars for `usage`. Cached tokens are part of the input tokens."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        cached_price = self.input if self.cached is None else self.cached
        fresh = usage.input_tokens - cached
        return (fresh * self.input + cached * cached_price + usage.output_tokens * self.output) / _MILLION


FREE = Price(0.0, 0.0)
"""For a model that runs on the user's own machine."""


def known_cost(price: Price | None, usage: Usage | None) -> float | None:
    """US dollars of an answer; `usage` is None where no tokens were counted. None where the cost is not known, which is
    not zero."""
    if price is not None and price.free:
        return 0.0
    return None if price is None or usage is None else price.cost(usage)


class Prices:
    """Prices by model name or by pattern (`*`, `?`, `[…]`)."""

    def __init__(self, table: Mapping[str, Price] | None = None) -> None:
        self._table = dict(table or {})

    @classmethod
    def load(cls, table: object, *, where: str = "[tool.agentkit.prices]") -> Prices:
        """Read what stands in a configuration file. Raises ConfigError, naming the field under `where`."""
        models = _mapping(table, where)
        return cls({model: _price(entry, f"{where} {model!r}") for model, entry in models.items()})

    def find(self, model: str) -> Price | None:
        """The entry of that very name, else the pattern with the most plain characters, else None."""
        if model in self._table:
            return self._table[model]
        patterns = [pattern for pattern in self._table if fnmatchcase(model, pattern)]
        if not patterns:
            return None
        return self._table[max(patterns, key=lambda pattern: sum(char not in _WILD for char in pattern))]


def _price(entry: object, where: str) -> Price:
    known = ("input", "output", "cached")
    fields = _mapping(entry, where)
    for key in fields:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}{near_match(key, known)}")
    for key in ("input", "output"):
        if key not in fields:
            raise ConfigError(f"{where}: {key!r} is missing; expected US dollars per million {key} tokens")
    amounts = {key: _amount(value, f"{where}.{key}") for key, value in fields.items()}
    return Price(amounts["input"], amounts["output"], amounts.get("cached"))


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{where}: found {value!r}, expected {_EXAMPLE}")
    return value


def _amount(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ConfigError(f"{where}: found {value!r}, expected US dollars per million tokens, 0 or more")
    return float(value)
