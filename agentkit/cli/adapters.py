"""`agentkit adapters`: the trained adapters, what each was measured to do, and whether its folder is what it was."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentkit.cli.options import check_writable, json_option, open_store, store_option, write_json
from agentkit.errors import AdapterError, ExitCode, UsageError, near_match

if TYPE_CHECKING:
    from agentkit.records import Adapter
    from agentkit.store import Store
    from agentkit.tune.registry import Left

_ACTIONS = ("retire", "register", "together")


@click.command("adapters")
@click.argument("words", nargs=-1, metavar="[NAME | retire NAME | register NAME | together RUN...]")
@store_option
@json_option
def command(words: tuple[str, ...], store: str | None, json_file: str | None) -> int:
    """List the trained adapters, or show NAME (or a beginning of it) in full and verify its folder.

    \b
    retire NAME     it is not to serve again, once no route leads to it; its
                    folder stays
    register NAME   enter a folder that was published and is not in the registry
    together RUN... whether adapters keep what each gained alone: runs of the
                    same seeds with one adapter each (demo+a, demo+b), and one
                    with all of them (demo+a+b)

    Exits with 1 where NAME's folder is missing, or is not what was registered; `together` exits with 0 where all is
    kept, 1 where something is lost, and 4 where that is open.
    """
    check_writable(json_file)
    from agentkit.config import load_config

    folder = Path(load_config().adapters)
    with open_store(store) as opened:
        match words:
            case ():
                return _list(opened, folder, json_file)
            case (name,) if name not in _ACTIONS:
                return _show(opened, opened.adapter(name), json_file)
            case ("together", *runs):
                return _together(opened, runs, json_file)
            case ("retire", name):
                from agentkit.records import AdapterState

                found = opened.adapter(name)
                _check_unused(opened, found)
                changed = opened.set_adapter_state(found.name, AdapterState.RETIRED)
            case ("register", name):
                from agentkit.tune.registry import register

                changed = register(opened, _unregistered(opened, folder, name))
            case (action, *names):
                if action in _ACTIONS:
                    raise UsageError(
                        f"{action}: found {len(names)} names, expected one: agentkit adapters {action} NAME"
                    )
                raise UsageError(
                    f"found {' '.join(words)!r}, expected one NAME, or `retire NAME`, `register NAME` or "
                    f"`together RUN...`"
                    f"{near_match(action, _ACTIONS)}"
                )
    if json_file is not None:
        write_json(json_file, row(changed))
    if json_file != "-":
        click.echo(f"{changed.name} is {changed.state}")
    return ExitCode.PASS


def _list(store: Store, folder: Path, json_file: str | None) -> int:
    from agentkit.cli.adapter_table import print_adapters
    from agentkit.tune.registry import left_behind

    found, left = store.adapters(), left_behind(store, folder)
    if json_file is not None:
        document = {"adapters": [row(it) for it in found], "not_registered": [_left_row(it) for it in left]}
        write_json(json_file, document)
    if json_file != "-":
        print_adapters(found, left)
    return ExitCode.PASS


def _show(store: Store, adapter: Adapter, json_file: str | None) -> int:
    from agentkit.cli.adapter_table import print_adapter
    from agentkit.tune.registry import check_registered

    problem = ""
    try:
        check_registered(adapter)
    except AdapterError as error:
        problem = str(error)
    if json_file is not None:
        write_json(json_file, row(adapter) | {"card": adapter.card, "verified": not problem, "problem": problem})
    if json_file != "-":
        print_adapter(adapter, problem)
    return ExitCode.FAIL if problem else ExitCode.PASS


def _together(store: Store, words: list[str], json_file: str | None) -> int:
    from agentkit.gate.rows import recorded
    from agentkit.tune.together import Single, together

    runs = {run.id: run for run in map(store.run, words)}.values()
    sides = [(frozenset(run.agent.split("+")[1:]), recorded(run, store.grades(run.id))) for run in runs]
    joint = [plays for adapters, plays in sides if len(adapters) > 1]
    alone = [
        Single(it.name, it.step, plays)
        for adapters, plays in sides
        if len(adapters) == 1
        for it in map(store.adapter, adapters)
    ]
    if len(joint) != 1 or {it.adapter for it in alone} != max((adapters for adapters, _ in sides), key=len):
        played = ", ".join(run.agent for run in runs) or "none"
        raise UsageError(
            f"together: found runs of {played}; expected one of each adapter alone, and one of all of them"
        )
    found = together(alone, joint[0])
    if json_file is not None:
        write_json(json_file, found.document())
    if json_file != "-":
        click.echo(found.sentence)
        for beside in (*found.steps, *found.success):
            click.echo(f"  {beside.judged.outcome.value:12}  {beside.judged.reason}")
    return found.verdict.exit_code


def _check_unused(store: Store, adapter: Adapter) -> None:
    """Raises UsageError where routes lead to the adapter: it would go on to answer them."""
    if uses := list(_uses(store, adapter)):
        routes, commands = zip(*uses, strict=True)
        raise UsageError(
            f"{adapter.name} is {' and '.join(routes)}, expected no route that leads to it; "
            f"run first: {'; '.join(commands)}"
        )


def _uses(store: Store, adapter: Adapter) -> Iterator[tuple[str, str]]:
    """What the adapter is in the route table, and the command that takes it off there."""
    from agentkit.records import Target, TargetKind
    from agentkit.serve.routes import route_name

    target = Target(TargetKind.ADAPTER, adapter.name)
    for revision in store.revisions(1):
        for it in revision.routes:
            name = route_name(it.agent, it.step)
            if it.live == target:
                yield f"live at {name}", f"agentkit route set {shlex.quote(name)} base"
            if it.canary == target:
                yield f"the canary of {name}", f"agentkit route canary {shlex.quote(name)} --off"


def _unregistered(store: Store, folder: Path, name: str) -> Path:
    """The folder that is to be registered: by its name, or by a path."""
    path = folder / name
    if not path.is_dir():
        from agentkit.tune.registry import left_behind

        known = [left.path.name for left in left_behind(store, folder)]
        raise UsageError(f"{folder}: no adapter is called {name!r} there{near_match(name, known)}")
    return path


def row(adapter: Adapter) -> dict[str, Any]:
    """An adapter in the `--json` documents."""
    return {
        "name": adapter.name,
        "step": adapter.step,
        "scenarios": list(adapter.scenarios),
        "state": adapter.state.value,
        "base": adapter.base,
        "base_hash": adapter.base_hash,
        "parents": list(adapter.parents),
        "job": adapter.job,
        "path": adapter.path,
        "present": Path(adapter.path).is_dir(),
        "hash": adapter.hash,
        "manifest_hash": adapter.manifest_hash,
        "created_at": adapter.created_at,
        "examples": adapter.card.get("examples"),
        "certificate": adapter.certificate,
    }


def _left_row(left: Left) -> dict[str, str]:
    return {"path": str(left.path), "problem": left.problem}
