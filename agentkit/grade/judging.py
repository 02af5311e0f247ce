"""Where a reward gets its judge: whoever scores lends one, or it is the one in `[tool.agentkit.judge]`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakKeyDictionary

from agentkit.config import Config, load_config
from agentkit.errors import ConfigError
from agentkit.grade.judge import Cache, Judge
from agentkit.llm import Budget, ChatModel, Prices

_lent: ContextVar[Judge | None] = ContextVar("judge", default=None)
_made: WeakKeyDictionary[asyncio.AbstractEventLoop, Judge] = WeakKeyDictionary()
"""Event loop → its judge: connections belong to a loop."""


@contextmanager
def use_judge(judge: Judge) -> Iterator[None]:
    """What rewards that are scored inside get from `current_judge`."""
    token = _lent.set(judge)
    try:
        yield
    finally:
        _lent.reset(token)


def current_judge() -> Judge:
    """The judge that this reward may ask; to be called in an `async` one.

    It remembers its verdicts: asked again about the same answer, it says the same. Raises ConfigError where nobody lent
    one and `[tool.agentkit.judge]` is missing.
    """
    lent = _lent.get()
    if lent is not None:
        return lent
    loop = asyncio.get_running_loop()
    if loop not in _made:
        config = load_config()
        _made[loop] = Judge(_model(config), _Memory(), config.judge)
    return _made[loop]


def _model(config: Config) -> ChatModel:
    from agentkit.llm.openai import OpenAIChat  # only who asks a judge pays for the import

    endpoint = config.judge
    if endpoint is None:
        raise ConfigError("no judge is configured ([tool.agentkit.judge])")
    return OpenAIChat.at(endpoint, budget=Budget(None, None), prices=Prices.load(config.prices))


class _Memory(Cache):
    """Verdicts of this process."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    def cache_get(self, key: str) -> str | None:
        return self._kept.get(key)

    def cache_put(self, key: str, value: str) -> None:
        self._kept[key] = value
