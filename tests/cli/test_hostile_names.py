"""Names that come from elsewhere, in a trace or from a model, drive no terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from agentkit.cli.conversation import print_trial
from agentkit.cli.document import summary
from agentkit.cli.table import print_run
from agentkit.pytest_plugin.report import failure
from agentkit.pytest_plugin.result import Judgement, Result
from agentkit.records import Message, ToolCall, Trial
from tests.cli.conftest import Cli
from tests.report.report_records import RUN, stored, trials

NAME = "\x1b[2Jname"


def hostile() -> Trial:
    """A conversation that failed, in which every name is hostile."""
    said = (
        Message("assistant", "", turn=1, tool_calls=(ToolCall("call-1", NAME, {}),)),
        Message("tool", "gone", turn=1, tool_call_id="call-1", name=NAME),
        Message(f"role {NAME}", "Hello.", turn=1),
    )
    played = trials()[0]
    steps = tuple(replace(it, step=f"{NAME} {it.step}", check=f"check {NAME}") for it in played.steps)
    return replace(played, key=replace(played.key, scenario=NAME), messages=said, steps=steps)


def test_a_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    print_trial(hostile(), Console(width=200, force_terminal=False))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    for words in (f"{NAME}/golden", f"calls {NAME}", f"{NAME} → gone", f"role {NAME}: Hello.", f"✗ {NAME} refund"):
        assert words.replace("\x1b", "\\x1b") in shown


def test_a_table_of_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with stored(tmp_path, [hostile()]) as store:
        print_run(RUN, summary(store, RUN))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\\x1b[2Jname refund  " in shown


def test_a_failing_item_of_pytest() -> None:
    loaded: Any = SimpleNamespace(id="shop/refund")
    text = failure(Result(RUN, loaded, "golden", (hostile(),)), Judgement("fail", "1 of 1 fails"))
    conversation = text.partition("(instance")[2].partition("  ✗ ")[0]
    assert "\x1b" not in conversation
    assert "calls \\x1b[2Jname {}" in conversation
    assert "\\x1b[2Jname gave: gone" in conversation
    assert "role \\x1b[2Jname: Hello." in conversation


def test_the_list_of_runs(bare: Cli, tmp_path: Path) -> None:
    stored(tmp_path, run=replace(RUN, agent=NAME)).close()
    shown = bare("runs", "--store", f"sqlite:///{tmp_path / 'runs.db'}").stdout
    assert "\x1b" not in shown
    assert "\\x1b[2Jname" in shown
