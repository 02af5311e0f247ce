"""Who may judge."""

from __future__ import annotations

import re

from agentkit.config import LabelSettings
from agentkit.errors import UsageError, near_match

_NAME = re.compile(r"[^\W_](?:[\w .@'-]{0,62}[\w.])?")


def expert_name(name: str, settings: LabelSettings) -> str:
    """The name as it is recorded.

    Raises:
        UsageError: it is no name, or is none of `[tool.agentkit.label].experts`.
    """
    found = " ".join(name.split())
    if settings.experts:
        if found not in settings.experts:
            raise UsageError(f"expert: {found[:64]!a} may not judge here{near_match(found, settings.experts)}")
        return found
    if not _NAME.fullmatch(found):
        raise UsageError(f"expert: found {found[:64]!a}, expected 1 to 64 letters, digits, blanks and .@'_-")
    return found
