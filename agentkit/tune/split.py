"""Train, validation and held-out data that share no instance, no conversation, no identifier, and not every wording.

Everything is drawn from seeds: an instance is its seed, and belongs to one split only. Where variables take few values,
two seeds may give one conversation; that, too, belongs to one split, and is held out once. A variable that takes many
values is *telling*: none of its values in a held-out or validation instance may stand in a training prompt. One that
takes few (an item of a short list) must repeat, and is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from agentkit.grade.text import folded
from agentkit.play.plan import instance_seed
from agentkit.scenario import Instance, Loaded
from agentkit.scenario.detours import parse_variant
from agentkit.scenario.filters import as_text
from agentkit.scenario.instance import DrawError
from agentkit.scenario.streams import derive
from agentkit.tune.prompt import Prompt, Split

_DRAWN = 400
"""Instances that are drawn to see how many values a variable takes."""
_TELLING = 0.8
"""Share of different values among them from which on a variable tells its instance: about a thousand values."""
_SHORTEST = 4
"""Letters and digits that a value needs to be an identifier; shorter ones stand everywhere by chance."""
_WORDINGS = 3
"""Of fewer wordings none is held out: training would see one only."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class HeldOut(Frozen):
    """A conversation that is played before and after, and of which training saw nothing."""

    scenario: str
    variant: str
    instance: int
    """Seed of the instance."""


class TurnWording(Frozen):
    """What became of the wordings of a turn whose step is trained."""

    scenario: str
    turn: str
    """The turn's id."""
    wordings: int
    held_out: int | None
    """Place, from 0, of the wording that only held-out conversations have; None where there are too few."""

    def __str__(self) -> str:
        if self.held_out is not None:
            return f"{self.scenario}: wording {self.held_out + 1} of turn {self.turn} is in held-out conversations only"
        count = "1 wording" if self.wordings == 1 else f"{self.wordings} wordings"
        return f"{self.scenario}: turn {self.turn} has {count}, too few to hold one out"


class Values(Frozen):
    """The variables of a scenario, by whether their values tell an instance."""

    scenario: str
    telling: tuple[str, ...]
    repeating: tuple[str, ...]
    """They take few values, which therefore repeat across splits."""

    def identifiers(self, variables: Mapping[str, Any]) -> frozenset[str]:
        """The texts of an instance that may stand in no other split."""
        texts = {text for name in self.telling for text in _leaves(variables.get(name))}
        return frozenset(text for text in texts if sum(map(str.isalnum, text)) >= _SHORTEST)


class Fresh:
    """Seeds of instances, each given once; those that are taken are not among them."""

    def __init__(self, seed: int, taken: Iterable[int]) -> None:
        self._seed = seed
        self._taken = set(taken)
        self._number = 0

    def __next__(self) -> int:
        while True:
            found = instance_seed(self._seed, self._number)
            self._number += 1
            if found not in self._taken:
                self._taken.add(found)
                return found

    def __iter__(self) -> Iterator[int]:
        return self


def values_of(loaded: Loaded, seed: int) -> Values:
    """Which of a scenario's variables tell an instance: found by drawing many. Deterministic by seed."""
    drawn: list[Mapping[str, Any]] = []
    for number in range(_DRAWN):
        try:
            drawn.append(loaded.plan.values(derive(seed, "values", str(number)) >> 16))
        except DrawError:  # an instance that cannot be drawn is none
            continue
    rows = loaded.plan.drawing.rows
    telling: list[str] = []
    repeating: list[str] = []
    for name in sorted({name for values in drawn for name in values}):
        of_rows = bool(rows) and name in rows[0]
        seen = [row.get(name) for row in rows] if of_rows else [values.get(name) for values in drawn]
        different = len({as_text(value) for value in seen})
        (telling if different > 1 and different >= _TELLING * len(seen) else repeating).append(name)
    return Values(scenario=loaded.id, telling=tuple(telling), repeating=tuple(repeating))


def turn_wording(loaded: Loaded, variant: str, turn: str, seed: int) -> TurnWording:
    """Which wording of a turn is held out, by the seed."""
    count = _wording(loaded, variant, turn, 0)[1]
    held_out = derive(seed, "held-out wording", loaded.id, turn) % count if count >= _WORDINGS else None
    return TurnWording(scenario=loaded.id, turn=turn, wordings=count, held_out=held_out)


def has_wording(loaded: Loaded, instance: Instance, turn: TurnWording) -> bool:
    """Whether an instance has the wording that is held out."""
    return turn.held_out == _wording(loaded, instance.variant, turn.turn, instance.seed)[0]


def _wording(loaded: Loaded, variant: str, turn: str, seed: int) -> tuple[int, int]:
    """Which wording the seed picks, and of how many; one where a detour of the catalogue brought the turn along."""
    try:
        return loaded.plan.wording(_base(loaded, variant), turn, seed)
    except KeyError:
        return 0, 1


def _base(loaded: Loaded, variant: str) -> str:
    return variant if variant in loaded.plan.variants else parse_variant(variant)[0]


def conversation_of(loaded: Loaded, variant: str, seed: int) -> bytes:
    """All of an instance that an agent can meet: what the user says, and the world, before detours of the catalogue
    disturb them. Equal for seeds that differ in nothing else, also between a scenario and one that pins it down."""
    instance = loaded.disturbed(variant, seed).undisturbed
    met = [[turn.user for turn in instance.turns], instance.world]
    return orjson.dumps(met, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def words_of(prompt: Prompt) -> str:
    """All that training reads of a prompt."""
    messages = [str(part) for message in prompt.request.get("messages", ()) for part in _leaves(message)]
    return "\n".join([*messages, prompt.golden or ""])


def found_in(identifiers: Iterable[str], texts: Iterable[str]) -> str | None:
    """The first identifier that stands in one of the texts, as part of a longer word too."""
    whole = "\n".join(texts)
    return next((it for it in sorted(identifiers) if it in whole), None)


def leaks(
    prompts: Sequence[Prompt],
    held_out: Sequence[HeldOut],
    scenarios: Mapping[str, Loaded],
    values: Sequence[Values],
    wordings: Sequence[TurnWording],
) -> list[str]:
    """What one split knows of another, in words; none where they are apart. Reads the finished prompts alone."""
    train = [prompt for prompt in prompts if prompt.split is Split.TRAIN]
    validation = [prompt for prompt in prompts if prompt.split is Split.VALIDATION]
    guards = [prompt for prompt in prompts if prompt.split is Split.GUARD]
    known = {it.scenario: it for it in values}
    found = list(_shared_instances(train, [*validation, *guards], held_out))
    train_texts = [words_of(prompt) for prompt in train]
    seen_texts = [*train_texts, *(words_of(prompt) for prompt in (*validation, *guards))]
    for prompt in validation:
        it = found_in(known[prompt.scenario].identifiers(prompt.variables), train_texts)
        found += [] if it is None else [f"{prompt.id} (validation): {it!r} stands in a training prompt"]
    for conversation in held_out:
        variables = scenarios[conversation.scenario].draw(conversation.variant, conversation.instance).variables
        it = found_in(known[conversation.scenario].identifiers(variables), seen_texts)
        name = f"{conversation.scenario}/{conversation.variant}@{conversation.instance}"
        found += [] if it is None else [f"{name} (held-out): {it!r} stands in a prompt"]
    found += _same_conversations(prompts, held_out, scenarios)
    for prompt in (*train, *validation, *guards):
        found += _held_words(prompt, scenarios[prompt.scenario], wordings)
    return found


def _shared_instances(
    train: Sequence[Prompt], validation: Sequence[Prompt], held_out: Sequence[HeldOut]
) -> Iterator[str]:
    sides = {
        "train": {prompt.instance for prompt in train},
        "validation and guards": {prompt.instance for prompt in validation},
        "held-out": {it.instance for it in held_out},
    }
    for one, other in combinations(sides, 2):
        if shared := sides[one] & sides[other]:
            yield f"instance {min(shared)} is in both {one} and {other}"


def _same_conversations(
    prompts: Sequence[Prompt], held_out: Sequence[HeldOut], scenarios: Mapping[str, Loaded]
) -> Iterator[str]:
    """Conversations of two splits, or held out twice, that differ in nothing but their seed."""

    def met(it: Prompt | HeldOut) -> bytes:
        return conversation_of(scenarios[it.scenario], it.variant, it.instance)

    train = {met(it): it.id for it in prompts if it.split is Split.TRAIN}
    for prompt in prompts:
        if prompt.split is Split.VALIDATION and (same := train.get(met(prompt))):
            yield f"{prompt.id} (validation): is the conversation of {same}, which is trained on"
    seen = {met(it): it.id for it in prompts}
    for it in held_out:
        name, own = f"{it.scenario}/{it.variant}@{it.instance}", met(it)
        if same := seen.get(own):
            yield f"{name} (held-out): is the conversation of {same}"
        seen[own] = f"{name}, which is held out too"


def _held_words(prompt: Prompt, loaded: Loaded, wordings: Sequence[TurnWording]) -> Iterator[str]:
    """Held-out wordings, filled in with the prompt's own values, that the prompt has after all."""
    said = [folded(message.content) for message in prompt.history if message.role == "user"]
    for turn in wordings:
        if turn.scenario == loaded.id and turn.held_out is not None:
            try:
                words = loaded.plan.worded(_base(loaded, prompt.variant), turn.turn, turn.held_out, prompt.variables)
            except KeyError:
                continue
            if any(folded(words) in text for text in said):
                yield f"{prompt.id} ({prompt.split}): has the wording of turn {turn.turn} that is held out"


def _leaves(value: Any) -> Iterator[str]:
    """Every single value of a structure, as text."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield as_text(value)
