"""The command line: a thin layer that turns words into calls of the stages, and errors into exit codes."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module

import click

from agentkit.cli.pipes import outlive_readers
from agentkit.errors import AgentkitError, ExitCode

_COMMANDS = {
    "run": "Play scenarios with one or several agents, and show what compounds.",
    "show": "Show a run again, or one of its conversations step by step.",
    "plan": "Before spending: trials, model calls, tokens, cost and time that a drop takes to be seen.",
    "baseline": "Write a run as the baseline that later versions are compared with.",
    "compare": "Show two versions beside each other, or several agents by accuracy and cost.",
    "gate": "Decide whether a version may ship: pass, fail, inconclusive or could not judge.",
    "calibrate": "Measure an LLM judge against human labels, so that it may block a gate.",
    "report": "Write a run as one HTML file: what compounds, where it is lost, and every conversation.",
    "view": "Show the runs of the store in a browser, live: progress, history, reports, run against run.",
    "label": "Judge captured answers in a browser; how far experts and judges agree; rows for training.",
    "grade": "Grade a recorded run again, without playing it, and show what changes.",
    "replay": "Take up a recorded trial at one of its steps, and play on from there n times.",
    "runs": "List the newest runs of the store.",
    "tune": "Train an adapter for a failing step, with rewards, and prove it on unseen conversations.",
    "adapters": "List the trained adapters: what each repairs, what was measured, and whether it is what it was.",
    "route": "Show and change what answers which step: base model, adapters, canaries; promote, roll back.",
    "serve": "Serve agents and steps behind one OpenAI-compatible address: model servers, router, keys.",
    "collect": "What was captured of production: how much, drafts of scenarios, data sets.",
    "forget": "Remove all that is kept of a user, and list the adapters that learned from them.",
    "loop": "Turn the wheel: what fails in production is repaired, proved, tried on a share of users, and promoted.",
    "import": "Bring in recorded conversations and tasks from elsewhere.",
    "audit": "Check scenarios themselves: players that know nothing must fail, golden ones must pass.",
    "tools": "Record the tools of an MCP server beside its suite.",
    "new": "Write a new project with one suite that runs at once.",
    "settings": "Print every setting of the project, with its meaning, its default and its value here.",
    "schema": "Print the JSON Schema of the scenario format, for editors.",
}

_MODULES = {"import": "imports"}
"""Where a command's module cannot bear its name."""


class _Commands(click.Group):
    """Imports a command's module only when that command is used, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"agentkit.cli.{_MODULES.get(cmd_name, cmd_name)}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from agentkit.errors import near_match

            raise click.UsageError(f"no command is called {args[0]!r}{near_match(args[0], _COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="agentkit-reliability", prog_name="agentkit")
def app() -> None:
    """Measure how an LLM agent fails, step by step, when users stray from the golden path.

    \b
    Exit codes: 0 done or pass, 1 fail, 2 wrong usage, 3 could not judge, 4 inconclusive,
    70 internal error, 130 interrupted.
    """


def main() -> None:
    """Entry point of the `agentkit` script."""
    outlive_readers()
    try:
        code = app.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = ExitCode.INTERRUPTED
    except AgentkitError as error:
        _tell("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]))
        code = error.exit_code
    except Exception:
        _tell(traceback.format_exc())
        click.echo("internal error: this is a defect of agentkit; please report it with the lines above", err=True)
        code = ExitCode.INTERNAL
    sys.exit(int(code or 0))


def _tell(text: str) -> None:
    """On standard error. What is wrong is often told in words of a model, a server or a file."""
    from agentkit.grade.text import inert

    click.echo("\n".join(map(inert, text.rstrip().split("\n"))), err=True)
