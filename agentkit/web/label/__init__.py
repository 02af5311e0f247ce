"""A page on which experts judge captured answers, on this machine alone. See README.md beside this file."""

from __future__ import annotations

from agentkit.web.label.server import Labeller

__all__ = ["Labeller"]
