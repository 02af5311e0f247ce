"""Judgements lose what must not be kept before they are written, as captured texts do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentkit.redact import redact


def clean(text: str) -> str:
    """A text as it may be kept."""
    return redact(text)


def clean_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An assistant message as it may be kept, arguments of its calls included."""
    return {name: _clean(value) for name, value in answer.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _clean(item) for name, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value
