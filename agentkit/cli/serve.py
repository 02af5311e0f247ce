"""`agentkit serve`: model servers, and the router in front of them."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import click

from agentkit.cli.options import open_store, refuse_before_command, store_option
from agentkit.cli.serve_keys import keys
from agentkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from agentkit.serve.production import Served
    from agentkit.store import Store


_FILES = 16_384
_SWITCH = 0.0005
"""Seconds after which a thread that computes (redaction) lets the one that answers go on; Python's own 5 ms would be
felt in every answer."""


@click.group("serve", invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--replicas", type=click.IntRange(0, 64), help="Model servers to start [default: the configuration's].")
@click.option("--no-engines", is_flag=True, help="Start none: only upstreams of the configuration answer.")
@click.option("--turbo", type=click.Choice(["auto", "on", "off"]), help="Speculation by look-up; auto: where it pays.")
@click.option("--no-auth", is_flag=True, help="Let anybody on this machine in without a key.")
@store_option
@click.pass_context
def command(
    context: click.Context,
    host: str,
    port: int,
    replicas: int | None,
    no_engines: bool,
    turbo: str | None,
    no_auth: bool,
    store: str | None,
) -> int:
    """Serve the project's agents and steps behind one OpenAI-compatible address, until Ctrl-C.

    A caller names AGENT/STEP as the model; the route table (`agentkit route`) says what answers. Callers need a key:
    `agentkit serve keys add NAME`. Model servers listen on loopback, and only the router can use them.
    """
    if context.invoked_subcommand is not None:
        refuse_before_command(context)
        return ExitCode.PASS
    if no_engines and replicas:
        raise UsageError("--no-engines: expected no --replicas beside it")
    from agentkit.serve.production import Options, check_open, is_loopback

    if no_auth:
        check_open(host)
    options = Options(not no_auth, 0 if no_engines else replicas, turbo, open_metrics=is_loopback(host))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with open_store(store) as opened:
        _serve(opened, host, port, options)
    return ExitCode.PASS


def _serve(store: Store, host: str, port: int, options: object) -> None:
    import uvloop

    from agentkit.config import load_config
    from agentkit.serve.production import Options, run
    from agentkit.serve.router.server import listen

    assert isinstance(options, Options)
    sys.setswitchinterval(_SWITCH)
    _allow_connections()
    with listen(host, port) as sock:
        address = f"http://{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}/v1"
        warn = _warnings(store, options.keys, host)
        try:
            uvloop.run(
                run(load_config(), store, sock, options, _tell, lambda found: _show(found, address, warn)),
            )
        except KeyboardInterrupt:
            click.echo("ended", err=True)


def _allow_connections() -> None:
    """As many open files as the system lets this process have; each connection is one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _warnings(store: Store, keys_wanted: bool, host: str) -> list[str]:
    from agentkit.serve.production import is_loopback

    if not keys_wanted:
        return ["WITHOUT KEYS: any program on this machine can ask, and what it asks is recorded as `anybody`"]
    found = []
    if not any(key.revoked_at is None for key in store.api_keys()):
        found.append("nobody has a key yet: agentkit serve keys add NAME")
    if not is_loopback(host):
        found.append(f"{host} is reached from other machines, and the keys travel in plain text: put TLS before it")
    return found


def _show(found: Served, address: str, warnings: list[str]) -> None:
    """What is served, as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    revision = found.table.current
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("model", "answered by", "canary", "up"):
        table.add_column(column)
    for route in revision.routes:
        canary = f"{route.canary} {route.share:.0%}" if route.canary else ""
        up = len(found.router.parts.upstreams.serving(route.live))
        table.add_row(*map(Text, (f"{route.agent}/{route.step}", str(route.live), canary, str(up))))
    console = Console(stderr=False)
    console.print(f"{address}   revision {revision.number}   (Ctrl-C ends it)", highlight=False, markup=False)
    console.print(table)
    for warning in warnings:
        click.secho(warning, fg="yellow", err=True)
    sys.stdout.flush()


def _tell(message: str) -> None:
    click.echo(message, err=True)


command.add_command(keys)
