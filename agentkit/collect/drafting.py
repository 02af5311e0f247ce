"""From a conversation to the document of a scenario, with the steps that a person is to confirm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from agentkit.collect.feedback.blame import BAD_BELOW
from agentkit.collect.transcript import Said, SaidTurn, said, turns
from agentkit.collect.variables import Variables
from agentkit.records import Feedback, FeedbackKind, Source

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,50}")
_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:\.\d+)?(?![\w-])(?!\.\d)")
_MENTIONS = 3
"""Of one reply; what a draft proposes is short enough to be judged at a glance."""
_TITLE = 60


class NoDraftError(Exception):
    """A conversation that gives no scenario; the message says why."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A scenario as proposed."""

    document: dict[str, Any]
    is_bad: bool
    """Whether somebody judged a part of the conversation bad: then this is a regression test."""
    to_confirm: tuple[str, ...]
    """What a person has to look at, in words."""


def draft_of(
    messages: Sequence[Said], judged: Sequence[Feedback], schemas: Mapping[str, Any], *, recorded: bool
) -> Drafted:
    """The scenario that a conversation proposes: its golden path is what was said, up to the first move that somebody
    judged bad; that move is replaced by the correction, where there is one.

    `schemas`: tool → JSON Schema of its arguments. `recorded`: the tools of the world answer from the record.

    Raises:
        NoDraftError: nothing in it can be held against an agent.
    """
    whole = turns(messages)
    if not whole:
        raise NoDraftError("no user speaks in it")
    kept, notes, is_bad = _corrected(whole, judged)
    variables = Variables(kept, schemas)
    names = _Names()
    written = [_turn(place, turn, variables, names) for place, turn in enumerate(kept, start=1)]
    if not any(turn["steps"] for turn in written):
        raise NoDraftError("it was judged bad at once, and nobody said what would have been right: label it first")
    document: dict[str, Any] = {"title": _title(kept[0].user), "tags": ["draft", *(["regression"] if is_bad else [])]}
    if variables.names:
        document["variables"] = variables.generators()
    if recorded:
        document["world"] = {"answers": _answers(kept, variables)}
    document["turns"] = written
    document["outcome"] = [_outcome(written, kept, variables, recorded=recorded)]
    return Drafted(document, is_bad, tuple(notes))


def is_bad(it: Feedback) -> bool:
    """Whether a judgement says that something was wrong."""
    if it.kind is FeedbackKind.CORRECTION:
        return True
    return it.kind in (FeedbackKind.THUMB, FeedbackKind.SCORE) and it.value is not None and it.value < BAD_BELOW


def _corrected(whole: Sequence[SaidTurn], judged: Sequence[Feedback]) -> tuple[list[SaidTurn], list[str], bool]:
    """The turns up to the first bad move, with the right one in its place; what is to be confirmed; is any bad?"""
    bad = [it for it in judged if is_bad(it)]
    notes = [f"the conversation as a whole was judged bad by {_judge(it)}" for it in bad if it.response is None]
    responses = {it.response for it in bad if it.response is not None}
    for place, turn in enumerate(whole):
        for number, move in enumerate(turn.moves):
            if move.response is None or move.response not in responses:
                continue
            of_move = [it for it in bad if it.response == move.response]
            right = _correction(of_move)
            notes += [f"turn_{place + 1}: the {number + 1}. move was judged bad by {_judge(it)}" for it in of_move]
            notes.append(
                f"turn_{place + 1}: "
                + ("the correction stands in its place" if right else "nobody said what would be right: add the step")
            )
            moves = (*turn.moves[:number], *([right] if right else []))
            return [*whole[:place], SaidTurn(turn.user, moves, turn.answers)], notes, True
    return list(whole), notes, bool(bad)


def _correction(bad: Sequence[Feedback]) -> Said | None:
    """The newest correction; an expert's before any other."""
    found = [it for it in bad if it.kind is FeedbackKind.CORRECTION and it.answer is not None]
    found.sort(key=lambda it: (it.source is Source.EXPERT, it.at))
    return said(found[-1].answer or {}, "assistant") if found else None


def _judge(it: Feedback) -> str:
    why = " ".join(it.text.split())[:200]
    return f"{it.source.value} {it.by}" + (f": {why}" if why else "")


def _turn(place: int, turn: SaidTurn, variables: Variables, names: _Names) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for move in turn.moves:
        skill = {"skill": move.step} if _NAME.fullmatch(move.step) else {}
        for call in move.calls:
            if call.arguments is None or not call.name:
                continue
            arguments = {name: _matcher(variables.filled(value)) for name, value in call.arguments.items()}
            wanted = {"name": call.name, "arguments": arguments}
            steps.append({"id": names.unique(f"t{place}_{call.name}"), **skill, "call": wanted})
    last = turn.moves[-1] if turn.moves else None
    reply = _reply(last, turn, variables) if last is not None and not last.calls else {}
    if reply and last is not None:
        skill = {"skill": last.step} if _NAME.fullmatch(last.step) else {}
        steps.append({"id": names.unique(f"t{place}_reply"), **skill, "reply": reply})
    if turn.moves and not steps:
        steps.append({"id": names.unique(f"t{place}_no_call"), "no_call": "any"})
    return {"id": f"turn_{place}", "user": variables.filled(turn.user), "steps": steps}


def _reply(move: Said, turn: SaidTurn, variables: Variables) -> dict[str, Any]:
    """What of an answer can be held against another: what it names, and whether it asks."""
    heard = set(map(float, _NUMBER.findall(" ".join(turn.answers.values()))))
    told = [it for it in map(float, _NUMBER.findall(move.text)) if it in heard]
    values: list[Any] = [*variables.of_text(move.text), *dict.fromkeys(told)]
    mentions = [int(it) if isinstance(it, float) and it.is_integer() else it for it in values][:_MENTIONS]
    found: dict[str, Any] = {"mentions": mentions} if mentions else {}
    if move.text.rstrip().endswith("?"):
        found["asks"] = True
    return {**found, "golden": variables.filled(move.text)} if found else {}


def _outcome(
    written: Sequence[Mapping[str, Any]], kept: Sequence[SaidTurn], variables: Variables, *, recorded: bool
) -> dict[str, Any]:
    replies = [step["reply"] for turn in written for step in turn["steps"] if "reply" in step]
    mentions = [it for reply in replies for it in reply.get("mentions", ())]
    if mentions:
        return {"id": "told", "reply": {"mentions": list(dict.fromkeys(mentions))[-_MENTIONS:]}}
    answers = _answers(kept, variables)
    if recorded and answers:
        return {"id": "found_out", "results": [_matcher(answers[-1]["answer"])]}
    return {"id": "answered", "reply": {"pattern": r"\S"}}


def _answers(kept: Sequence[SaidTurn], variables: Variables) -> list[dict[str, Any]]:
    """What the tools answered in the moves that are kept."""
    return [
        {
            "tool": call.name,
            "arguments": variables.filled(call.arguments),
            "answer": variables.filled(_parsed(turn.answers[call.id])),
        }
        for turn in kept
        for move in turn.moves
        for call in move.calls
        if call.arguments is not None and call.id in turn.answers
    ]


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _matcher(value: Any) -> Any:
    return {"equals": value} if isinstance(value, dict) or value is None else value


def _title(text: str) -> str:
    words = " ".join(text.split())
    return words if 0 < len(words) <= _TITLE else f"{words[: _TITLE - 1].rstrip()}…"


class _Names:
    """Ids of steps: `t1_find`, and `t1_find_2` for the second of that name."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def unique(self, name: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)[:56]
        count = self._seen[plain] = self._seen.get(plain, 0) + 1
        return plain if count == 1 else f"{plain}_{count}"
