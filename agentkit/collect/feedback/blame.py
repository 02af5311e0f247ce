"""To which step of a conversation a judgement belongs, and by which rule.

Blame that names its step or its response goes there. Else it goes to the first step that a judge or a grader found
wrong, and where none did to the last one before the judgement was made. Praise of a whole conversation is given to no
single step: it says that each of them will have been right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agentkit.records import Exchange, Feedback, ResponseId, Source
from agentkit.store import Head

BAD_BELOW = 0.5
"""A value below this is blame."""


class Rule(StrEnum):
    """Why a step was chosen."""

    EXPLICIT = "explicit"
    """Whoever judged named it."""
    RESPONSE = "response"
    """It is the step of the response that was judged."""
    JUDGED = "judged"
    """It is the first that a judge or a grader found wrong."""
    LAST = "last"
    """It is the last before the judgement."""
    WHOLE = "whole"
    """Of the conversation, and of no step: praise, a comment, or nothing captured to choose from."""


GUESSED = (Rule.JUDGED, Rule.LAST)
"""Rules by which a step is only likely to be meant: what was said is of the whole conversation."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Where a judgement belongs."""

    rule: Rule
    step: str = ""
    """Empty where it belongs to the whole, or where the caller named no steps."""
    agent: str = ""
    response: ResponseId | None = None
    """The answer that is meant; None with the rule `whole`."""

    def document(self) -> dict[str, Any]:
        """Plain JSON, for a judgement's details."""
        return {"rule": self.rule.value, "agent": self.agent, "response": self.response}


def blame(
    exchanges: Sequence[Exchange | Head],
    judged: Sequence[Feedback] = (),
    *,
    bad: bool,
    at: str,
    step: str = "",
    response: ResponseId | None = None,
) -> Blame:
    """Where a judgement of one conversation belongs.

    Args:
        exchanges: of that conversation, in any order.
        judged: what judges and graders said of them; others' judgements are passed over.
        bad: whether it is blame.
        at: RFC 3339 in UTC; when the judgement was made.
        step: as it was named; then the last answer of that step before `at` is meant.
        response: as it was named.
    """
    order = sorted(exchanges, key=lambda it: (it.at, it.id))
    if response is not None:
        found = next((it for it in order if it.id == response), None)
        own = "" if found is None else found.step
        rule = Rule.EXPLICIT if step and step != own else Rule.RESPONSE
        return Blame(rule, step or own, "" if found is None else found.agent, response)
    before = [it for it in order if it.at <= at] or order
    if step:
        found = next((it for it in reversed(before) if it.step == step), None)
        return _at(Rule.EXPLICIT, found) if found else Blame(Rule.EXPLICIT, step)
    if not bad or not order:
        return Blame(Rule.WHOLE)
    wrong = found_wrong(judged)
    for it in order:
        if it.id in wrong:
            return _at(Rule.JUDGED, it)
    return _at(Rule.LAST, before[-1])


def found_wrong(judged: Sequence[Feedback]) -> set[ResponseId]:
    """The responses that a judge or a grader found wrong, by the latest word of each; one that finds it wrong
    suffices."""
    last: dict[tuple[ResponseId, Source, str], float] = {}
    for it in judged:
        if it.source in (Source.JUDGE, Source.GRADE) and it.response is not None and it.value is not None:
            last[it.response, it.source, it.by] = it.value
    return {response for (response, _, _), value in last.items() if value < BAD_BELOW}


def rule_of(details: Mapping[str, Any] | None) -> Rule | None:
    """The rule that a recorded judgement's details name; None where they name none."""
    name = _written(details).get("rule")
    return Rule(name) if name in set(Rule) else None


def agent_of(details: Mapping[str, Any] | None) -> str:
    """The agent whose step a recorded judgement's details say is meant; empty where they say none."""
    return str(_written(details).get("agent") or "")


def _written(details: Mapping[str, Any] | None) -> Mapping[str, Any]:
    written = (details or {}).get("blame")
    return written if isinstance(written, Mapping) else {}


def _at(rule: Rule, it: Exchange | Head) -> Blame:
    return Blame(rule, it.step, it.agent, it.id)
