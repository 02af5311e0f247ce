"""`agentkit new`: a project to start from."""

from __future__ import annotations

import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from agentkit.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@click.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Write a project with one suite into FOLDER; `agentkit run` works in it at once."""
    if not _NAME.fullmatch(folder.name):
        raise UsageError(f"{folder.name!r} cannot be a project's name: letters, digits, '.', '_' and '-' only")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty; nothing was written")
    try:
        _write(resources.files("agentkit.cli") / "starter", folder, folder.name)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {folder}\n\n    cd {folder}\n    agentkit run\n    agentkit show last --trial 0")


def _write(source: Traversable, target: Path, name: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            _write(entry, target / entry.name, name)
        elif entry.is_file() and not entry.name.endswith(".pyc"):
            text = entry.read_text(encoding="utf-8")
            named = text.replace("{name}", name) if entry.name in ("pyproject.toml", "README.md") else text
            (target / entry.name).write_text(named, encoding="utf-8")
