"""Names that come from elsewhere, in a trace or from a model, drive no terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from agentkit.cli.conversation import print_trial
from agentkit.cli.document import summary
from agentkit.cli.progress import _Lines
from agentkit.cli.table import print_run
from agentkit.errors import UsageError
from agentkit.llm import Budget
from agentkit.play.runner import Progress
from agentkit.pytest_plugin.items import ScenarioItem
from agentkit.pytest_plugin.report import failure
from agentkit.pytest_plugin.result import Judgement, Result
from agentkit.records import Message, Status, ToolCall, Trial
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


def test_an_error_that_quotes_a_judge(bare: Cli, tmp_path: Path) -> None:
    played = trials()[0]
    steps = tuple(replace(it, status=Status.UNGRADED, check="reply.judge", reason=NAME) for it in played.steps)
    stored(tmp_path, [replace(played, steps=steps)]).close()
    label = {"run": RUN.id, "trial": 0, "step": "refund", "pass": True}
    (tmp_path / "labels.jsonl").write_text(json.dumps(label))
    done = bare("calibrate", "labels.jsonl", "--store", f"sqlite:///{tmp_path / 'runs.db'}")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "the judge could say nothing of 'refund': \\x1b[2Jname" in done.stderr


def test_a_defect_that_a_name_brings_to_light(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ValueError(NAME)

    monkeypatch.setattr("agentkit.cli.runs.command.callback", broken)
    done = bare("runs")
    assert done.returncode == 70
    assert "\x1b" not in done.stderr
    assert "ValueError: \\x1b[2Jname\ninternal error" in done.stderr


def test_progress() -> None:
    shown = StringIO()
    tell = _Lines(Console(file=shown, width=200), Budget(), forks=False)
    tell(Progress(planned=1, played=1, now=1, invalid=1, last_trouble=NAME))
    assert "1 invalid (\\x1b[2Jname)" in shown.getvalue()


def test_an_item_of_pytest_that_could_not_be_judged() -> None:
    item: Any = SimpleNamespace(name="golden")
    raised: Any = SimpleNamespace(value=UsageError(f"{NAME}\nsecond line"))
    assert ScenarioItem.repr_failure(item, raised) == "could not judge golden: \\x1b[2Jname\nsecond line"
