"""A command whose reader has left ends with its own exit code, and says nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYING = """
import click
from rich.console import Console

from agentkit import cli
from agentkit.errors import NotJudged


@click.command()
@click.argument("way")
@click.argument("code", type=int)
def saying(way, code):
    say = {"rich": Console().print, "click": click.echo, "errors": lambda it: click.echo(it, err=True)}[way]
    for _ in range(3):
        say("a line")
    if way == "errors":
        raise NotJudged("nothing to judge")
    return code


cli._Commands.get_command = lambda *_: saying
cli.main()
"""
"""`agentkit runs WAY CODE`: several lines, each in its way, and then that code."""


def unread(command: list[str], *, deaf: bool = False, cwd: Path | None = None) -> tuple[int, str]:
    """Exit code and standard error of a command whose output nobody reads; `deaf`: nor its errors."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        errors = writes if deaf else subprocess.PIPE
        done = subprocess.run(command, stdout=writes, stderr=errors, cwd=cwd, text=True, check=False)
    finally:
        os.close(writes)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize(("way", "code"), [("rich", 0), ("rich", 1), ("click", 0), ("click", 4)])
def test_the_exit_code_is_the_commands_own(way: str, code: int) -> None:
    assert unread([sys.executable, "-c", SAYING, "runs", way, str(code)]) == (code, "")


def test_so_it_is_where_nobody_reads_the_errors_either() -> None:
    assert unread([sys.executable, "-c", SAYING, "runs", "errors", "0"], deaf=True)[0] == 3
