"""Where data came from: beside every file made of production's traffic, `provenance.json` says whose each line is.

So a user can be forgotten in data sets too, long after the exchanges themselves were pruned; and the adapters that were
trained on such a data set are found by their job, whose folder holds the same file. Lines are known by their place, so
nothing is removed from a file that has other lines than were written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from agentkit.errors import UsageError
from agentkit.files import write_whole as put_whole
from agentkit.records import ConversationId, Exchange, ResponseId

PROVENANCE = "provenance.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """An exchange that something was made of."""

    exchange: ResponseId
    conversation: ConversationId
    user: str | None
    """Pseudonym."""

    @classmethod
    def of(cls, it: Exchange) -> Origin:
        return cls(it.id, it.conversation, it.user)

    def is_of(self, users: Collection[str], conversations: Collection[ConversationId]) -> bool:
        """Whether it is somebody's, who is known by so many pseudonyms and took part in such conversations."""
        return self.user in users or self.conversation in conversations


Lines = Sequence[Sequence[Origin]]
"""Of a file: what each of its lines was made of. A file that is one whole has a single entry."""


def read_provenance(folder: Path) -> dict[str, Lines]:
    """File name → what its lines were made of; empty where the folder holds nothing of production's.

    Raises:
        UsageError: the file cannot be read, or is none.
    """
    path = folder / PROVENANCE
    try:
        files = orjson.loads(path.read_bytes())["files"]
        return {
            name: [[Origin(ResponseId(it[0]), ConversationId(it[1]), it[2]) for it in line] for line in lines]
            for name, lines in files.items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise UsageError(f"{path}: is not what was written: expected `files`, each with its lines' origins") from None


def write_provenance(folder: Path, files: Mapping[str, Lines]) -> None:
    """Keep where the lines of a folder's files came from, beside what is known of its other files.

    Raises:
        UsageError: the folder cannot be written, or holds a file of this name that is none.
    """
    known = {**read_provenance(folder), **files}
    document = {
        "schema_version": 1,
        "files": {
            name: [[[it.exchange, it.conversation, it.user] for it in line] for line in lines]
            for name, lines in known.items()
        },
    }
    write_whole(folder / PROVENANCE, orjson.dumps(document) + b"\n")


def write_lines(path: Path, rows: Sequence[bytes], origins: Lines) -> None:
    """Write a file of such rows, one a line, and what each was made of. Whenever the process dies, there are no lines
    without their origins, nor with those of others: a file that is there already goes first.

    Raises:
        UsageError: the file, or the one beside it, cannot be written.
    """
    _write(path, b"".join(row + b"\n" for row in rows), origins)


def write_file(path: Path, content: bytes, origins: Sequence[Origin]) -> None:
    """Write a file that is one whole, and what it was made of; otherwise as `write_lines` does."""
    _write(path, content, [origins])


def files_of(folder: Path, users: Collection[str], conversations: Collection[ConversationId]) -> list[str]:
    """The files of a folder that hold something of a user. Raises UsageError as `read_provenance` does."""
    known = read_provenance(folder)
    return [name for name, lines in known.items() if list(_places(lines, users, conversations))]


def check(folder: Path, users: Collection[str], conversations: Collection[ConversationId]) -> None:
    """Whether a user's lines can be removed from a folder's files.

    Raises:
        UsageError: a file cannot be read, or has other lines than are known of it.
    """
    known = read_provenance(folder)
    for name in files_of(folder, users, conversations):
        _left(folder / name, known[name], set(_places(known[name], users, conversations)))


def strike(folder: Path, users: Collection[str], conversations: Collection[ConversationId]) -> int:
    """Remove a user's lines from a folder's files, and say how many went. A file that is one whole is deleted, and so
    is one of which nothing would be left.

    Raises:
        UsageError: a file cannot be read or written, or has other lines than are known of it.
    """
    known, gone = read_provenance(folder), 0
    for name in files_of(folder, users, conversations):
        lines, path = known[name], folder / name
        theirs = set(_places(lines, users, conversations))
        left = _left(path, lines, theirs)
        if left is not None and left:
            write_whole(path, b"".join(left))
        elif left is not None:
            _delete(path)
        write_provenance(folder, {name: [line for place, line in enumerate(lines) if place not in theirs]})
        gone += len(theirs)
    return gone


def _left(path: Path, lines: Lines, theirs: Collection[int]) -> list[bytes] | None:
    """What of a file is not theirs; None where it needs no change: it is gone, or they were removed from it, and only
    the origins were not written any more."""
    if not path.is_file():
        return None
    if path.suffix != ".jsonl" and len(lines) == 1:
        return []
    try:
        rows = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if len(rows) == len(lines):
        return [row for place, row in enumerate(rows) if place not in theirs]
    if len(rows) == len(lines) - len(theirs):
        return None
    raise UsageError(
        f"{path}: found {len(rows)} lines, expected the {len(lines)} that were written, of which {len(theirs)} are to "
        "be removed: restore the file, or delete it, and try again"
    )


def _write(path: Path, content: bytes, origins: Lines) -> None:
    _delete(path)
    write_provenance(path.parent, {path.name: origins})
    write_whole(path, content)


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be deleted: {error.strerror}") from None


def _places(lines: Lines, users: Collection[str], conversations: Collection[ConversationId]) -> Iterable[int]:
    return (place for place, line in enumerate(lines) if any(it.is_of(users, conversations) for it in line))


def write_whole(path: Path, content: bytes) -> None:
    """Whole or not at all, and for the project's own eyes. Raises UsageError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put_whole(path, content, private=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
