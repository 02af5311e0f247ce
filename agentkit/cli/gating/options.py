"""The options that say what is compared, and how far is too far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--alpha", type=float, metavar="P", help="Chance of a false alarm, all criteria together [0.05]."),
    click.option("--min-effect", type=float, metavar="D", help="A drop up to this never fails [0.02: two points]."),
    click.option("--margin", type=float, metavar="D", help="A drop of this must be ruled out before it passes [0.10]."),
    click.option(
        "--non-inferiority", is_flag=True, help="Ask one question only: is the drop less than the margin? (one-sided)"
    ),
    click.option(
        "--step",
        "steps",
        multiple=True,
        metavar="SELECTOR",
        help="A step that blocks: step, scenario/variant#step, a pattern with *, skill:NAME or tag:NAME. Repeatable.",
    ),
    click.option("--each", is_flag=True, help="Each step that a --step names is a criterion by itself."),
    click.option(
        "--pass-k",
        type=click.IntRange(min=2),
        multiple=True,
        metavar="K",
        help="All of K attempts succeed. Repeatable.",
    ),
    click.option("--off-path", is_flag=True, help="Compounded accuracy off the golden path."),
    click.option("--cost", is_flag=True, help="Cost per success."),
    click.option("--latency", is_flag=True, help="Time per success."),
    click.option(
        "--safety",
        multiple=True,
        metavar="STEP=LIMIT",
        help="The upper bound of the step's failure rate must meet the limit (no_haste=0.05). Repeatable.",
    ),
    click.option("--max-invalid", type=float, metavar="SHARE", help="Invalid trials on either side, at most [0.10]."),
    click.option(
        "--accept",
        multiple=True,
        metavar="SCENARIO",
        help="It may have changed since the baseline; * is all. Repeatable.",
    ),
    click.option(
        "--accept-user",
        "accept_users",
        multiple=True,
        metavar="NAME",
        help="A simulated user that may differ from the baseline's; * is all. Repeatable.",
    ),
    click.option(
        "--population", is_flag=True, help="Judge the population that the scenarios sample instead of this fixed suite."
    ),
    click.option("--calibration", metavar="FILE", help="What `agentkit calibrate` wrote [reports/judge.json]."),
)


def criteria_options(command: Command) -> Command:
    """Those that `compare` and `gate` share."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
