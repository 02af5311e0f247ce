"""Why a certificate promotes, refuses, or says neither: one sentence a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentkit.gate import Outcome
from agentkit.gate.wording import change, interval, percent, points
from agentkit.tune.general import General
from agentkit.tune.limits import CertificateSettings
from agentkit.tune.others import Other
from agentkit.tune.paired import Compared
from agentkit.tune.whole import Whole


def refusals(
    target: Compared,
    end_to_end: Mapping[str, Whole],
    others: Sequence[Other],
    general: General | None,
    settings: CertificateSettings,
) -> tuple[str, ...]:
    """What is shown to be worse, the target first."""
    found = []
    high = target.difference.high
    if high is not None and high < 0:
        found.append(f"the target got worse: {told(target)}")
    found += [it.judged.reason for it in end_to_end.values() if it.judged and it.judged.outcome is Outcome.FAIL]
    found += [it.judged.reason for it in others if it.outcome is Outcome.FAIL]
    if general is not None and general.net_loss > settings.general_margin + 1e-12:
        lost = ", ".join(general.lost)
        found.append(
            f"{_sides(general.compared)}: a net loss of {points(general.net_loss)}, more than the "
            f"{points(settings.general_margin)} allowed (lost: {lost})"
        )
    return tuple(found)


def inconclusive_reasons(
    target: Compared,
    end_to_end: Mapping[str, Whole],
    others: Sequence[Other],
    general: General | None,
    settings: CertificateSettings,
) -> tuple[str, ...]:
    """What is not shown, the target first."""
    found = []
    difference = target.difference
    if difference.estimate is None or difference.low is None:
        found.append(f"the target could not be judged: {difference.reason}")
    elif difference.low <= 0 and (difference.high is None or difference.high >= 0):
        found.append(f"no gain is shown at the target: {told(target)}")
    elif 0 <= difference.estimate < settings.min_gain:
        wanted = points(settings.min_gain)
        found.append(f"the target gained less than the {wanted} asked for: {told(target)}")
    unsure = (Outcome.INCONCLUSIVE, Outcome.NOT_JUDGED)
    found += [it.judged.reason for it in end_to_end.values() if it.judged and it.judged.outcome in unsure]
    found += [it.judged.reason for it in others if it.open and not it.thin]
    thin = [it for it in others if it.open and it.thin and it.outcome is not Outcome.FAIL]
    if thin and not settings.allow_thin:
        shown = ", ".join(f"{it.name} ({it.compared.pairs})" for it in thin[:5]) + (" …" if len(thin) > 5 else "")
        found.append(
            f"too few pairs to say that no other step was made worse: {shown}; {settings.min_pairs} are needed, alone "
            "or pooled: play more held-out instances, or allow thin steps"
        )
    if general is None and settings.ask_general:
        found.append("the general prompts were not asked, so what was forgotten is not known")
    return tuple(found)


def sentence(verdict: str, target: Compared, reasons: Sequence[str], settings: CertificateSettings) -> str:
    """The verdict and its first reason; of a promotion what it shows."""
    if verdict != "promote":
        return f"{verdict}: {reasons[0]}"
    held = "with too few pairs for some steps, nothing else is shown to be worse"
    if not settings.allow_thin:
        held = f"nothing else lost {points(settings.margin)} or more"
    return f"promote: {told(target)}; {held}"


def told(it: Compared) -> str:
    """`the step 40 % → 81 %, 41 points higher (95 % interval: …; 100 held-out instances)`."""
    if it.difference.estimate is None:
        return f"{it.name} could not be judged: {it.difference.reason}"
    held = f"{it.instances:,} held-out instance{'s' * (it.instances != 1)}"
    return f"{change(it.difference)} ({interval(it.difference)}; {held})"


def by_itself(it: Compared) -> str:
    """Whether the step got better where what came before is right, in words."""
    low, high = it.difference.low, it.difference.high
    said = (
        "better" if low is not None and low > 0 else "worse" if high is not None and high < 0 else "not shown to differ"
    )
    return f"by itself the step is {said}: {told(it)}"


def _sides(it: Compared) -> str:
    return f"{it.name} {percent(it.before or 0.0)} → {percent(it.after or 0.0)}"
