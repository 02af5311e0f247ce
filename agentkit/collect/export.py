"""Writes captured exchanges as a data set: JSONL, with a file beside it that says where each line came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from agentkit.collect.provenance import PROVENANCE, Origin, write_lines, write_whole
from agentkit.config import CollectSettings
from agentkit.errors import UsageError
from agentkit.records import Exchange
from agentkit.store import Store

FILE = "exchanges.jsonl"
_LIST = "exports.json"


def export(store: Store, settings: CollectSettings, exchanges: Sequence[Exchange], out: Path) -> int:
    """Write exchanges, with what was said of each, into a folder, and say how many lines it has.

    The folder is remembered, so that a user can be forgotten in it.

    Raises:
        UsageError: the folder cannot be written, or holds something else.
    """
    if out.is_dir() and any(it.name not in (FILE, PROVENANCE) for it in out.iterdir()):
        raise UsageError(f"-o: {out} holds other files, expected a folder of its own for the data set")
    conversations = list(dict.fromkeys(it.conversation for it in exchanges))
    judged: dict[Any, list[dict[str, Any]]] = {}
    for it in store.feedback(conversations=conversations):
        said = {"value": it.value, "answer": it.answer, "text": it.text}
        judged.setdefault(it.response, []).append({"source": it.source, "by": it.by, "kind": it.kind, **said})
    rows = [_row(it) | {"feedback": judged.get(it.id, [])} for it in exchanges]
    remember(settings, out)
    write_lines(out / FILE, [*map(orjson.dumps, rows)], [[Origin.of(it)] for it in exchanges])
    return len(rows)


def export_folders(settings: CollectSettings) -> list[Path]:
    """Where data sets were exported to, whether they are still there or not. Raises UsageError where the list is
    broken."""
    path = Path(settings.folder) / _LIST
    try:
        return [Path(it) for it in orjson.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path}: is no list of folders: {error}") from None


def remember(settings: CollectSettings, out: Path) -> None:
    """Keep the folder of a data set, or of drafts, on the list, so that users can be forgotten in it.

    To be called before anything is written there.

    Raises UsageError where the list is broken, or cannot be written.
    """
    known = {str(it) for it in export_folders(settings)} | {str(out.absolute())}
    write_whole(Path(settings.folder) / _LIST, orjson.dumps(sorted(known)))


def _row(it: Exchange) -> dict[str, Any]:
    return {
        "id": it.id,
        "conversation": it.conversation,
        "at": it.at,
        "agent": it.agent,
        "step": it.step,
        "revision": it.revision,
        "arm": it.arm,
        "target": str(it.target),
        "messages": [*(it.request.get("messages") or ()), *([] if it.response is None else [it.response])],
        "tools": it.request.get("tools") or [],
        "status": it.status,
    }
