"""A run's numbers as the terminal shows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agentkit.cli.table import print_run
from agentkit.measure import UNGRADED, summarize
from tests.measure.measure_cells import cell
from tests.report.report_records import RUN


def test_of_many_variants_that_forks_serve_those_that_compound_to_the_least_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    grades = {f"v{k:02}": [[1, 1], [1, int(k < 40)]] for k in range(45)}
    forks = [replace(cell(it, [UNGRADED] * 2, variant=name), forks=np.arange(2)) for name, it in grades.items()]
    print_run(RUN, summarize(forks, deterministic=False, seed=0))
    shown = capsys.readouterr().out
    assert [name for name in grades if f"shop/refund · {name} " in shown] == ["v40", "v41", "v42", "v43", "v44"]
