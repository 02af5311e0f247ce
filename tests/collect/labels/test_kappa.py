"""Kappa against published values, and how often its interval holds."""

from __future__ import annotations

import numpy as np
import pytest

from agentkit.collect.labels.drift import ALARMS, drift, fisher_less
from agentkit.collect.labels.kappa import kappa, kappa_of

ALL_AGREE = [(True, True)] * 15 + [(False, False)] * 5


def test_it_is_what_sas_prints() -> None:
    """SAS/STAT's example of two raters and three categories, as statsmodels quotes it: kappa 0.4842, ASE 0.1380."""
    found = kappa([[0, 4, 1], [0, 8, 0], [0, 1, 5]])
    assert found.estimate == pytest.approx(0.4842, abs=5e-5)
    assert found.error == pytest.approx(0.1380, abs=5e-5)
    assert (found.n, found.agreed) == (19, 13)


def test_it_is_what_fleiss_computes_for_a_hundred_subjects() -> None:
    """Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, chapter 18: kappa 0.68, s.e. 0.088."""
    found = kappa([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    assert found.estimate == pytest.approx(0.6765, abs=5e-5)
    assert found.error == pytest.approx(0.0877, abs=5e-5)
    assert found.low < found.estimate < found.high


def test_two_readers_of_fifty_proposals() -> None:
    """The usual textbook table: 20 and 15 agreed, 5 and 10 not; kappa 0.4."""
    assert kappa([[20, 5], [10, 15]]).estimate == pytest.approx(0.4)


def test_agreement_without_exception_is_no_certainty() -> None:
    found = kappa_of(ALL_AGREE)
    assert (found.estimate, found.error, found.high) == (pytest.approx(1.0), 0.0, 1.0)
    assert 0.5 < found.low < 0.9
    low, high = found.raw
    assert (round(low, 3), high) == (0.839, 1.0)


def test_where_nothing_is_known_it_says_so() -> None:
    nothing, one_word = kappa_of([]), kappa_of([(True, True)] * 9)
    assert (nothing.estimate, nothing.low, nothing.high, nothing.n) == (None, -1.0, 1.0, 0)
    assert (one_word.estimate, one_word.agreed) == (None, 9)
    assert nothing.document()["share"] == {"estimate": None, "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(("n", "right", "true"), [(20, 0.5, 0.4), (20, 0.8, 0.7), (50, 0.8, 0.4), (50, 0.9, 0.0)])
def test_the_interval_holds(n: int, right: float, true: float) -> None:
    both, neither, apart = right**2, (1 - right) ** 2, right * (1 - right)
    cells = [neither + true * apart, apart * (1 - true), apart * (1 - true), both + true * apart]
    drawn = np.random.default_rng(7).multinomial(n, cells, size=400)
    found = [kappa(cell.reshape(2, 2)) for cell in drawn]
    assert np.mean([it.low <= true <= it.high for it in found]) > 0.9


def test_fishers_test_is_exact() -> None:
    """The lady tasting tea: 3 of 4 against 1 of 4 has p = 17/70, 4 against none 1/70."""
    assert fisher_less(1, 4, 3, 4) == pytest.approx(17 / 70)
    assert fisher_less(0, 4, 4, 4) == pytest.approx(1 / 70)
    assert fisher_less(4, 4, 0, 4) == pytest.approx(1.0)


def verdicts(agreed: list[bool]) -> list[tuple[str, bool, bool]]:
    return [
        (f"2026-03-{1 + n // 1440:02}T{n // 60 % 24:02}:{n % 60:02}:00.000+00:00", n % 2 == 0, (n % 2 == 0) == same)
        for n, same in enumerate(agreed)
    ]


def test_a_judge_that_gets_worse_is_flagged_in_the_window_in_which_it_does() -> None:
    steady = [n % 10 != 0 for n in range(60)]
    found = drift(list(reversed(verdicts([*steady, *(n % 2 == 0 for n in range(37))]))), 30)
    assert [it.fell for it in found] == [False, False, True], "the rest makes no whole window"
    assert (found[0].p, found[0].limit) == (None, None)
    assert found[2].agreement.agreed == 15
    assert found[2].document()["fell"] is True
    assert not any(it.fell for it in drift(verdicts(steady * 3), 30))


def test_a_judge_that_never_changes_is_seldom_flagged_however_long_one_looks() -> None:
    random = np.random.default_rng(3)
    flagged = [any(it.fell for it in drift(verdicts((random.random(600) < 0.85).tolist()), 30)) for _ in range(100)]
    assert np.mean(flagged) <= ALARMS
