"""The benchmark of training itself works: both legs train on the same, and what is compared was measured.

Nothing here looks at a time, and the model is a tiny one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.tune_trl import time_to
from tests.tune.compiled import ROOT
from tests.tune.trainer.tiny import write_model


def leg(*passed: int) -> dict[str, Any]:
    """Evaluated every ten seconds, on eight prompts."""
    return {"evaluations": [{"passed": it, "graded": 8, "seconds": 10.0 * n} for n, it in enumerate(passed, 1)]}


def test_a_leg_that_never_came_so_far_gives_a_limit_of_the_ratio() -> None:
    assert time_to(0.75, leg(0, 6), leg(0, 1, 2, 7)) == (0.5, False)
    assert time_to(0.75, leg(0, 6), leg(0, 1, 2, 5)) == (0.5, True)
    assert time_to(0.75, leg(0, 5), leg(0, 7)) == (None, False)


@pytest.mark.slow
def test_both_legs_do_the_same_updates_on_the_same_prompts(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="comes with training")
    command = [sys.executable, "-m", "tests.bench.tune_trl", "--model", str(write_model(tmp_path / "model"))]
    command += ["--updates", "1", "--validation", "2", "--tokens", "40", "--target", "0"]
    command += ["--folder", str(tmp_path / "bench"), "--json", str(tmp_path / "told.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    logs = "".join(it.read_text(errors="replace") for it in (tmp_path / "bench").glob("*/log"))
    assert done.returncode == 0, done.stderr + logs
    told: dict[str, Any] = json.loads((tmp_path / "told.json").read_bytes())
    for name in ("agentkit", "trl"):
        leg = told["legs"][name]
        assert leg["updates"] == 1
        assert [(it["step"], it["graded"]) for it in leg["evaluations"]] == [(0, 2), (1, 2)]
        assert all(leg["seconds"][part] > 0 for part in ("generation", "reward", "forward and backward", "evaluation"))
        assert 0 <= leg["reward"] <= 1
    assert told["ratios"]["an update"] > 0
    phases = [json.loads((tmp_path / "bench" / leg / "phase.json").read_bytes()) for leg in told["legs"]]
    assert phases[0] == phases[1]
    assert "agentkit / trl, an update: " in done.stdout
