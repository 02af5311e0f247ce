"""What `agentkit serve` says that it serves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agentkit.cli.serve import _show
from agentkit.records import Revision, Route, Target, TargetKind


def test_addresses_and_names_of_steps_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    base = Target(TargetKind.BASE)
    routes = tuple(Route("till", step, base) for step in ("*", "[/]", "pay[v2]"))
    table = SimpleNamespace(current=Revision(3, routes, "2026-01-02T03:04:05Z", "cli", "a test"))
    upstreams = SimpleNamespace(serving=lambda target: (target,))
    found: Any = SimpleNamespace(table=table, router=SimpleNamespace(parts=SimpleNamespace(upstreams=upstreams)))
    _show(found, "http://[fd00::1]:8000/v1", [])
    shown = capsys.readouterr().out
    for words in ("http://[fd00::1]:8000/v1   revision 3", "till/*", "till/[/]", "till/pay[v2]"):
        assert words in shown
