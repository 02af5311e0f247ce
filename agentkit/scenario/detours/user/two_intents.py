"""The user wants two things at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from agentkit.records import ToolSpec
from agentkit.scenario.detours.base import NotApplicable
from agentkit.scenario.detours.user.expectations import due_writing, writing
from agentkit.scenario.detours.user.straying import Straying
from agentkit.scenario.detours.user.words import joined
from agentkit.scenario.instance import Instance, PlayTurn
from agentkit.scenario.model import Order, Reply, Step

_LINKS = ("And another thing.", "Oh, and while I'm at it.", "That's one thing. Here's the other.", "And one more.")


class TwoIntents(Straying):
    """Says two neighbouring golden turns in one message (`at` names the first of them).

    All steps of both are due in the one answer, their calls in any order. What forbids calls in one of the turns now
    forbids the writing tools that neither expects, so that one turn's rule does not forbid what the other asks for.
    Turns are only merged where that is fair: the first does not make the agent ask, nor keep from writing what the
    second wants written; neither forbids saying what the other wants said. A pair of which the second is only a
    question, or only looks something up, is preferred.
    """

    name = "two_intents"
    summary = "wants two things at once"
    example = "Refund SKU-5238 from sale S-67784 to the card, please. And how long until I see the money?"
    dose = "share of the pairs of neighbouring turns that are merged"
    expected = "the steps of both golden turns at once, calls in any order"
    no_place = "no two neighbouring turns of the golden path can be answered at once"

    def plans(self, instance: Instance, tools: Mapping[str, ToolSpec]) -> Iterator[Instance]:
        places = set(self.places(instance))
        pairs = [_Pair(index, *instance.turns[index : index + 2]) for index in range(len(instance.turns) - 1)]
        fair = [pair for pair in pairs if pair.place in places and pair.second.detour is None and pair.is_fair(tools)]
        easy = [pair for pair in fair if not due_writing([pair.second], tools)] or fair
        if not easy:
            raise NotApplicable(self.no_place)
        seed, chosen = instance.seed, list[_Pair]()
        for pair in sorted(easy, key=lambda pair: (pair.second_calls, self.chance(seed, "pair", pair.first.id))):
            if all(abs(pair.place - other.place) > 1 for other in chosen):
                chosen.append(pair)
        drawn = {pair.place: self.chance(seed, "struck", pair.first.id) for pair in chosen}
        least = max(self.intensity, min(drawn.values()))
        struck = [pair for pair in chosen if drawn[pair.place] <= least]
        for pair in sorted(struck, key=lambda pair: -pair.place):
            link = self.random(seed, "link", pair.first.id).choice(_LINKS)
            merged, void = pair.merged(link, self.id, tools)
            turns = (*instance.turns[: pair.place], merged, *instance.turns[pair.place + 2 :])
            instance = replace(instance, turns=turns, void=(*instance.void, *void))
        return iter([instance])


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two neighbouring golden turns."""

    place: int
    first: PlayTurn
    second: PlayTurn

    @property
    def second_calls(self) -> bool:
        return any(step.call is not None for step in self.second.steps)

    def is_fair(self, tools: Mapping[str, ToolSpec]) -> bool:
        """Whether one answer can meet the steps of both."""
        one, two = self.first, self.second
        if any(reply.asks for reply in _replies(one)):
            return False
        if any(not _go_together(a, b) for a, b in product(_replies(one), _replies(two))):
            return False
        if any(a.call == b.call for a, b in product(one.steps, two.steps) if a.call is not None):
            return False
        if _forbidden(one) & _called(two) or _forbidden(two) & _called(one):
            return False
        waits = any(step.no_call in ("any", "other") or step.state is not None for step in one.steps)
        return not (waits and due_writing([two], tools))

    def merged(self, link: str, detour: str, tools: Mapping[str, ToolSpec]) -> tuple[PlayTurn, list[tuple[Step, str]]]:
        """One turn, and the steps that fall away."""
        one, two = self.first, self.second
        idle = sorted(set(writing(tools)) - _called(one) - _called(two))
        steps, void = list[Step](), list[tuple[Step, str]]()
        for step in (*one.steps, *two.steps):
            if step.no_call not in ("any", "other"):
                steps.append(step)
            elif idle:
                steps.append(step.model_copy(update={"no_call": idle}))
            else:
                void.append((step, f"the turns {one.id!r} and {two.id!r} are one, and nothing is left to forbid in it"))
        order: Order = "any" if one.order == two.order == "any" else "subset"
        return PlayTurn(one.id, joined(one.user, two.user, link), order, tuple(steps), detour), void


def _replies(turn: PlayTurn) -> list[Reply]:
    return [step.reply for step in turn.steps if step.reply is not None]


def _called(turn: PlayTurn) -> set[str]:
    return {step.call.name for step in turn.steps if step.call is not None}


def _forbidden(turn: PlayTurn) -> set[str]:
    return {name for step in turn.steps if isinstance(step.no_call, list) for name in step.no_call}


def _go_together(one: Reply, two: Reply) -> bool:
    """Whether a text can meet both, each given for a text of its own."""
    if any(reply.max_words or reply.json_schema or reply.reward for reply in (one, two)) or {one.asks, two.asks} == {
        True,
        False,
    }:
        return False
    return _can_say(one, two) and _can_say(two, one)


def _can_say(wanted: Reply, other: Reply) -> bool:
    """Whether all that one reply wants mentioned can be said without breaking the other's rules."""
    return all(
        any(_allowed(str(word), other) for word in (item if isinstance(item, list) else [item]))
        for item in wanted.mentions
    )


def _allowed(word: str, reply: Reply) -> bool:
    banned = [str(word) for item in reply.not_mentions for word in (item if isinstance(item, list) else [item])]
    if any(text.casefold() in word.casefold() for text in banned):
        return False
    return reply.not_pattern is None or re.search(reply.not_pattern, word) is None
