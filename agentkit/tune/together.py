"""Several adapters at once: each must keep, beside the others, what it gained alone, for one changes the conversations
that the next one continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.errors import UsageError
from agentkit.gate import Judged, Outcome, Recorded, holm
from agentkit.gate.comparable import problems_of
from agentkit.gate.judged import judge_difference
from agentkit.gate.metric import Metric
from agentkit.gate.settings import Criterion, select
from agentkit.tune.certificate import CertificateSettings, Promotion
from agentkit.tune.paired import Compared, compare, outcome_members, pairs_of, step_members


@dataclass(frozen=True, slots=True, eq=False)
class Single:
    """The plays of an agent with one of the adapters alone."""

    adapter: str
    step: str
    """The adapter's target, as the gate names steps."""
    plays: Recorded


@dataclass(frozen=True, slots=True)
class Beside:
    """One number of all adapters together less that of one adapter alone."""

    adapter: str
    name: str
    compared: Compared
    judged: Judged

    def document(self) -> dict[str, Any]:
        """Plain JSON; `before` is the adapter alone, `after` all of them."""
        verdict = {"outcome": self.judged.outcome.value, "reason": self.judged.reason}
        return {"adapter": self.adapter, "step": self.name, **self.compared.document(), **verdict}


@dataclass(frozen=True, slots=True)
class Together:
    """Whether adapters keep what they gained when they serve together."""

    verdict: Promotion
    sentence: str
    reasons: tuple[str, ...]
    steps: tuple[Beside, ...]
    """Each adapter's own step."""
    success: tuple[Beside, ...]
    """Success end to end beside each adapter alone."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "verdict": self.verdict.value,
            "exit_code": int(self.verdict.exit_code),
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "steps": [it.document() for it in self.steps],
            "success": [it.document() for it in self.success],
        }


def together(singles: Sequence[Single], joint: Recorded, settings: CertificateSettings | None = None) -> Together:
    """Compare the agent with all adapters (`joint`) with the same agent with each of them alone, pair by pair.

    Non-inferior by the margin, one-sided, at each adapter's own step and end to end; Holm over all of it. What `joint`
    gains over the agent without adapters is certified by `certify`, once for each target.

    Raises UsageError where fewer than two adapters are given, or one twice.
    """
    names = [it.adapter for it in singles]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(f"adapters together: found {', '.join(names) or 'none'}, expected two or more, each once")
    chosen = settings or CertificateSettings()
    asked, level = chosen.gate(), 1 - 2 * chosen.alpha
    problems = [
        f"{it.adapter}: {problem}" for it in singles for problem in problems_of(it.plays, joint, asked)
    ]  # fmt: skip
    found: list[tuple[Single, str, Compared]] = []
    for it in singles:
        cells = pairs_of(it.plays, joint)
        own = step_members(cells, select(cells, it.step))
        said = f"step {it.step} beside the other adapters of {it.adapter}"
        found.append((it, it.step, compare(said, own, seed=chosen.seed, level=level)))
        said = f"success end to end beside the other adapters of {it.adapter}"
        found.append((it, "", compare(said, outcome_members(cells), seed=chosen.seed, level=level)))
    p_values = holm([1.0 if (p := it.difference.p_value) is None else p for _, _, it in found]).tolist()
    judged = [
        Beside(single.adapter, step or "success", it, _judged(it, p, chosen))
        for (single, step, it), p in zip(found, p_values, strict=True)
    ]
    worse = [it.judged.reason for it in judged if it.judged.outcome is Outcome.FAIL]
    unsure = [it.judged.reason for it in judged if it.judged.outcome not in (Outcome.FAIL, Outcome.PASS)]
    verdict = Promotion.PROMOTE
    if problems or (unsure and not worse):
        verdict = Promotion.INCONCLUSIVE
    elif worse:
        verdict = Promotion.REFUSE
    reasons = (*problems, *worse, *unsure)
    kept = f"{' and '.join(names)} keep together what each gained alone"
    said = f"{verdict.value}: {reasons[0] if reasons else kept}"
    steps = tuple(it for it in judged if it.name != "success")
    return Together(verdict, said, reasons, steps, tuple(it for it in judged if it.name == "success"))


def _judged(it: Compared, adjusted: float, settings: CertificateSettings) -> Judged:
    asked = settings.gate()
    criterion = Criterion(Metric("steps", it.name, (), ()), asked.min_effect, asked.margin, True)
    return judge_difference(criterion, it.difference, adjusted, 1.0, asked)
