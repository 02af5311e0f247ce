"""The whole conversation before and after: what a gain at one step is worth, and that nothing was lost for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.gate import GateSettings, Judged, Matched
from agentkit.gate.judged import judge_difference
from agentkit.gate.metric import Metric
from agentkit.gate.settings import Criterion
from agentkit.records import GOLDEN
from agentkit.tune.limits import CertificateSettings
from agentkit.tune.paired import Compared, compare, compare_compounded, outcome_members


@dataclass(frozen=True, slots=True)
class Whole:
    """A number of the whole conversation: shown with a two-sided interval, judged one-sided by the margin."""

    compared: Compared
    judged: Judged | None
    """None for what is shown only: the golden path and off it, apart."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        verdict = {"outcome": self.judged.outcome.value, "reason": self.judged.reason} if self.judged else {}
        return self.compared.document() | verdict


def end_to_end(cells: Sequence[Matched], settings: CertificateSettings) -> dict[str, Whole]:
    """Success and compounded accuracy, and of the latter the golden path and off it where both were played."""
    asked, shown = settings.gate(), 1 - settings.alpha
    one_sided, seed = 1 - 2 * settings.alpha, settings.seed
    golden, off = [it for it in cells if it.variant == GOLDEN], [it for it in cells if it.variant != GOLDEN]
    success, product = "success end to end", "compounded accuracy"
    found = {
        "success": Whole(
            compare(success, outcome_members(cells), seed=seed, level=shown, by_pairs=True),
            _whole(compare(success, outcome_members(cells), seed=seed, level=one_sided, by_pairs=True), asked),
        ),
        "compounded": Whole(
            compare_compounded(product, cells, seed=seed, level=shown),
            _whole(compare_compounded(product, cells, seed=seed, level=one_sided), asked),
        ),
    }
    if golden and off:
        for name, some, words in (("golden", golden, "on the golden path"), ("off_path", off, "off the golden path")):
            found[name] = Whole(compare_compounded(f"{product} {words}", some, seed=seed, level=shown), None)
    return found


def _whole(it: Compared, asked: GateSettings) -> Judged:
    criterion = Criterion(Metric("steps", it.name, (), ()), asked.min_effect, asked.margin, True)
    return judge_difference(criterion, it.difference, it.difference.p_value, 1.0, asked)
