"""Options that several commands share, and writing a result as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from agentkit.errors import UsageError
from agentkit.files import is_special, write_whole

Command = TypeVar("Command", bound=Callable[..., Any])


def store_option(command: Command) -> Command:
    """`--store URL`, or AGENTKIT_STORE, or what the project's configuration says. What a group is told holds for its
    commands."""
    return click.option(
        "--store",
        envvar="AGENTKIT_STORE",
        callback=_nearest_store,
        metavar="URL",
        help="SQLAlchemy URL of the store [env: AGENTKIT_STORE; default: sqlite:///.agentkit/agentkit.db].",
    )(command)


def _nearest_store(context: click.Context, _: click.Parameter, url: str | None) -> str | None:
    """What the command itself is told, else what its group is; the environment comes after both."""
    if context.get_parameter_source("store") is not ParameterSource.COMMANDLINE:
        url = context.obj or url
    context.obj = url
    return url


def json_option(command: Command) -> Command:
    """`--json FILE`: the result for machines."""
    return click.option(
        "--json", "json_file", metavar="FILE", help="Write the result as JSON to FILE ('-': standard output)."
    )(command)


def refuse_unused(context: click.Context, names: Collection[str], why: str) -> None:
    """Refuse those of the options `names` that the command line gives, where they would change nothing.

    Raises:
        UsageError: the first of them, and `why`.
    """
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{option.opts[-1]} {why}")


def refuse_before_command(context: click.Context) -> None:
    """Refuse options of a group, `--store` apart, that stand before one of its commands, which does not see them.

    Raises:
        UsageError: there is one.
    """
    options = {it.name for it in context.command.params if it.name != "store"}
    why = f"does not reach `{context.invoked_subcommand}`: write it behind the command, where that takes it"
    refuse_unused(context, options, why)


def check_writable(file: str | None) -> None:
    """Refuse a `--json` file that cannot be written, before any work is done for it.

    Raises:
        UsageError: its folder is missing or read-only, or it is a device or pipe that one may not write to.
    """
    if file is None or file == "-":
        return
    if is_special(Path(file)):
        if not os.access(file, os.W_OK):
            raise UsageError(f"--json: {file} cannot be written: it is a device or pipe that one may not write to")
        return
    folder = Path(os.path.realpath(file)).parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(file).is_dir():
        raise UsageError(f"--json: {file} cannot be written: {folder} is no folder that one may write a file to")


def write(option: str, file: str | None, content: bytes) -> None:
    """Write the file of an option, whole or not at all; `-` is standard output.

    Raises:
        UsageError: the file cannot be written.
    """
    if file is None:
        return
    if file == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        write_whole(Path(file), content)
    except OSError as error:
        raise UsageError(f"{option}: {file} cannot be written: {error.strerror}") from None


def write_json(file: str, document: Any) -> None:
    """Write a document to the file of `--json`. Raises UsageError as `write` does."""
    import orjson

    write("--json", file, orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def open_store(url: str | None) -> Any:
    """The store that the command line, the environment or the project's configuration names."""
    from agentkit.config import load_config, store_url
    from agentkit.store import Store

    return Store.open(url or store_url(load_config()))
