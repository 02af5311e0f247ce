"""Text from models and users on a terminal: shown, never obeyed."""

from __future__ import annotations

import re

from rich.console import Console
from rich.text import Text

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LEAST_WIDTH = 110
"""Columns of what is written to a file or a log."""
_LONGEST = 4_000
"""Characters of one text that are shown."""


def output() -> Console:
    """Standard output; where it is a file or a log, wide enough for a table."""
    console = Console()
    return console if console.is_terminal else Console(width=max(_LEAST_WIDTH, console.width))


def inert(text: str) -> str:
    """`text` with control characters, direction marks and lone surrogates made visible, cut to a readable length."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
    return _CONTROLS.sub(lambda found: f"\\x{ord(found.group()):02x}", shown)


def line(text: str, style: str = "") -> Text:
    """A piece of foreign text in one style, without markup."""
    return Text(inert(text), style=style)
