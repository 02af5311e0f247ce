"""Pages from templates: whatever a model or a user wrote is escaped, and what cannot be seen of it is spelled out."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import agentkit.report
from agentkit.report.text import visible

_SHARED = Path(__file__).parent / "templates"
_REPORT = Path(agentkit.report.__file__).parent / "assets"


def environment(*folders: Path, brand: str, style: str, home: str) -> Environment:
    """Templates of `folders` and those that all pages share.

    Args:
        brand: what the program is called here.
        style: name of the style sheet below `/assets/`.
        home: what `/` is called.
    """
    made = Environment(
        loader=FileSystemLoader([*folders, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    made.globals.update(brand=brand, style=style, home=home)
    return made


def styles(*parts: str) -> str:
    """Style sheets of the report, joined."""
    return "\n".join((_REPORT / f"{part}.css").read_text(encoding="utf-8") for part in parts)
