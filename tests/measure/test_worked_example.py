"""The worked example of the package's README gives what the README says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import agentkit.measure

README = Path(agentkit.measure.__file__).parent / "README.md"


def test_the_readme_tells_the_truth():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    found: dict[str, object] = {}
    exec(code, found)
    golden = found["golden"]
    assert golden.compounded.estimate == pytest.approx(0.684)
    assert (golden.compounded.low, golden.compounded.high) == pytest.approx((0.41, 0.88), abs=0.005)
    assert golden.observed.estimate == 0.75
    assert golden.coupling == pytest.approx(1.71, abs=0.005)
    ratio = golden.gap.log_ratio
    assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx((0.09, -0.13, 0.33), abs=0.005)
    assert golden.gap.p_value == pytest.approx(0.12, abs=0.005)
    assert golden.fix_first[0].sentence in README.read_text().replace("\n", " ")
