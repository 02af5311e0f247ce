"""The hard limit on calls and cost that all models of a run share, and the live totals."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from agentkit.errors import BudgetExhausted, ConfigError
from agentkit.llm.prices import Price
from agentkit.records import Usage


@dataclass(frozen=True, slots=True)
class Totals:
    """What was spent so far."""

    calls: int = 0
    """Attempts that went on the wire, failed ones included."""
    usage: Usage = field(default_factory=Usage)
    known_cost: float = 0.0
    """US dollars, of the calls whose cost is known."""
    unpriced: int = 0
    """Answered calls whose cost is not known."""
    shares: Mapping[str, Totals] = field(default_factory=dict)
    """Of all this, what was spent by those who have a share of their own (`Budget.share`)."""

    @property
    def cost(self) -> float | None:
        """US dollars; None where any call's cost is not known."""
        return None if self.unpriced else self.known_cost


class Budget:
    """Counts every call of a run, and refuses those beyond the limits.

    `max_calls` is exact. Cost is only known after an answer, so `max_cost` (US dollars) refuses what would
    begin after it was reached: the overshoot is at most the calls under way at that moment, and attempts that
    were billed but never answered. Threads may share it, as those do in which a graph's synchronous nodes run.

    `spent` holds the totals of earlier sittings of the same run; they count against the limits.
    """

    def __init__(
        self, max_calls: int | None = None, max_cost: float | None = None, *, spent: Totals | None = None
    ) -> None:
        if max_calls is not None and max_calls < 0:
            raise ConfigError(f"max_calls: found {max_calls}, expected a whole number of calls, 0 or more")
        if max_cost is not None and not (math.isfinite(max_cost) and max_cost >= 0):
            raise ConfigError(f"max_cost: found {max_cost}, expected US dollars, 0 or more")
        self.max_calls = max_calls
        self.max_cost = max_cost
        self._lock = threading.Lock()
        before = spent or Totals()
        self._calls = before.calls
        self._usage = before.usage
        self._cost = before.known_cost
        self._unpriced = before.unpriced
        self._shares: dict[str, Budget] = {name: _Share(self, totals) for name, totals in before.shares.items()}

    @property
    def totals(self) -> Totals:
        shares = {name: share.totals for name, share in self._shares.items()}
        return Totals(self._calls, self._usage, self._cost, self._unpriced, shares)

    def share(self, name: str) -> Budget:
        """The same budget for one kind of caller: its calls count here, and are told apart in the totals."""
        return self._shares.setdefault(name, _Share(self, Totals()))

    def admit(self, model: str, price: Price | None) -> None:
        """Check at the start that the limits can be enforced for `model`. Raises ConfigError."""
        if self.max_cost is not None and price is None:
            raise ConfigError(
                f"max_cost cannot be enforced: no price is known for the model {model!r}; add it to "
                "[tool.agentkit.prices] (0 for a model of your own), or limit max_calls instead"
            )

    def reserve(self) -> None:
        """Count one call that is about to be made. Raises BudgetExhausted where it must not be made."""
        with self._lock:
            self.check()
            self._calls += 1

    def spend(self, usage: Usage, cost: float | None) -> None:
        """Add what an answered call used; `cost` is None where it is not known."""
        with self._lock:
            self._usage += usage
            if cost is None:
                self._unpriced += 1
            else:
                self._cost += cost

    def check(self) -> None:
        """Raises BudgetExhausted where no further call may be made."""
        if self.max_calls is not None and self._calls >= self.max_calls:
            raise BudgetExhausted(f"the limit of {self.max_calls} model calls is reached")
        if self.max_cost is not None:
            if self._unpriced:
                raise BudgetExhausted(
                    f"the limit of ${self.max_cost:g} can no longer be enforced: {self._unpriced} answers "
                    "have no known cost (no price, or an endpoint that reports no token counts)"
                )
            if self._cost >= self.max_cost:
                raise BudgetExhausted(f"the limit of ${self.max_cost:g} is reached: ${self._cost:.4f} spent")


class _Share(Budget):
    """What one kind of caller spends of a whole."""

    def __init__(self, whole: Budget, spent: Totals) -> None:
        super().__init__(spent=spent)
        self._whole = whole

    def admit(self, model: str, price: Price | None) -> None:
        self._whole.admit(model, price)

    def reserve(self) -> None:
        self._whole.reserve()
        super().reserve()

    def spend(self, usage: Usage, cost: float | None) -> None:
        self._whole.spend(usage, cost)
        super().spend(usage, cost)
