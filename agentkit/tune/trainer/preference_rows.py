"""A file of preferences: pairs of a better and a worse answer for DPO, answers with a thumb up or down for KTO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from agentkit.errors import UsageError, near_match

_FIELDS: Mapping[str, Mapping[str, type]] = {
    "dpo": {"prompt": str, "chosen": str, "rejected": str},
    "kto": {"prompt": str, "completion": str, "label": bool},
}


def read_preferences(file: Path, method: str, known: set[str]) -> list[dict[str, Any]]:
    """The rows of a file of preferences.

    Raises:
        UsageError: it cannot be read, a row is not as it should be, all labels are alike, or there are none.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    rows = [_row(line, f"{file}:{number}", method, known) for number, line in enumerate(lines, start=1)]
    if not rows:
        raise UsageError(f"{file}: holds no preference")
    if method == "kto" and len({row["label"] for row in rows}) == 1:
        raise UsageError(f"{file}: all {len(rows)} labels are {rows[0]['label']}; KTO needs answers of both kinds")
    return rows


def _row(line: bytes, place: str, method: str, known: set[str]) -> dict[str, Any]:
    fields = _FIELDS[method]
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{place}: not JSON: {error}") from None
    if not isinstance(row, dict) or set(row) != set(fields):
        found = sorted(row) if isinstance(row, dict) else type(row).__name__
        raise UsageError(f"{place}: found {found}, expected an object with {sorted(fields)}")
    for name, kind in fields.items():
        if not isinstance(row[name], kind):
            raise UsageError(f"{place}: {name}: found {row[name]!r}, expected {kind.__name__}")
    if row["prompt"] not in known:
        raise UsageError(
            f"{place}: prompt: no training prompt is called {row['prompt']!r}{near_match(row['prompt'], known)}"
        )
    if method == "dpo" and row["chosen"] == row["rejected"]:
        raise UsageError(f"{place}: chosen and rejected are the same answer")
    return row
