"""Several training seeds: the interval holds what its level says, and no noise is called a gain."""

from __future__ import annotations

import numpy as np
import pytest

from agentkit.errors import UsageError
from agentkit.tune.certificate import CertificateSettings, certify
from agentkit.tune.seeds import Trained, over_seeds
from tests.tune.proof_records import Plays, recorded_plays

OPEN = CertificateSettings(ask_general=False)


def test_the_analysis_of_variance_by_hand():
    """Seed means 0 and 1, instance means .5, 0 and 1: MS_seed 1.5, MS_instance .5, MS_rest 0."""
    found = over_seeds(np.array([[0.0, -0.5, 0.5], [1.0, 0.5, 1.5]]) / 10)
    assert found.estimate == pytest.approx(0.05)
    assert found.between == pytest.approx(np.sqrt(1.5 / 3) / 10)
    t1, t2 = 12.706205, 4.302653  # one and two degrees of freedom
    half = np.sqrt((t1**2 * 1.5 + t2**2 * 0.5) / 6) / 10
    assert (found.low, found.high) == pytest.approx((0.05 - half, 0.05 + half), rel=1e-5)


def test_one_seed_says_nothing_of_how_seeds_vary():
    found = over_seeds(np.array([[0.0, 1.0, 1.0]]))
    assert (found.low, found.high, found.between) == (None, None, None)


def test_no_change_at_all_is_no_certainty():
    found = over_seeds(np.zeros((3, 100)))
    assert found.low < -0.01 < 0.01 < found.high


def certified(gains: tuple[float, ...], warm: float | None = None, noise: float = 0.2):
    base = recorded_plays("base", Plays(noise=noise))
    start = None if warm is None else recorded_plays("warm", Plays({"refund": warm}, noise=noise))
    seeds = [Trained(s, recorded_plays(f"seed{s}", Plays({"refund": p}, noise=noise))) for s, p in enumerate(gains)]
    return certify("refund", base, seeds[0].after, warm=start, seeds=seeds, hashes={}, settings=OPEN)


def test_every_seed_is_reported_with_its_own_interval_and_its_reinforcement():
    it = certified((0.7, 0.8, 0.9), warm=0.6)
    assert [one.seed for one in it.seeds] == [0, 1, 2]
    assert all(one.gain.low > 0 for one in it.seeds)
    assert it.over_seeds["gain"].low > 0
    mean = np.mean([one.gain.estimate for one in it.seeds])
    assert it.over_seeds["gain"].estimate == pytest.approx(mean)
    mean = np.mean([one.reinforcement.estimate for one in it.seeds])
    assert it.over_seeds["reinforcement"].estimate == pytest.approx(mean)
    widest = max(one.gain.high - one.gain.low for one in it.seeds)
    over = it.over_seeds["gain"]
    assert over.high - over.low > widest  # three seeds that differ by 20 points say little of a fourth


def test_the_credit_of_warm_start_and_reinforcement_adds_up_to_the_gain():
    it = certified((0.8,), warm=0.6)
    parts = it.credit["warm_start"].estimate + it.credit["reinforcement"].estimate
    assert parts == pytest.approx(it.target.difference.estimate)


def test_a_warm_start_that_was_not_bettered_has_all_the_credit():
    base, tuned = recorded_plays("base", Plays()), recorded_plays("tuned", Plays({"refund": 0.8}))
    it = certify("refund", base, tuned, warm=tuned, hashes={}, settings=OPEN)
    assert list(it.credit) == ["warm_start"]
    assert it.credit["warm_start"].estimate == it.target.difference.estimate
    compared = certify("refund", base, tuned, warm=tuned, seeds=[Trained(1, tuned, tuned)], hashes={}, settings=OPEN)
    assert compared.seeds[0].reinforcement is None


def test_where_no_seed_is_positive_beyond_noise_a_plain_sentence_says_so():
    it = certified((0.61, 0.6, 0.59), warm=0.6)
    (said,) = [note for note in it.notes if "training seed" in note]
    assert "Training as a whole: +" in said
    assert "Reinforcement by itself: none of 3 training seeds is positive beyond noise" in said


def test_a_seed_twice_and_seeds_that_played_other_instances_are_errors():
    base, tuned = recorded_plays("base", Plays()), recorded_plays("tuned", Plays({"refund": 0.8}))
    with pytest.raises(UsageError, match="expected each of them once"):
        certify("refund", base, tuned, seeds=[Trained(1, tuned), Trained(1, tuned)], hashes={})
    with pytest.raises(UsageError, match="cannot be compared with itself"):
        certify("refund", base, tuned, seeds=[Trained(1, base)], hashes={})


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("between", [0.0, 0.05, 0.2])
def test_the_interval_holds_the_true_mean_of_seeds_as_often_as_it_says(seeds: int, between: float):
    """Seeds on the same 100 instances and one base run, so that they share what instances do."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(2_000):
        gains = 0.2 + between * rng.standard_normal((seeds, 1))
        changes = gains + 0.35 * rng.standard_normal(100) + 0.35 * rng.standard_normal((seeds, 100))
        found = over_seeds(changes)
        held += found.low <= 0.2 <= found.high
    assert held / 2_000 >= 0.94


@pytest.mark.slow
def test_results_that_pass_or_fail_are_held_as_often_too():
    rng = np.random.default_rng(12)
    held = 0
    for _ in range(2_000):
        level = rng.uniform(0.25, 0.5, size=100)
        gains = 0.2 + 0.05 * rng.standard_normal((3, 1))
        changes = (rng.random((3, 100)) < level + gains).astype(float) - (rng.random(100) < level)
        found = over_seeds(changes)
        held += found.low <= 0.2 <= found.high
    assert held / 2_000 >= 0.94
