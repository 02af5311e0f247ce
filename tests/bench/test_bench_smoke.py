"""The benchmark itself works: every player makes exactly the model calls that the comparison supposes.

Nothing here looks at a time. The numbers are the business of `play.py`, on a quiet machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="the benchmark compares with Inspect AI: install the `bench` extra")
pytest.importorskip("psutil", reason="the benchmark samples memory with psutil: install the `bench` extra")

pytestmark = pytest.mark.slow

PLAY = Path(__file__).with_name("play.py")
CONVERSATIONS, ROUNDS, TRIALS = 4, 1, 12
TURNS, CALLS_PER_TURN = 5, 2


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one tiny benchmark reports."""
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    sizes = ["--conversations", str(CONVERSATIONS), "--rounds", str(ROUNDS), "--memory-trials", str(TRIALS)]
    command = [sys.executable, str(PLAY), "--parts", "speed", "memory", *sizes, "--concurrency", "2"]
    done = subprocess.run([*command, "--json", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(file.read_text())
    return result


@pytest.mark.parametrize("player", ["agentkit", "inspect", "langgraph"])
def test_every_player_makes_two_model_calls_a_turn(document: dict[str, Any], player: str) -> None:
    batches = document["speed"]["legs"][player]["batches"]
    assert [batch["calls"] for batch in batches] == [CONVERSATIONS * TURNS * CALLS_PER_TURN] * ROUNDS


def test_agentkit_is_compared_with_both(document: dict[str, Any]) -> None:
    ratios = document["speed"]["ratios"]
    assert {name: ratio["limit"] for name, ratio in ratios.items()} == {"inspect": 0.5, "langgraph": 1.7}
    assert all(0 < ratio["min"] <= ratio["median"] <= ratio["max"] for ratio in ratios.values())


def test_the_memory_run_plays_every_trial(document: dict[str, Any]) -> None:
    memory = document["memory"]
    assert memory["calls"] == TRIALS * TURNS * CALLS_PER_TURN
    assert memory["peak_mib"] >= max(memory["rows"]) >= memory["start_mib"] > 0
