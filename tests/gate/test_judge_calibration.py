"""Judges against people: sensitivity, specificity, and rates corrected by what people say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import NotJudged
from agentkit.gate import calibrate, corrected_rate


def draw(rng, n, rate=0.8, sensitivity=0.9, specificity=0.7):
    human = rng.random(n) < rate
    judge = np.where(human, rng.random(n) < sensitivity, rng.random(n) > specificity)
    return human.astype(int), judge.astype(int)


def test_sensitivity_and_specificity_by_hand():
    human, judge = [1] * 40 + [0] * 20, [1] * 36 + [0] * 4 + [1] * 5 + [0] * 15
    found = calibrate(human, judge)
    assert (found.sensitivity.estimate, found.sensitivity.n) == (0.9, 40)
    assert (found.specificity.estimate, found.specificity.n) == (0.75, 20)
    assert found.agreement.estimate == 51 / 60
    assert found.specificity.low < 0.75 < found.specificity.high
    json.dumps(found.document(), allow_nan=False)


def test_a_judge_that_never_saw_a_failure_has_no_specificity():
    found = calibrate([1] * 50, [1] * 50).specificity
    assert (found.estimate, found.low, found.high, found.n) == (None, 0, 1, 0)


@pytest.mark.parametrize(
    ("human", "judge", "said"),
    [
        ([1] * 49, [1] * 49, "found 49 human labels, expected 50 or more: until then the judge only advises"),
        ([1] * 50, [1] * 51, "50 human labels but 51 judgements"),
        ([1] * 49 + [2], [1] * 50, "neither 1"),
    ],
)
def test_too_few_or_impossible_labels_are_refused(human, judge, said):
    with pytest.raises(NotJudged, match=said):
        calibrate(human, judge)
    with pytest.raises(NotJudged, match=said):
        corrected_rate(human, judge, [1, 0])


def test_nothing_to_correct_is_refused():
    with pytest.raises(NotJudged, match="no judgement of an unlabelled reply"):
        corrected_rate([1] * 50, [1] * 50, [])


@pytest.mark.slow
def test_plain_prediction_powered_inference_by_hand():
    """A perfect judge and endless unlabelled replies earn all trust: the mean of the judge plus the mean error, 0."""
    human = [1] * 30 + [0] * 20
    found = corrected_rate(human, human, np.repeat([1, 0], [7_000_000, 3_000_000]))
    assert found.trust == pytest.approx(1, abs=0.05)
    assert found.estimate == pytest.approx(0.7, abs=0.01)
    assert found.low < 0.7 < found.high


def test_a_useless_judge_is_not_trusted():
    rng = np.random.default_rng(1)
    human, _ = draw(rng, 200)
    found = corrected_rate(human, rng.integers(0, 2, 200), rng.integers(0, 2, 10_000))
    assert found.trust < 0.2
    assert found.estimate == pytest.approx(human.mean(), abs=0.03)
    assert corrected_rate(human, [1] * 200, [1] * 1000).trust == 0


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.9, 0.7), (0.7, 0.95)])
def test_the_interval_holds_the_peoples_rate_and_the_judges_alone_does_not(rate, sensitivity, specificity):
    rng = np.random.default_rng([int(100 * rate), int(100 * sensitivity)])
    held, naive, width, people = [], [], [], []
    for _ in range(600):
        human, judge = draw(rng, 100, rate, sensitivity, specificity)
        _, rest = draw(rng, 1000, rate, sensitivity, specificity)
        found = corrected_rate(human, judge, rest)
        half = 1.96 * np.sqrt(rest.mean() * (1 - rest.mean()) / 1000)
        held.append(found.low <= rate <= found.high)
        naive.append(abs(rest.mean() - rate) <= half)
        width.append(found.high - found.low)
        people.append(2 * 1.96 * np.sqrt(max(human.mean() * (1 - human.mean()), 0.01) / 100))
    assert 0.925 <= np.mean(held) <= 0.99
    assert (
        np.mean(naive) < np.mean(held) - 0.05 or abs(rate * sensitivity + (1 - rate) * (1 - specificity) - rate) < 0.02
    )
    assert np.mean(width) < np.mean(people) * 1.1


@given(st.data())
def test_any_labels_give_an_interval_that_holds_its_estimate(data):
    bits = st.integers(0, 1)
    n = data.draw(st.integers(50, 70))
    labels = [data.draw(st.lists(bits, min_size=n, max_size=n)) for _ in range(2)]
    found = corrected_rate(*labels, data.draw(st.lists(bits, min_size=1, max_size=40)))
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low < found.high
    assert 0 <= found.trust <= 1
    json.dumps(found.document(), allow_nan=False)
