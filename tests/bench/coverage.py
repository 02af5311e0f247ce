"""How often the 95 % intervals hold the truth: graded records are simulated, nothing is played.

    python tests/bench/coverage.py

Prints the tables of `agentkit/measure/README.md`. Every number is seeded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from agentkit.measure import Cell, delta_interval, product_interval, summarize
from agentkit.measure.cell import compounded_figure
from agentkit.measure.cluster import count, coupling
from agentkit.measure.product import Prior
from agentkit.measure.suite import CellFigure, fixed_suite

STEPS = 5
REPETITIONS = 2_000
SUITE = 4
GAPS = 200
DEPENDENT = 1_000
SIZES = (5, 20, 40)
ACCURACIES = (0.05, 0.5, 0.9, 0.99)
DRAWS = 1_000
Floats = NDArray[np.float64]
Grades = NDArray[np.int8]


@dataclass(frozen=True)
class Coverage:
    """Share of intervals that hold the truth, and their mean width."""

    share: float
    width: float

    def __str__(self) -> str:
        return f"{self.share:6.3f} {self.width:7.2g}"


def main() -> None:
    print(f"One scenario of {STEPS} steps, {REPETITIONS} repetitions: coverage and mean width at 95 %")
    heads = ("agentkit", "uncoupled", "Jeffreys", "delta, log")
    print(f"{'n':>4} {'p':>5} | " + " | ".join(f"{head:>14}" for head in heads))
    pools: dict[tuple[int, float], list[CellFigure]] = {}
    counts: dict[tuple[int, float], Floats] = {}
    for n in SIZES:
        for p in ACCURACIES:
            grades = independent(n, p)
            pools[n, p] = [figure(it, np.arange(n)) for it in grades]
            passed = counts[n, p] = grades.sum(axis=1).astype(float)
            columns = [
                covered(pools[n, p], p**STEPS),
                share(*simple(passed, n, "shared"), p**STEPS),
                share(*simple(passed, n, "jeffreys"), p**STEPS),
                share(*delta_interval(passed, n), p**STEPS),
            ]
            print(f"{n:>4} {p:>5} | {columns[0]} | {columns[1]} | {columns[2]} | {columns[3]}")

    print(f"\nA fixed suite of {SUITE} such scenarios, {REPETITIONS} suites")
    print(f"{'n':>4} {'p':>5} | {'agentkit':>14} | {'variance, Beta':>14}")
    for (n, p), pool in pools.items():
        shipped, alone = suites(pool, counts[n, p], n)
        print(f"{n:>4} {p:>5} | {covered(shipped, p**STEPS)} | {covered(alone, p**STEPS)}")

    print(f"\nTrials that are not independent, {DEPENDENT} repetitions of 40 trials at p = .9")
    print(f"{'':<52} | {'agentkit':>14} | {'ignoring it':>14}")
    for name, corrected, ignored in dependent():
        print(f"{name:<52} | {corrected} | {ignored}")

    print(f"\nThe gap's interval, {GAPS} repetitions at p = .9")
    print(f"{'n':>4} {'latent correlation':>18} | {'covers':>6} | {'no interval':>11} | {'p < .05':>7}")
    for n in (20, 40, 100):
        for rho in (0.0, 0.6):
            held, missing, rejected = gaps(n, rho)
            print(f"{n:>4} {rho:>18} | {held:>6.3f} | {missing:>11.3f} | {rejected:>7.3f}")


def independent(n: int, p: float) -> Grades:
    """Grades of shape [repetitions, n, steps]."""
    rng = np.random.default_rng([n, int(1000 * p)])
    return (rng.random((REPETITIONS, n, STEPS)) < p).astype(np.int8)


def figure(grades: Grades, instances: NDArray[np.int64], *, coupled: float | None = None) -> CellFigure:
    steps = count(grades, instances, deterministic=False)
    factor = coupling(grades, instances) if coupled is None else coupled
    rng = np.random.default_rng(int(grades.sum()))
    return compounded_figure(steps, factor, rng=rng, draws=DRAWS)


def simple(passed: Floats, n: int, prior: Prior) -> tuple[Floats, Floats]:
    """The Monte-Carlo product of the counts alone; equal sets of counts are drawn once."""
    unique, position = np.unique(np.sort(passed, axis=1), axis=0, return_inverse=True)
    rng = np.random.default_rng(n)
    parts = [
        product_interval(part, n, rng=rng, prior=prior, draws=DRAWS)
        for part in np.array_split(unique, max(1, len(unique) // 500))
    ]
    low, high = (np.concatenate([getattr(part, end) for part in parts]) for end in ("low", "high"))
    return low[position.ravel()], high[position.ravel()]


def suites(pool: list[CellFigure], passed: Floats, n: int) -> tuple[list[CellFigure], list[CellFigure]]:
    """Suites drawn from a pool of cells: as shipped, and by the variance formula with averaged Betas where it
    is 0."""
    rng = np.random.default_rng(SUITE)
    shipped, formula = [], []
    weights = np.full(SUITE, 1 / SUITE)
    for chosen in rng.integers(0, len(pool), size=(REPETITIONS, SUITE)):
        cells = [pool[i] for i in chosen]
        it = fixed_suite(cells, weights, names=[""] * SUITE, single="")
        assert it.estimate is not None
        assert it.low is not None
        assert it.high is not None
        shipped.append(CellFigure(it.estimate, it.low, it.high, 0.0))
        half = 1.96 * np.sqrt(sum(cell.variance for cell in cells)) / SUITE
        low, high = max(0.0, it.estimate - half), min(1.0, it.estimate + half)
        if half == 0:
            x = passed[chosen]
            means = rng.beta(x + 0.5, n - x + 0.5 / STEPS, size=(DRAWS, *x.shape)).prod(axis=2).mean(axis=1)
            low, high = np.quantile(means, [0.025, 0.975])
        formula.append(CellFigure(it.estimate, min(low, it.estimate), max(high, it.estimate), 0.0))
    return shipped, formula


def dependent() -> list[tuple[str, Coverage, Coverage]]:
    """Steps that fail in the same trials, and repeats of instances that differ in difficulty."""
    rng = np.random.default_rng(40)
    rows = []
    for rho in (0.3, 0.6):
        common = rng.normal(size=(DEPENDENT, 40, 1)) * np.sqrt(rho)
        noise = rng.normal(size=(DEPENDENT, 40, STEPS)) * np.sqrt(1 - rho)
        grades = (common + noise < ndtri(0.9)).astype(np.int8)
        rows.append((f"steps share their causes (latent correlation {rho})", grades, np.arange(40)))
    for rho in (0.2, 0.5):
        a = (1 - rho) / rho
        chance = rng.beta(0.9 * a, 0.1 * a, size=(DEPENDENT, 10, 1, STEPS))
        grades = (rng.random((DEPENDENT, 10, 4, STEPS)) < chance).reshape(DEPENDENT, 40, STEPS)
        rows.append((f"10 instances x 4 repeats (correlation {rho})", grades.astype(np.int8), np.arange(40) // 4))
    truth = 0.9**STEPS
    return [
        (
            name,
            covered([figure(it, instances) for it in grades], truth),
            covered([figure(it, np.arange(40), coupled=1.0) for it in grades], truth),
        )
        for name, grades, instances in rows
    ]


def gaps(n: int, rho: float) -> tuple[float, float, float]:
    """Of `GAPS` gap intervals: the share that holds the truth, that is missing, and whose p-value is below
    .05.

    A trial succeeds where all its steps passed, so that the true gap is known from a very long run.
    """
    rng = np.random.default_rng([n, int(10 * rho)])

    def play(trials: int) -> Grades:
        latent = rng.normal(size=(trials, 1)) * np.sqrt(rho) + rng.normal(size=(trials, STEPS)) * np.sqrt(1 - rho)
        passed: Grades = (latent < ndtri(0.9)).astype(np.int8)
        return passed

    truth = float(np.log(play(400_000).all(axis=1).mean() / 0.9**STEPS))
    held = missing = rejected = 0
    for _ in range(GAPS):
        grades = play(n)
        cell = Cell("s", "golden", tuple("abcde"), grades, np.min(grades, axis=1), np.arange(n))
        gap = summarize([cell], deterministic=False, seed=1).golden.gap
        low, high = gap.log_ratio.low, gap.log_ratio.high
        missing += low is None or high is None
        held += low is not None and high is not None and low <= truth <= high
        rejected += gap.p_value is not None and gap.p_value < 0.05
    return held / GAPS, missing / GAPS, rejected / GAPS


def covered(figures: list[CellFigure], truth: float) -> Coverage:
    values = np.array(figures)
    return share(values[:, 1], values[:, 2], truth)


def share(low: Floats, high: Floats, truth: float) -> Coverage:
    return Coverage(float(((low <= truth) & (truth <= high)).mean()), float((high - low).mean()))


if __name__ == "__main__":
    main()
