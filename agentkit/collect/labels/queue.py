"""Which captured answers to ask an expert about, those that teach most first; see README.md for the score.

Between those that the score puts first stand, at a share of the places, answers drawn by lot. Two experts judge each of
those, and only they say how far experts and judge agree: a queue that looks for disagreement would find it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import orjson

from agentkit.collect.feedback.blame import BAD_BELOW, Rule
from agentkit.collect.feedback.judges import latest, sureness
from agentkit.collect.feedback.tally import place_of, tallies
from agentkit.collect.labels.label import verdicts
from agentkit.collect.labels.lots import drawn
from agentkit.config import LabelSettings
from agentkit.records import ConversationId, Exchange, Feedback, ResponseId, Source

WEIGHTS: Mapping[str, float] = {"disagreement": 4.0, "doubt": 2.0, "failing": 2.0, "novelty": 1.0}
"""What each part of the score, from 0 to 1, is worth."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A captured answer without its texts, so that many fit in memory."""

    exchange: Exchange
    """Request and response are emptied."""
    form: str
    """What it has in common with answers of its kind: agent, step, what answered, and which tools it calls."""

    @property
    def id(self) -> ResponseId:
        return self.exchange.id


@dataclass(frozen=True, slots=True)
class Item:
    """An answer that waits for an expert."""

    answer: Answer
    parts: Mapping[str, float]
    """Part of the score → 0 to 1."""
    lot: bool
    """Whether it was drawn by lot, so that two experts judge it."""

    @property
    def score(self) -> float:
        return sum(WEIGHTS[name] * value for name, value in self.parts.items())


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one expert has come."""

    judged: int
    skipped: int
    open: int
    """Answers that this expert may judge still."""
    waiting: int
    """Answers that this expert has judged and that wait for a second one."""


def answer_of(exchange: Exchange) -> Answer | None:
    """None where there was no answer to judge."""
    if exchange.response is None or exchange.error is not None:
        return None
    calls = exchange.response.get("tool_calls")
    functions = [it.get("function") for it in calls if isinstance(it, Mapping)] if isinstance(calls, list) else []
    tools = sorted({str(it.get("name")) for it in functions if isinstance(it, Mapping)})
    form = orjson.dumps([exchange.agent, exchange.step, str(exchange.target), tools]).decode()
    return Answer(replace(exchange, request={}, response={}), form)


def to_recall(said: Sequence[Feedback], settings: LabelSettings) -> list[ConversationId]:
    """Conversations to ask about however much came in since: first those with an answer that waits for a second expert,
    then those that users blamed, or a judge found wrong or could not judge, then the others of which either spoke; of
    each kind, the one last spoken of first."""
    labels = verdicts(said)
    of_one = [it for it in said if it.response is not None and len(labels.get(it.response, ())) == 1]
    waiting = [it for it in of_one if it.response is not None and drawn(it.response, settings)]
    heard = [
        it
        for it in said
        if it.source in (Source.USER, Source.JUDGE) and (it.response is None or it.response not in labels)
    ]
    bad = [it for it in heard if it.value is None or it.value < BAD_BELOW]
    return list(dict.fromkeys(it.conversation for some in (waiting, bad, heard) for it in reversed(some)))


class Queue:
    """The answers of one moment, and all that was said of them."""

    def __init__(
        self,
        answers: Sequence[Answer],
        said: Sequence[Feedback],
        settings: LabelSettings,
        recalled: Collection[ResponseId] = (),
    ) -> None:
        """`recalled`: those of the answers that are there for what was said of them. The lot chooses among the others:
        it would not be one if blame decided who takes part; but those that one expert judged are a second one's."""
        self._settings = settings
        self._labels = verdicts(said)
        self._skipped = _skipped(said)
        left_out = {id for id in recalled if drawn(id, settings) and id not in self._labels}
        self._answers = {it.id: it for it in answers if it.id not in left_out}
        self._lot = [it for it in self._answers.values() if drawn(it.id, settings)]
        self._lots = {it.id for it in self._lot}
        self._lot.sort(key=lambda it: sha256(it.id.encode("utf-8", "replace")).digest())
        self._parts = _parts(answers, said, self._labels)

    def items(self, expert: str) -> Iterator[Item]:
        """What this expert may judge still, in the order in which it is asked for."""
        ranked = self._ranked(expert)
        lots = iter([it for it in self._lot if self._open(it.id, expert)])
        judged = [id for id in self._labels if expert in self._labels[id]]
        done, lucky = len(judged), sum(drawn(id, self._settings) for id in judged)
        scored, lot = next(ranked, None), next(lots, None)
        while scored is not None or lot is not None:
            if lot is not None and (scored is None or lucky < self._settings.second_share * (done + 1)):
                yield self._item(lot)
                lot, lucky = next(lots, None), lucky + 1
            elif scored is not None:
                yield scored
                scored = next(ranked, None)
            done += 1

    def progress(self, expert: str) -> Progress:
        own = [id for id, labels in self._labels.items() if expert in labels]
        return Progress(
            judged=len(own),
            skipped=len(self._skipped[expert] - set(own)),
            open=sum(self._open(id, expert) for id in self._answers),
            waiting=sum(drawn(id, self._settings) and len(self._labels[id]) < 2 for id in own),
        )

    def _ranked(self, expert: str) -> Iterator[Item]:
        rest = [it for it in self._answers.values() if it.id not in self._lots and self._open(it.id, expert)]
        return iter(sorted(map(self._item, rest), key=lambda it: (-it.score, it.answer.exchange.at, it.answer.id)))

    def _item(self, answer: Answer) -> Item:
        return Item(answer, self._parts[answer.id], answer.id in self._lots)

    def _open(self, id: ResponseId, expert: str) -> bool:
        labels = self._labels.get(id, {})
        enough = len(labels) >= (2 if id in self._lots else 1)
        return not enough and expert not in labels and id not in self._skipped[expert]


def _skipped(said: Sequence[Feedback]) -> defaultdict[str, set[ResponseId]]:
    found: defaultdict[str, set[ResponseId]] = defaultdict(set)
    for it in said:
        if it.source is Source.EXPERT and it.value is None and it.response is not None:
            found[it.by].add(it.response)
    return found


def _parts(
    answers: Sequence[Answer], said: Sequence[Feedback], labels: Mapping[ResponseId, Any]
) -> dict[ResponseId, Mapping[str, float]]:
    heard = _heard(answers, said)
    judged = latest(said)
    failing = tallies([it.exchange for it in answers], said)
    fixed = {}
    for it in answers:
        opinions = heard[it.id]
        means = [sum(values) / len(values) for values in opinions.values()]
        tally = failing[it.exchange.agent, it.exchange.step]
        share = (tally.bad + 1) / (tally.judged + 2)
        blamed = any(value < BAD_BELOW for value in opinions.get(Source.USER, ()))
        fixed[it.id] = {
            "disagreement": max(means) - min(means) if len(means) > 1 else 0.0,
            "doubt": _doubt(judged.get(it.id)),
            "failing": (share + blamed) / 2,
        }
    return _with_novelty(answers, fixed, labels)


def _with_novelty(
    answers: Sequence[Answer], fixed: Mapping[ResponseId, Mapping[str, float]], labels: Mapping[ResponseId, Any]
) -> dict[ResponseId, Mapping[str, float]]:
    """`1 / (1 + answers of this form that are judged, or stand before it)`."""
    seen = Counter(it.form for it in answers if it.id in labels)
    found: dict[ResponseId, Mapping[str, float]] = {}
    for it in sorted(answers, key=lambda it: -sum(WEIGHTS[name] * value for name, value in fixed[it.id].items())):
        found[it.id] = {**fixed[it.id], "novelty": 1 / (1 + seen[it.form])}
        seen[it.form] += it.id not in labels
    return found


def _heard(answers: Sequence[Answer], said: Sequence[Feedback]) -> dict[ResponseId, dict[Source, list[float]]]:
    """Answer → who judged it, experts apart → their values. Blame of a conversation is of the answer it is laid to."""
    talks: dict[ConversationId, list[Exchange]] = defaultdict(list)
    for it in answers:
        talks[it.exchange.conversation].append(it.exchange)
    of: dict[ConversationId, list[Feedback]] = defaultdict(list)
    for feedback in said:
        of[feedback.conversation].append(feedback)
    found: dict[ResponseId, dict[Source, list[float]]] = defaultdict(lambda: defaultdict(list))
    for conversation, talk in talks.items():
        for feedback in of[conversation]:
            if feedback.source is Source.EXPERT or feedback.value is None:
                continue
            place = place_of(feedback, talk, of[conversation])
            if place.rule is not Rule.WHOLE and place.response is not None:
                found[place.response][feedback.source].append(feedback.value)
    return found


def _doubt(judged: Feedback | None) -> float:
    """1 where the judge could not say, a half where nobody asked it, a quarter where it read once."""
    if judged is None:
        return 0.5
    if judged.value is None:
        return 1.0
    sure = sureness(judged)
    return 0.25 if sure is None else 1 - sure
