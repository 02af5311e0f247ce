"""Judgements lose what must not be kept before they are written, as captured texts do."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from agentkit.collect.redaction import Redactor
from agentkit.config import load_config
from agentkit.records import ConversationId


class Cleaner(Protocol):
    """What takes personal data and secrets out of a conversation's texts; a `Redactor` is one."""

    def text(self, text: str, conversation: ConversationId) -> str: ...

    def value(self, value: Any, conversation: ConversationId) -> Any: ...


def project_cleaner() -> Cleaner:
    """That of the project around the working folder. Raises ConfigError."""
    return _of(Path.cwd())


@lru_cache(maxsize=4)
def _of(folder: Path) -> Cleaner:
    return Redactor(load_config(folder).collect)
