"""People's judgements as a check of a reward: of two answers to one request, the better one must get more.

A reward that orders what people have judged wrongly teaches what they do not want, whatever the audit of golden and
spoilt answers says of it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from agentkit.collect.feedback.talk import read_calls, said_of
from agentkit.collect.labels.rows import Judgement
from agentkit.grade import RewardStep, Rubric
from agentkit.grade.text import inert, shortened
from agentkit.measure import wilson
from agentkit.records import ToolCall
from agentkit.tune.feedback_rows import answer_text, chat_messages, dialect_of, tools_of
from agentkit.tune.prompt import Prompt
from agentkit.tune.read import read_answer

_SAME = 1e-9
"""Rewards closer than this are one."""
_SHOWN = 10
"""Pairs in the wrong order that a document quotes."""


@dataclass(frozen=True, slots=True)
class Case:
    """Two answers to one request, of which people say which is better."""

    name: str
    """The captured response's id; of two, the worse one's."""
    better: RewardStep
    worse: RewardStep


@dataclass(frozen=True, slots=True)
class Misordered:
    """A case that the reward gets wrong."""

    case: Case
    better: float
    worse: float

    def __str__(self) -> str:
        better, worse = (shortened(inert(it.completion), 80) for it in (self.case.better, self.case.worse))
        return f"{self.case.name}: {worse!r} gets {self.worse:.2f}, the better {better!r} {self.better:.2f}"


@dataclass(frozen=True, slots=True)
class RewardCheck:
    """How a rubric orders what people have judged."""

    rubric: str
    hash: str
    ordered: int
    """Cases in which the better answer gets more."""
    tied: int
    """In which both get the same: no help, and no harm."""
    misordered: tuple[Misordered, ...]
    silent: int
    """In which no part applied to one of the answers: in no denominator."""

    @property
    def n(self) -> int:
        return self.ordered + self.tied + len(self.misordered)

    @property
    def share(self) -> tuple[float | None, float, float]:
        """Of the cases that are in order, ties counting against it, with Wilson's interval; None without a case."""
        low, high = wilson(self.ordered, self.n)
        return (self.ordered / self.n if self.n else None), float(low), float(high)

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        estimate, low, high = self.share
        return {
            "rubric": self.rubric,
            "hash": self.hash,
            "cases": self.n,
            "ordered": {"estimate": estimate, "low": low, "high": high, "n": self.ordered},
            "tied": self.tied,
            "misordered": len(self.misordered),
            "silent": self.silent,
            "examples": [str(it) for it in self.misordered[:_SHOWN]],
        }


def cases_of(judged: Sequence[Judgement], prompts: Sequence[Prompt] = ()) -> list[Case]:
    """Each better answer beside the given one; and of equal requests, each answer that was found right beside each that
    was found wrong.

    Args:
        prompts: of a job. Where a request is one of them, rewards see what is expected there too.
    """
    known: dict[bytes, Prompt] = {}
    for prompt in prompts:
        known.setdefault(_key(prompt.request), prompt)
    groups: dict[bytes, list[Judgement]] = defaultdict(list)
    for it in judged:
        groups[_key(it.request)].append(it)
    return [case for key, group in groups.items() for case in _cases(group, known.get(key))]


async def check_rewards(rubric: Rubric, cases: Sequence[Case]) -> RewardCheck:
    """Score both answers of each case.

    Raises:
        RewardError, SandboxError, BudgetExhausted: as the rewards themselves raise them.
    """
    steps = [step for case in cases for step in (case.better, case.worse)]
    scored = await asyncio.to_thread(rubric.score_all, steps)
    ordered = tied = silent = 0
    wrong: list[Misordered] = []
    for case, better, worse in zip(cases, scored[::2], scored[1::2], strict=True):
        if better.total is None or worse.total is None:
            silent += 1
        elif abs(better.total - worse.total) <= _SAME:
            tied += 1
        elif better.total > worse.total:
            ordered += 1
        else:
            wrong.append(Misordered(case, better.total, worse.total))
    return RewardCheck(rubric.name, rubric.hash, ordered, tied, tuple(wrong), silent)


def _cases(group: Sequence[Judgement], prompt: Prompt | None) -> Iterator[Case]:
    """Of equal requests; the same two answers once."""
    seen: set[tuple[str, str]] = set()
    right = [it for it in group if it.right]
    for it in group:
        if it.right is not False and not it.better:
            continue
        worse = answer_text(it.request, it.given)
        answers = [*it.better, *(other.given for other in right if it.right is False)]
        for answer in answers:
            better = answer_text(it.request, answer)
            if better != worse and (better, worse) not in seen:
                seen.add((better, worse))
                yield Case(it.response, _step(it, better, answer, prompt), _step(it, worse, it.given, prompt))


def _step(it: Judgement, text: str, answer: Mapping[str, Any], prompt: Prompt | None) -> RewardStep:
    if prompt is not None:
        return prompt.reward_step(text)
    calls, reply = _read(it, text, answer)
    return RewardStep(
        prompt=said_of(it.request),
        completion=text,
        calls=calls,
        reply=reply,
        tools=tools_of(it.request),
        name=it.response,
    )


def _read(it: Judgement, text: str, answer: Mapping[str, Any]) -> tuple[tuple[ToolCall, ...], str]:
    calls = read_calls(answer.get("tool_calls"))
    if calls:
        content = answer.get("content")
        return calls, content if isinstance(content, str) else ""
    found = read_answer(text, dialect_of(it.request), it.response)
    return found.calls, found.reply


def _key(request: Mapping[str, Any]) -> bytes:
    return orjson.dumps([chat_messages(request), request.get("tools")], option=orjson.OPT_SORT_KEYS, default=str)
