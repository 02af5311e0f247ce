"""`agentkit loop` by its command: what it says where production is silent, and that one process at a time turns it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from agentkit.errors import UsageError
from agentkit.loop.turn import Turn
from tests.cli.conftest import Cli

CONFIG = """
[tool.agentkit.agents.till]
kind = "chat"
engine = "embedded"
"""
HOLDER = """
import sys, time
from pathlib import Path
from agentkit.loop.alone import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def till(tmp_path: Path, bare: Cli) -> Cli:
    (tmp_path / "pyproject.toml").write_text(CONFIG)
    return bare


def test_a_project_without_a_chat_agent_is_told_what_to_write(bare: Cli) -> None:
    done = bare("loop", "--once")
    assert done.returncode == 2
    assert "[tool.agentkit.agents.NAME]" in done.stderr


def test_a_turn_waits_for_conversations_and_says_how_many(till: Cli) -> None:
    done = till("loop", "--once", "--json", "-")
    assert done.returncode == 4, done.stderr
    (decision,) = orjson.loads(done.stdout)
    assert (decision["stage"], decision["outcome"]) == ("collect", "waiting")
    assert "0 of the 30 judged conversations" in decision["why"]
    assert decision["agent"] == "till"
    assert f"{decision['turn']} of till" in till("loop", "status").stdout


def test_what_a_turn_decided_is_written_also_where_the_time_is_used_up(till: Cli, tmp_path: Path) -> None:
    (tmp_path / "turn.json").write_text('"of another day"')
    done = till("loop", "--budget", "1e-9", "--json", "turn.json")
    assert done.returncode == 4
    assert "the time is used up before the stage collect" in done.stderr
    assert orjson.loads((tmp_path / "turn.json").read_bytes()) == []


def test_how_to_go_on_is_said_below_the_error(till: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def go(self: object, stages: object) -> None:
        error = UsageError("refund: 96 of 120 conversations to hold out")
        error.add_note("agentkit loop abandon --why WHY ends the turn")
        raise error

    monkeypatch.setattr(Turn, "go", go)
    done = till("loop", "--once")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2:] == [
        "error: refund: 96 of 120 conversations to hold out",
        "agentkit loop abandon --why WHY ends the turn",
    ]


def test_a_second_loop_is_told_who_is_at_work_and_goes_on_once_that_is_dead(till: Cli, tmp_path: Path) -> None:
    lock = tmp_path / ".agentkit" / "loop.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused = till("loop", "--once")
        assert refused.returncode == 2
        assert f"another loop is at work here (process {holder.pid})" in refused.stderr
        holder.kill()
    assert till("loop", "--once").returncode == 4
