"""The proof that a training helped and harmed nothing else: plays before and after, and one verdict.

**promote**: the target step is shown to be better, and nothing else lost the margin or more. **refuse**: something is
shown to be worse. **inconclusive**: neither, or too little is known. **stopped**: the audit of the rewards stopped the
job, or the preflight found nothing to train.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from agentkit.errors import ExitCode, UsageError
from agentkit.gate import Difference, Recorded
from agentkit.gate.comparable import notes_on, problems_of
from agentkit.gate.settings import select
from agentkit.tune.credit import credit_of, seeds_of
from agentkit.tune.general import General
from agentkit.tune.limits import CertificateSettings
from agentkit.tune.others import Other, judge_others
from agentkit.tune.paired import Compared, compare, interval_document, pairs_of, step_members
from agentkit.tune.seeds import OfSeed, OverSeeds, Trained
from agentkit.tune.whole import Whole, end_to_end
from agentkit.tune.words import inconclusive_reasons, refusals, sentence

__all__ = ["SCHEMA", "Certificate", "CertificateSettings", "Promotion", "certify", "stopped"]

SCHEMA = 1
"""Of the document; it rises when a key changes its meaning or goes."""


class Promotion(StrEnum):
    """What a certificate says."""

    PROMOTE = "promote"
    REFUSE = "refuse"
    INCONCLUSIVE = "inconclusive"
    STOPPED = "stopped"

    @property
    def exit_code(self) -> ExitCode:
        return {
            Promotion.PROMOTE: ExitCode.PASS,
            Promotion.REFUSE: ExitCode.FAIL,
            Promotion.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
            Promotion.STOPPED: ExitCode.NOT_JUDGED,
        }[self]


@dataclass(frozen=True, slots=True)
class Certificate:
    """The verdict with everything it rests on."""

    verdict: Promotion
    sentence: str
    reasons: tuple[str, ...]
    """Why, the most important first."""
    step: str
    """The target as it was named."""
    steps: tuple[str, ...] = ()
    """`scenario/variant#step` of the target."""
    target: Compared | None = None
    """None for a job that was stopped."""
    given_right_history: Compared | None = None
    """The target by itself, one answer at each held-out moment; None where that was not asked. It is shown and no part
    of the verdict, since it says nothing of what the agent's own mistakes before the step lead to."""
    end_to_end: Mapping[str, Whole] = field(default_factory=dict)
    """`success`, `compounded`, and of the latter `golden` and `off_path` where both were played."""
    others: tuple[Other, ...] = ()
    general: General | None = None
    credit: Mapping[str, Difference] = field(default_factory=dict)
    """What `warm_start` (warm less base) and `reinforcement` (tuned less warm) each did to the target step."""
    seeds: tuple[OfSeed, ...] = ()
    over_seeds: Mapping[str, OverSeeds] = field(default_factory=dict)
    """Mean over training seeds: `gain`, and `reinforcement` where each has a warm start."""
    notes: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of data, rewards, base model and adapter."""
    before: str = ""
    """Agent and run."""
    after: str = ""
    settings: CertificateSettings = field(default_factory=CertificateSettings)

    def document(self) -> dict[str, Any]:
        """Plain JSON: no NaN, None where a number does not exist."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "exit_code": int(self.verdict.exit_code),
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "target": self._target(),
            "given_right_history": self.given_right_history and self.given_right_history.document(),
            "end_to_end": {name: it.document() for name, it in self.end_to_end.items()},
            "others": [it.document() for it in self.others],
            "general": None if self.general is None else self.general.document(),
            "credit": {name: interval_document(it) for name, it in self.credit.items()},
            "seeds": [it.document() for it in self.seeds],
            "over_seeds": {name: it.document() for name, it in self.over_seeds.items()},
            "notes": list(self.notes),
            "hashes": dict(self.hashes),
            "before": self.before,
            "after": self.after,
            "settings": {name: getattr(self.settings, name) for name in self.settings.__slots__},
        }

    def _target(self) -> dict[str, Any]:
        if self.target is None:
            empty = {"before": None, "after": None, "difference": None, "held_out": 0}
            return {"step": self.step, **empty, "steps": []}
        held_out = {"held_out": self.target.instances, "steps": list(self.steps)}
        return {"step": self.step, **self.target.document(), **held_out}


def certify(
    target: str,
    before: Recorded,
    after: Recorded,
    *,
    warm: Recorded | None = None,
    seeds: Sequence[Trained] = (),
    general: General | None = None,
    given_right_history: Compared | None = None,
    hashes: Mapping[str, str],
    settings: CertificateSettings | None = None,
    trained: Collection[str] | None = None,
    seen: Collection[int] = (),
    notes: Sequence[str] = (),
) -> Certificate:
    """Judge a trained agent (`after`) by the plays of the one it was trained from (`before`), pair by pair.

    `target` names the step as the gate does: `refund`, `shop/refund/golden#refund`, `skill:refund`, a pattern. `warm`
    is the same agent after the warm start only, or `after` itself where reinforcement came to nothing. `seeds` holds
    every fresh training seed, the certified one among them where it is one. `trained` are the `scenario/variant#step`
    that the training was for, where the target's name means more than these: the rest count among the other steps.
    `seen` are the instances of training and validation, of which none may be played here.

    Raises UsageError where the target is no step, a run is compared with itself, no pairs were played, or an instance
    was seen in training.
    """
    chosen = settings or CertificateSettings()
    asked = chosen.gate()
    cells = pairs_of(before, after)
    _refuse_seen(after, seen)
    steps = tuple(it for it in select(cells, target) if trained is None or it in trained)
    level = 1 - chosen.alpha
    found = compare(f"step {target}", step_members(cells, steps), seed=chosen.seed, level=level)
    others = judge_others(cells, steps, asked, chosen.min_pairs)
    problems = problems_of(before, after, asked)
    if before.agent_hash == after.agent_hash:
        problems += (f"both runs played the same agent ({before.agent_hash[:12]}): there is nothing to prove",)
    whole = end_to_end(cells, chosen)
    refused = refusals(found, whole, others, general, chosen)
    unknown = inconclusive_reasons(found, whole, others, general, chosen)
    verdict = Promotion.PROMOTE
    if problems or (unknown and not refused):
        verdict = Promotion.INCONCLUSIVE
    elif refused:
        verdict = Promotion.REFUSE
    reasons = (*problems, *refused, *unknown)
    of_seeds, over, said = seeds_of(before, seeds, warm, steps, seed=chosen.seed, level=level)
    return Certificate(
        verdict,
        sentence(verdict.value, found, reasons, chosen),
        reasons,
        target,
        steps,
        found,
        given_right_history,
        whole,
        others,
        general,
        credit_of(before, warm, after, steps, seed=chosen.seed, level=level),
        of_seeds,
        over,
        (*notes, *said, *notes_on(before, after, cells, asked, ())),
        dict(hashes),
        f"{before.agent} ({before.run})",
        f"{after.agent} ({after.run})",
        chosen,
    )


def stopped(
    step: str, reasons: Sequence[str], *, hashes: Mapping[str, str], verdict: Promotion = Promotion.STOPPED
) -> Certificate:
    """The certificate of a job that had nothing to prove, and why: stopped by the audit, or inconclusive where training
    came to no model that is better. Raises UsageError without a reason."""
    if not reasons:
        raise UsageError(f"{step}: a job that was stopped says why, and no reason was given")
    return Certificate(verdict, f"{verdict.value}: {reasons[0]}", tuple(reasons), step, hashes=dict(hashes))


def _refuse_seen(after: Recorded, seen: Collection[int]) -> None:
    known = set(seen)
    for cell in after.cells:
        if leaked := sorted(known & set(cell.instances.tolist())):
            raise UsageError(
                f"{cell.id}: instance {leaked[0]} and {len(leaked) - 1} others were seen in training or validation; "
                "a certificate rests on held-out instances only"
            )
