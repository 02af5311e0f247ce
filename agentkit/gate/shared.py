"""Without pairs: the variants of a scenario that were played with the same instances.

One hard draw of names and amounts counts in every variant that played it. All that was played of an instance is
therefore one unit, over all of these cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentkit.gate.pairs import Matched, Side
from agentkit.measure.graded import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Instances of one side, over several cells of a scenario."""

    cells: tuple[int, ...]
    """Their positions."""
    units: tuple[Ints, ...]
    """Of each cell, the instance of each of its units: a number from 0."""
    instances: int

    @classmethod
    def of(cls, cells: tuple[int, ...], sides: Sequence[Side]) -> Shared:
        known, numbers = np.unique(np.concatenate([it.instances for it in sides]), return_inverse=True)
        ends = np.cumsum([len(it.instances) for it in sides])[:-1]
        return cls(cells, tuple(np.split(numbers.reshape(-1), ends)), len(known))

    @property
    def some(self) -> bool:
        """Whether any instance stands in more than one cell."""
        return sum(len(it) for it in self.units) > self.instances

    def sums(self, place: int, side: Side) -> Floats:
        """One cell's sums by instance, zeros where it did not play it; shape [instances, C]."""
        found = np.zeros((self.instances, side.sums.shape[1]))
        found[self.units[place]] = side.sums
        return found

    def played(self) -> Floats:
        """1 where a cell played an instance, shape [instances, cells]."""
        found = np.zeros((self.instances, len(self.cells)))
        for place, units in enumerate(self.units):
            found[units, place] = 1
        return found


def shared(cells: Sequence[Matched]) -> tuple[tuple[Shared, Shared], ...]:
    """For each scenario whose cells without pairs share instances: those of the baseline and of the candidate."""
    found = []
    for scenario in dict.fromkeys(cell.scenario for cell in cells):
        mine = tuple(c for c, it in enumerate(cells) if it.scenario == scenario and len(it.base.instances))
        if len(mine) > 1:
            zero = Shared.of(mine, [cells[c].base for c in mine])
            one = Shared.of(mine, [cells[c].candidate for c in mine])
            if zero.some or one.some:
                found.append((zero, one))
    return tuple(found)
