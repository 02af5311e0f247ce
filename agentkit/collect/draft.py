"""Writes captured conversations as drafts of scenarios, in folders that no run takes up by itself."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from agentkit.collect.drafting import Drafted, NoDraftError, draft_of, is_bad
from agentkit.collect.provenance import Origin, read_provenance, write_file, write_provenance, write_whole
from agentkit.collect.recorded import can_be_recorded
from agentkit.collect.transcript import policy, transcript
from agentkit.errors import SuiteError, UsageError
from agentkit.ingest.bfcl.scenarios import to_yaml
from agentkit.records import ConversationId, Exchange, Feedback
from agentkit.scenario import Suite, load
from agentkit.scenario.suite import SUITE_FILE, load_suite
from agentkit.store import Store

FROM = "conversation: "
"""Begins the line of a draft that says where it is from."""
_TOOLS = "recorded_tools.json"
_POLICY = "policy.md"
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_NOT_SHOWN = re.compile(r"[^\x20-\x7e\u00a0-\u1fff\u2030-\ufdff]")
_WORLD = '''"""Tools that answer as they did in production; for a suite's own world, move the drafts there."""

from agentkit.collect.recorded import recorded_tools

TOOLS = recorded_tools(
    {tools}
)
'''


@dataclass(frozen=True, slots=True)
class Draft:
    """What became of one conversation."""

    conversation: ConversationId
    file: Path | None
    """None where it gives no draft."""
    is_bad: bool
    why: str
    """What is to be confirmed, or why there is no draft; in words."""


def write_drafts(store: Store, conversations: Sequence[ConversationId], out: Path, suite: Path | None) -> list[Draft]:
    """Write a draft for each conversation, below a folder for its agent. What was drafted before is left alone.

    `suite`: the suite whose world the drafts are for; without one, tools answer what they answered in production.

    Raises:
        UsageError: the folder cannot be written, or `suite` is none.
        StoreError: the store fails.
    """
    world = None if suite is None else _suite(suite)
    read = {it: (store.exchanges(conversation=it), store.feedback(conversation=it)) for it in conversations}
    found: list[Draft] = []
    for agent in sorted({_agent(exchanges) for exchanges, _ in read.values()}):
        mine = {name: both for name, both in read.items() if _agent(both[0]) == agent}
        folder = out / _slug(agent)
        tools = {**_known_tools(folder), **_tools(it for exchanges, _ in mine.values() for it in exchanges)}
        _write_suite(folder, agent, world, tools, [it for exchanges, _ in mine.values() for it in exchanges])
        for name, (exchanges, judged) in mine.items():
            found.append(_write(folder, name, exchanges, judged, world, tools))
    order = {name: place for place, name in enumerate(conversations)}
    return sorted(found, key=lambda it: order[it.conversation])


def mend(store: Store, folder: Path) -> None:
    """Where the system prompt beside drafts went with a user, write another conversation's of theirs in its place, or
    an empty one where none of them is kept any more: what is left there loads.

    Raises:
        UsageError: the folder cannot be written.
        StoreError: the store fails.
    """
    known = read_provenance(folder)
    if _POLICY not in known or (folder / _POLICY).exists() or not (folder / SUITE_FILE).is_file():
        return
    drafted = dict.fromkeys(it.conversation for lines in reversed(known.values()) for line in lines for it in line)
    newest = (store.exchanges(conversation=it, limit=1) for it in drafted)
    _write_policy(folder, next(filter(None, newest), []))


def judged_bad(store: Store, conversations: Sequence[ConversationId]) -> list[ConversationId]:
    """Those that somebody judged bad, in their order."""
    bad = {it.conversation for it in store.feedback(conversations=conversations) if is_bad(it)}
    return [it for it in conversations if it in bad]


def _write(
    folder: Path,
    name: ConversationId,
    exchanges: Sequence[Exchange],
    judged: Sequence[Feedback],
    world: Suite | None,
    tools: Mapping[str, Any],
) -> Draft:
    path = folder / f"{_slug(name)}.yaml"
    if path.exists() or path.name in read_provenance(folder):
        return Draft(name, None, False, "was drafted before")
    try:
        drafted = draft_of(transcript(exchanges), judged, _schemas(world, tools), recorded=world is None)
    except NoDraftError as error:
        return Draft(name, None, False, str(error))
    write_whole(path, (_header(name, drafted) + to_yaml(drafted.document)).encode())
    try:
        load([path])
    except SuiteError as error:
        path.unlink()
        return Draft(name, None, drafted.is_bad, "; ".join(it.message for it in error.problems))
    write_provenance(folder, {path.name: [[Origin.of(it) for it in exchanges]]})
    return Draft(name, path, drafted.is_bad, "; ".join(drafted.to_confirm))


def _write_suite(
    folder: Path, agent: str, world: Suite | None, tools: Mapping[str, Any], exchanges: Sequence[Exchange]
) -> None:
    title = f"Drafts from production, agent {shown(agent)}" if agent else "Drafts from production"
    document: dict[str, Any] = {"title": title}
    if world is None:
        if tools:
            write_whole(folder / "world.py", _WORLD.format(tools=repr([*tools.values()])).encode())
            write_whole(folder / _TOOLS, orjson.dumps(tools))
        _write_policy(folder, exchanges[-1:])
        document |= {"world": "world.py", "policy": _POLICY} if tools else {"policy": _POLICY}
    else:
        given = orjson.loads(orjson.dumps(_given(world)))
        beside = {
            key: os.path.relpath(world.folder / given[key], folder) for key in ("world", "policy") if key in given
        }
        document |= beside
    write_whole(folder / SUITE_FILE, to_yaml(document).encode())


def _write_policy(folder: Path, newest: Sequence[Exchange]) -> None:
    """What an exchange was told by its system; which may name its user, so that it is known whose it is."""
    write_file(folder / _POLICY, policy(transcript(newest)).encode(), [Origin.of(it) for it in newest])


def _suite(folder: Path) -> Suite:
    if not (folder / SUITE_FILE).is_file():
        raise UsageError(f"--suite: {folder} has no {SUITE_FILE}, expected the folder of a suite")
    suite, problems = load_suite(folder)
    if problems:
        raise SuiteError(problems)
    if not isinstance(_given(suite).get("world"), str):
        raise UsageError(f"--suite: {folder}: expected a suite with a Python world; leave the option out for others")
    return suite


def _given(suite: Suite) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load((suite.folder / SUITE_FILE).read_text(encoding="utf-8"))
    return found


def _schemas(world: Suite | None, tools: Mapping[str, Any]) -> dict[str, Any]:
    if world is not None and world.world is not None:
        return {name: it.parameters for name, it in world.world.tools.items()}
    return {name: it.get("parameters") or {} for name, it in tools.items()}


def _tools(exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """The tools that requests offered, by name; as the last one offered them."""
    found: dict[str, Any] = {}
    for it in exchanges:
        for tool in it.request.get("tools") or ():
            function = tool.get("function") if isinstance(tool, Mapping) else None
            if isinstance(function, Mapping) and can_be_recorded(function):
                found[str(function["name"])] = {
                    key: function[key] for key in ("name", "description", "parameters") if key in function
                }
    return dict(sorted(found.items()))


def _known_tools(folder: Path) -> dict[str, Any]:
    """Those that earlier drafts of the folder call."""
    try:
        found: dict[str, Any] = orjson.loads((folder / _TOOLS).read_bytes())
        return found
    except (OSError, ValueError):
        return {}


def _header(name: ConversationId, drafted: Drafted) -> str:
    lines = [
        "A draft from production: confirm every step, then move the file into a suite and take the tag `draft` away.",
        f"{FROM}{name}",
        *(f"to confirm: {it}" for it in drafted.to_confirm),
    ]
    return "".join(f"# {shown(line)}\n" for line in lines)


def shown(text: str) -> str:
    """On one line, without anything that a terminal or a reader of YAML could take for more than a letter."""
    return _NOT_SHOWN.sub(" ", text)[:300]


def _agent(exchanges: Sequence[Exchange]) -> str:
    return next((it.agent for it in reversed(exchanges) if it.agent), "")


def _slug(name: str) -> str:
    """A name of a file or folder; one that had to be changed has a hash, so that no two are the same."""
    plain = _NO_NAME.sub("-", name).strip("-.")[:60]
    if plain and plain == name:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else f"unnamed-{digest}"
