"""Forgets a user: in the store, in spill files, in data sets and drafts; and says which adapters learned from them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit.collect.capture import SPILL
from agentkit.collect.draft import FROM, mend, shown
from agentkit.collect.export import export_folders
from agentkit.collect.mover import Mover
from agentkit.collect.provenance import PROVENANCE, check, files_of, read_provenance, strike
from agentkit.collect.pseudonym import has_secret, is_pseudonym, pseudonym
from agentkit.collect.spill import is_held, segments
from agentkit.collect.tally import Tally
from agentkit.config import CollectSettings
from agentkit.errors import UsageError
from agentkit.records import AdapterName, ConversationId
from agentkit.store import Store

_HEAD = 4
"""Lines of a scenario in which a draft says what conversation it is from."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What was removed of a user, and what is left to do."""

    user: str
    """Pseudonym."""
    also: str | None
    """The pseudonym of whoever calls themselves by what was given, where that has the form of a pseudonym: it may be
    either, so both are forgotten."""
    exchanges: int
    feedback: int
    pins: int
    lines: int
    """Of exported data sets and jobs' data, and drafts."""
    adapters: tuple[AdapterName, ...]
    """That were trained on data of theirs: what was learned cannot be taken out again."""
    scenarios: tuple[Path, ...]
    """That were made from conversations of theirs, and confirmed: a person must look at them."""
    held: tuple[Path, ...]
    """Spill files that a running process still writes to: it leaves the user out when it moves them."""
    missing: tuple[Path, ...]
    """Folders to which data sets were exported and in which there is none now: they were moved or deleted, or are not
    mounted. What they held of the user is not reached."""


def forget(
    store: Store, settings: CollectSettings, user: str, *, scenarios: Sequence[Path], jobs: Path, wait: float = 5.0
) -> Gone:
    """Forget a user, named as the callers name them or by pseudonym. Doing it again, or after a crash, is no error.

    `scenarios`: folders below which scenarios and drafts of them lie. `jobs`: that of the training jobs. `wait`:
    seconds for running processes to move their spill files.

    Raises:
        UsageError: no user was ever given a pseudonym here, or a file cannot be read or written, or has other lines
            than are known of it; of the latter, nothing was removed yet.
        StoreError: the store fails.
    """
    if not user.strip():
        raise UsageError("--user: found an empty name, expected the user as the callers name them")
    if not is_pseudonym(user) and not has_secret(settings.folder):
        raise UsageError(f"{settings.folder}: nobody was ever captured here, so there is no user {user!r} to forget")
    names = _pseudonyms(user, settings)
    exported = export_folders(settings)
    folders = sorted({*exported, *_job_folders(store, jobs), *_made_below([*exported, *scenarios])})
    known = _conversations(folders, names, (it for name in names for it in store.conversations_of(name)))
    for folder in folders:
        check(folder, names, known)
    adapters = _trained_on(store, names, known)
    # Rows go first: what is moved into the store from now on leaves the user out.
    gone = [store.forget(name, known) for name in names]
    held = _moved(store, Path(settings.folder) / SPILL, wait)
    lines = sum(strike(folder, names, known) for folder in folders)
    for folder in folders:
        mend(store, folder)
    return Gone(
        user=names[0],
        also=names[1] if len(names) > 1 else None,
        exchanges=sum(it.exchanges for it in gone),
        feedback=sum(it.feedback for it in gone),
        pins=sum(it.pins for it in gone),
        lines=lines,
        adapters=adapters,
        scenarios=tuple(_confirmed(scenarios, known)),
        held=held,
        missing=tuple(it for it in exported if not _made_below([it])),
    )


def _pseudonyms(user: str, settings: CollectSettings) -> list[str]:
    """Under which somebody is kept. What has a pseudonym's form may be one, or what the callers name a user, who was
    then given a pseudonym like any other."""
    given = [user] if is_pseudonym(user) else []
    return [*given, pseudonym(user, settings.folder)] if has_secret(settings.folder) else given


def _conversations(
    folders: Iterable[Path], users: Sequence[str], known: Iterable[ConversationId]
) -> list[ConversationId]:
    """A user's conversations: those in the store, and those that only data sets know any more."""
    found = set(known)
    for folder in folders:
        for lines in read_provenance(folder).values():
            found |= {it.conversation for line in lines for it in line if it.user in users}
    return sorted(found)


def _trained_on(store: Store, users: Sequence[str], known: Sequence[ConversationId]) -> tuple[AdapterName, ...]:
    """Adapters of jobs whose folder says that their data hold something of the user; and those grown from them."""
    folders = {job.id: Path(job.folder) for job in store.jobs(limit=1_000_000)}
    theirs = {id for id, folder in folders.items() if files_of(folder, users, known)}
    found: list[AdapterName] = []
    for adapter in reversed(store.adapters()):  # the oldest first: parents come before those grown from them
        if adapter.job in theirs or set(adapter.parents) & set(found):
            found.append(adapter.name)
    return tuple(found)


def _moved(store: Store, folder: Path, wait: float) -> tuple[Path, ...]:
    """Move the spill files that nobody holds; those of now that are held after `wait` seconds."""
    now = segments(folder)
    mover = Mover(folder, lambda: store, Tally(), retention=None)
    deadline = time.monotonic() + wait
    while True:
        mover.move()
        left = [it for it in now if it.exists() and is_held(it)]
        if not left or time.monotonic() >= deadline:
            return tuple(left)
        time.sleep(0.1)


def _job_folders(store: Store, jobs: Path) -> list[Path]:
    known = {Path(job.folder) for job in store.jobs(limit=1_000_000)}
    there = {it for it in jobs.iterdir() if it.is_dir()} if jobs.is_dir() else set()
    return sorted(known | there)


def _made_below(folders: Iterable[Path]) -> list[Path]:
    """The folders at or below some that hold data made of production's conversations."""
    return sorted({it.parent for folder in folders if folder.is_dir() for it in folder.rglob(PROVENANCE)})


def _confirmed(scenarios: Sequence[Path], known: Sequence[ConversationId]) -> Iterable[Path]:
    marks = {f"# {shown(f'{FROM}{it}')}" for it in known}
    for path in sorted({it for folder in scenarios if folder.is_dir() for it in folder.rglob("*.y*ml")}):
        with path.open(encoding="utf-8", errors="replace") as stream:
            if any(line.rstrip("\n") in marks for line, _ in zip(stream, range(_HEAD), strict=False)):
                yield path
