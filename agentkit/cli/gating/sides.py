"""The two sides of a comparison, by their names: runs of the store, or baseline files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from agentkit.cli.options import open_store
from agentkit.errors import UsageError, near_match
from agentkit.gate import read_baseline
from agentkit.gate.project.sides import Side, read_run


def read_sides(names: Sequence[str], store_url: str | None, *, unfinished: bool = False) -> list[Side]:
    """Each named side. The store is opened only where one is a run.

    `unfinished` admits runs of which some trials are still to be played.

    Raises:
        UsageError: there is no such file or run, or it cannot be read.
        NotJudged: the run is not finished, or was never graded.
    """
    with ExitStack() as stack:
        store = None
        sides = []
        for name in names:
            if is_file(name):
                sides.append(Side(read_baseline(existing(Path(name)))))
                continue
            store = store or stack.enter_context(open_store(store_url))
            sides.append(read_run(store, store.run(name), unfinished=unfinished))
        return sides


def is_file(name: str) -> bool:
    """Whether a side is a file: run ids have neither a slash nor an ending."""
    return name.endswith(".json") or "/" in name or Path(name).is_file()


def existing(file: Path) -> Path:
    """The file. Raises UsageError where there is none, with a near match beside it."""
    if file.exists():
        return file
    beside = [it.name for it in file.parent.glob("*.json")] if file.parent.is_dir() else []
    hint = near_match(file.name, beside) if beside else ""
    raise UsageError(f"{file}: no such baseline{hint}; `agentkit baseline RUN -o {file}` writes one")
