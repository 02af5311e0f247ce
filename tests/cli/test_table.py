"""A run's numbers as the terminal shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agentkit.cli.document import summary
from agentkit.cli.table import print_run
from agentkit.measure import UNGRADED, summarize
from agentkit.records import Party, Verdict
from tests.measure.measure_cells import cell
from tests.report.report_records import RUN, stored, trials


def test_of_many_variants_that_forks_serve_those_that_compound_to_the_least_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    grades = {f"v{k:02}": [[1, 1], [1, int(k < 40)]] for k in range(45)}
    forks = [replace(cell(it, [UNGRADED] * 2, variant=name), forks=np.arange(2)) for name, it in grades.items()]
    print_run(RUN, summarize(forks, deterministic=False, seed=0))
    shown = capsys.readouterr().out
    assert [name for name in grades if f"shop/refund · {name} " in shown] == ["v40", "v41", "v42", "v43", "v44"]


def test_trials_of_a_variant_that_found_no_place_were_played_and_are_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played = [
        replace(it, verdict=Verdict.INVALID, steps=(), fault=Party.HARNESS) if it.key.variant == "poem" else it
        for it in trials()
    ]
    with stored(tmp_path, played) as store:
        print_run(RUN, summary(store, RUN))
    shown = capsys.readouterr().out
    assert "24 of 24 trials  9 invalid" in shown
    assert "9 invalid trials (harness 8, infrastructure 1) count neither way" in shown
    assert "still to be played" not in shown
