"""How often an agent gets it right in at least one, or in each, of k attempts at the same task."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from agentkit.errors import AgentkitError


def pass_at_k(successes: Sequence[int], trials: Sequence[int], k: int) -> float:
    """Chance that at least one of k attempts succeeds, unbiased: `1 - C(n-c, k) / C(n, k)`, averaged over
    scenarios (Chen et al. 2021).

    `successes` and `trials` hold one whole number for each scenario. Raises `AgentkitError` where a scenario
    was played fewer than k times.
    """
    return _mean([1 - comb(n - c, k) / comb(n, k) for c, n in _checked(successes, trials, k)])


def pass_hat_k(successes: Sequence[int], trials: Sequence[int], k: int) -> float:
    """Chance that all of k attempts succeed, `pass^k`, unbiased: `C(c, k) / C(n, k)`, averaged over scenarios
    (Yao et al. 2024, arXiv 2406.12045). Arguments and errors as for `pass_at_k`."""
    return _mean([comb(c, k) / comb(n, k) for c, n in _checked(successes, trials, k)])


def _checked(successes: Sequence[int], trials: Sequence[int], k: int) -> list[tuple[int, int]]:
    if k < 1:
        raise AgentkitError(f"k counts attempts and is at least 1, found {k}")
    if len(successes) != len(trials) or len(trials) == 0:
        raise AgentkitError(f"{len(successes)} scenarios with successes, {len(trials)} with trials")
    pairs = [(int(c), int(n)) for c, n in zip(successes, trials, strict=True)]
    for index, (c, n) in enumerate(pairs):
        if not 0 <= c <= n:
            raise AgentkitError(f"scenario {index}: {c} successes in {n} trials")
        if k > n:
            raise AgentkitError(f"scenario {index}: k = {k} attempts, but it was played {n} times")
    return pairs


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
