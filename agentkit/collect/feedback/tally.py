"""How often each step was praised and blamed: what says where production fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agentkit.collect.feedback.blame import BAD_BELOW, GUESSED, Blame, Rule, blame, rule_of
from agentkit.measure import wilson
from agentkit.records import ConversationId, Exchange, Feedback, Source

Step = tuple[str, str]
"""Agent and step."""


@dataclass(frozen=True, slots=True)
class Tally:
    """One step, as its conversations were judged."""

    conversations: int
    """That came to it."""
    good: int
    """That were judged and in which it was not blamed; of those with blame, only where it itself was praised."""
    bad: int
    """In which it was blamed."""

    @property
    def judged(self) -> int:
        return self.good + self.bad

    @property
    def failing(self) -> tuple[float, float, float]:
        """Share of bad ones among those judged, with its Wilson interval; (0, 0, 1) where none was."""
        low, high = wilson(self.bad, self.judged)
        return self.bad / self.judged if self.judged else 0.0, float(low), float(high)


def tallies(
    exchanges: Iterable[Exchange],
    judgements: Sequence[Feedback],
    *,
    sources: Sequence[Source] = (Source.USER, Source.EXPERT),
) -> dict[Step, Tally]:
    """Each step's tally, worst lower bound first.

    A conversation counts once for each of its steps. Blame that was laid by the rules `judged` or `last` is laid again
    with what judges and graders have said by now.
    """
    talks: dict[ConversationId, list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        talks[exchange.conversation].append(exchange)
    said: dict[ConversationId, list[Feedback]] = defaultdict(list)
    for it in judgements:
        said[it.conversation].append(it)
    seen: dict[Step, list[bool | None]] = defaultdict(list)
    for conversation, talk in talks.items():
        verdicts = verdicts_of(talk, said[conversation], sources)
        for step in dict.fromkeys((it.agent, it.step) for it in talk):
            seen[step].append(verdicts.get(step))
    found = {step: Tally(len(it), it.count(True), it.count(False)) for step, it in seen.items()}
    return dict(sorted(found.items(), key=lambda it: (-it[1].failing[1], -it[1].bad, it[0])))


def verdicts_of(talk: Sequence[Exchange], said: Sequence[Feedback], sources: Sequence[Source]) -> Mapping[Step, bool]:
    """Step → whether it was right, of those of one conversation's steps of which that is known; blame outweighs praise.

    Praise of the whole speaks for every step, unless one of them is blamed: who is right then is not known.
    """
    found: dict[Step, bool] = {}
    praised = False
    for it in said:
        if it.source not in sources or it.value is None:
            continue
        bad = it.value < BAD_BELOW
        place = place_of(it, talk, said)
        if place.rule is Rule.WHOLE:
            praised |= not bad
        else:
            found |= {step: found.get(step, True) and not bad for step in _steps(place, talk)}
    if praised and all(found.values()):
        return {(it.agent, it.step): True for it in talk}
    return found


def place_of(it: Feedback, talk: Sequence[Exchange], said: Sequence[Feedback]) -> Blame:
    """Where a recorded judgement belongs by what is known now."""
    rule = rule_of(it.details)
    settled = rule not in GUESSED
    bad = it.value is not None and it.value < BAD_BELOW
    step = it.step if settled and it.response is None else ""
    found = blame(talk, said, bad=bad, at=it.at, step=step, response=it.response)
    return Blame(found.rule, it.step, found.agent, found.response) if settled and it.step else found


def _steps(place: Blame, talk: Sequence[Exchange]) -> set[Step]:
    if place.agent or place.response is not None:
        return {(place.agent, place.step)}
    return {(it.agent, it.step) for it in talk if it.step == place.step}
