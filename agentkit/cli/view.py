"""`agentkit view`: what the store holds, live in a browser on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from agentkit.cli.options import open_store, store_option
from agentkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from agentkit.records import Run
    from agentkit.report import Baseline
    from agentkit.store import Store
    from agentkit.web import Viewer


@click.command("view")
@click.option(
    "--port", default=8321, show_default=True, type=click.IntRange(0, 65535), help="Of 127.0.0.1; 0: any free one."
)
@click.option("--no-open", is_flag=True, help="Only print the address; open no browser.")
@store_option
def command(port: int, no_open: bool, store: str | None) -> int:
    """Show the runs of the store in a browser, live, until Ctrl-C.

    Runs in progress, compounded accuracy over time, each run's report, run against run. Only this machine can look.
    """
    from agentkit.report import require_drawing

    require_drawing()
    with open_store(store) as opened, _listening(opened, port, store) as viewer:
        try:
            click.echo(f"{viewer.url}  (Ctrl-C ends it)")
            if not no_open and has_screen():
                import webbrowser

                webbrowser.open(viewer.url)
            viewer.serve_forever()
        except KeyboardInterrupt:
            click.echo("")
    return ExitCode.PASS


def _listening(opened: Store, port: int, store: str | None) -> Viewer:
    from agentkit.web import Viewer

    try:
        return Viewer(opened, compared_in_project(store), port)
    except OSError as error:
        raise UsageError(
            f"--port: 127.0.0.1:{port} cannot be used: {error.strerror}; --port 0 takes a free one"
        ) from None


def has_screen() -> bool:
    """Without one, a browser in text mode would take this very terminal."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def compared_in_project(store: str | None) -> Callable[[Run, Run], Baseline]:
    """Run against run as `agentkit compare` would judge it here; says so where a side is not finished."""
    from agentkit.cli.report import baseline_of

    def compared(base: Run, candidate: Run) -> Baseline:
        found = baseline_of(candidate, base.id, store)
        cut = [
            f"run {side.id} is not finished ({side.status}): what is missing may differ from what is there"
            for side in (base, candidate)
            if side.status != "finished"
        ]
        return replace(found, verdict={**found.verdict, "notes": [*found.verdict["notes"], *cut]})

    return compared
