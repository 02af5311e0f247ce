"""From a run's failures at a step to frozen prompts for training and validation, and conversations that are held out.

Recorded failures come first, each with all that the agent really said before; then as many fresh instances as are
wanted, with what an agent that does everything right would have said before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import Field

from agentkit.config import ChatAgent as ChatSettings
from agentkit.errors import AgentkitError, UsageError
from agentkit.llm import ChatModel, ChatRequest, ChatResponse, Prices
from agentkit.llm.budget import Budget
from agentkit.play.agents import build_agent
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.conversation import build_conversation
from agentkit.play.forks.golden import Histories
from agentkit.records import Run, Status, Trial
from agentkit.scenario import Instance, Loaded, NoPlaceError, close_worlds
from agentkit.tune.guards import Guarded, guarded_steps
from agentkit.tune.moment import Due, NoPrompt, golden_due, place_of, prompt_of
from agentkit.tune.prompt import Prompt, Split
from agentkit.tune.recorded import Recorded, recorded, recorded_due
from agentkit.tune.split import (
    Fresh,
    Frozen,
    HeldOut,
    TurnWording,
    Values,
    conversation_of,
    found_in,
    has_wording,
    leaks,
    turn_wording,
    values_of,
    words_of,
)
from agentkit.tune.target import Target, TargetStep, chat_settings

_TRIES = 40
"""Fresh instances of a variant that may fail in a row before it is given up."""
_GUARD_TRIES = 3
_SHOWN = 3


class CompileSettings(Frozen):
    """How much data is made, and from which seed."""

    train: Annotated[int, Field(gt=0)] = 16
    """Training prompts at most, all different, for all phases together: one with new values counts as another."""
    recorded: Annotated[int, Field(ge=0)] | None = None
    """Of these, recorded failures at most; None: as many as there are."""
    validation: Annotated[int, Field(gt=0)] = 16
    """Prompts that say which update is kept."""
    guards: Annotated[int, Field(ge=0)] = 12
    """Prompts of other steps, which the run did right, at most: they say what a training costs them."""
    held_out: Annotated[int, Field(gt=0)] = 120
    """Conversations that prove the step, over all variants together, each an instance of its own."""
    moments: Annotated[int, Field(ge=0)] = 100
    """Of these, so many at most whose step is asked for by itself once the training is over, before whole conversations
    are played: one answer each, what came before being right."""
    seed: int = 0
    """Of the instances that are drawn."""


@dataclass(frozen=True, slots=True)
class Below:
    """What the adapters on top of which is trained have seen already."""

    instances: frozenset[int] = frozenset()
    """Seeds of those that they were trained or chosen on."""
    wordings: tuple[TurnWording, ...] = ()
    """What was held out from them, which stays so."""
    unknown: tuple[str, ...] = ()
    """Adapters of which it cannot be told any more, and why, in words."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The data of a job."""

    target: Target
    prompts: tuple[Prompt, ...]
    """Training first, then validation, then guards."""
    held_out: tuple[HeldOut, ...]
    moments: tuple[Prompt, ...]
    """Where the target's steps are due in conversations that are held out."""
    wordings: tuple[TurnWording, ...]
    values: tuple[Values, ...]
    left_out: Mapping[str, int]
    """Why moments gave no prompt → how many."""
    unknown: tuple[str, ...] = ()
    """As `Below` has it."""


@dataclass(frozen=True, slots=True)
class _Never:
    """The model of an agent that only says what it would ask."""

    name: str
    provider: str = "openai"

    async def complete(self, request: ChatRequest) -> ChatResponse:
        raise AgentkitError(f"{self.name} is not there to be asked: requests are only written down here")

    async def close(self) -> None:
        return None


def silent_agent(run: Run) -> ChatAgent:
    """The run's agent, able to say what it would ask its model, and nothing else. Raises UsageError as
    `chat_settings`."""

    def model(user: str, endpoint: Any) -> ChatModel:
        return _Never(endpoint.model or user)

    settings: ChatSettings = chat_settings(run)
    agent = build_agent(
        run.agent, settings, tools={}, policy="", chat_model=model, budget=Budget(), prices=Prices.load({})
    )
    assert isinstance(agent, ChatAgent)
    return agent


async def compile_prompts(
    target: Target,
    run: Run,
    trials: Iterable[Trial],
    scenarios: Sequence[Loaded],
    agent: ChatAgent,
    settings: CompileSettings,
    below: Below | None = None,
) -> Compiled:
    """The data of a job for `target`, none of them what is `below`. Equal arguments give equal data.

    Raises:
        UsageError: no prompt can be made, or not enough instances are different enough; says why.
    """
    compiler = _Compiler(target, run, list(trials), scenarios, agent, settings, below or Below())
    try:
        return await compiler.compiled()
    finally:
        await compiler.close()


class _Compiler:
    """One compilation under way."""

    def __init__(
        self,
        target: Target,
        run: Run,
        trials: Sequence[Trial],
        scenarios: Sequence[Loaded],
        agent: ChatAgent,
        settings: CompileSettings,
        below: Below,
    ) -> None:
        self._target = target
        self._trials = trials
        self._agent = agent
        self._settings = settings
        self._below = below
        self._all = {it.id: it for it in scenarios}
        self._known = {it.id: it for it in scenarios if it.id in {step.scenario for step in target.steps}}
        self._histories = Histories(build_conversation())
        self._fresh = Fresh(settings.seed, below.instances.union(trial.key.instance for trial in trials))
        self._values = {it.id: values_of(it, settings.seed) for it in self._known.values()}
        self._wordings: dict[tuple[str, str], TurnWording] = {}
        self._prompts: list[Prompt] = []
        self._requests: set[bytes] = set()
        self._texts: list[str] = []
        self._conversations: set[bytes] = set()
        """Of prompts, and of what is held out."""
        self._left_out: Counter[str] = Counter()

    async def compiled(self) -> Compiled:
        settings = self._settings
        await self._recorded(min(settings.train, settings.train if settings.recorded is None else settings.recorded))
        await self._golden(Split.TRAIN, settings.train)
        await self._golden(Split.VALIDATION, settings.validation)
        await self._guards(settings.guards)
        held_out = self._held_out()
        moments = await self._moments(held_out[: settings.moments])
        wordings, values = tuple(self._wordings.values()), tuple(self._values.values())
        if found := leaks(self._prompts, held_out, self._all, values, wordings):
            raise AgentkitError(f"the splits are not apart, which is a defect here: {'; '.join(found[:_SHOWN])}")
        left_out, unknown = dict(self._left_out), self._below.unknown
        return Compiled(self._target, tuple(self._prompts), held_out, moments, wordings, values, left_out, unknown)

    async def close(self) -> None:
        await self._histories.close()
        await close_worlds(self._all.values())

    async def _recorded(self, wanted: int) -> None:
        """The run's own failures, every variant in turn."""
        for failure in _in_turns(recorded(self._trials, self._target.steps, Status.FAILED)):
            if len(self._prompts) == wanted:
                return
            try:
                await self._add(await self._failed(failure), Split.TRAIN)
            except (NoPrompt, NoPlaceError) as reason:
                self._left_out[f"recorded failure: {reason}"] += 1

    async def _failed(self, failure: Recorded) -> Due:
        loaded = self._known[failure.step.scenario]
        instance = loaded.draw(failure.step.variant, failure.trial.key.instance)
        self._check_wording(loaded, failure.step, instance)
        history = await self._histories.of(loaded, failure.step.variant, failure.trial.key.instance)
        return await recorded_due(failure, loaded, history.messages)

    async def _golden(self, split: Split, wanted: int) -> None:
        """Fresh instances until there are enough, each of the variant that has the fewest prompts so far."""
        made = Counter(_cell(it) for it in self._prompts if it.split is split)
        vain: Counter[str] = Counter()
        while made.total() < wanted:
            able = [step for step in self._target.steps if vain[step.id] < _TRIES]
            if not able:
                raise UsageError(self._too_few(f"{made.total()} of {wanted} prompts for {split} could be made"))
            step = min(able, key=lambda it: (made[it.id], it.id))
            try:
                await self._add(await self._played(step, next(self._fresh), split), split)
            except (NoPrompt, NoPlaceError) as reason:
                self._left_out[f"fresh instance: {reason}"] += 1
                vain[step.id] += 1
            else:
                made[step.id] += 1
                vain[step.id] = 0

    async def _guards(self, wanted: int) -> None:
        """Other steps that the run did right, each at a fresh instance, in turns until there are enough."""
        steps = guarded_steps(self._trials, self._target)
        made: Counter[Guarded] = Counter()
        vain: Counter[Guarded] = Counter()
        while made.total() < wanted and (able := [it for it in steps if vain[it] < _GUARD_TRIES]):
            it = min(able, key=lambda it: made[it])
            try:
                await self._add(await self._guard(it, next(self._fresh)), Split.GUARD)
            except (NoPrompt, NoPlaceError, UsageError) as reason:
                self._left_out[f"guard: {reason}"] += 1
                vain[it] += 1
            else:
                made[it] += 1

    async def _guard(self, it: Guarded, at: int) -> Due:
        if it.scenario not in self._all:
            raise NoPrompt("its scenario is not there any more")
        loaded = self._all[it.scenario]
        instance = loaded.draw(it.variant, at)
        if any(has_wording(loaded, instance, turn) for turn in self._wordings.values() if turn.scenario == loaded.id):
            raise NoPrompt("it has a wording that is held out")
        history = await self._histories.of(loaded, it.variant, at)
        return golden_due(loaded, instance, it.step, history.messages)

    async def _played(self, step: TargetStep, at: int, split: Split) -> Due:
        """The step's moment in a golden play of a fresh instance."""
        loaded = self._known[step.scenario]
        instance = loaded.draw(step.variant, at)
        self._check_wording(loaded, step, instance)
        if split is not Split.TRAIN:
            self._check_apart(loaded, instance)
        return await self._due(step, instance)

    async def _due(self, step: TargetStep, instance: Instance) -> Due:
        loaded = self._known[step.scenario]
        history = await self._histories.of(loaded, step.variant, instance.seed)
        if wrong := history.wrong_before(place_of(instance, step.step)[0]):
            raise NoPrompt(wrong)
        return golden_due(loaded, instance, step.step, history.messages)

    async def _add(self, due: Due, split: Split) -> None:
        prompt = await prompt_of(due, self._agent, split, self._settings.seed)
        request = orjson.dumps({**prompt.request, "seed": None}, option=orjson.OPT_SORT_KEYS)
        if request in self._requests:
            raise NoPrompt("the same request is there already")
        self._requests.add(request)
        self._prompts.append(prompt)
        self._texts.append(words_of(prompt))
        self._conversations.add(conversation_of(due.loaded, prompt.variant, prompt.instance))

    def _held_out(self) -> tuple[HeldOut, ...]:
        """Conversations of instances that share nothing with any prompt, every variant in turn."""
        found: list[HeldOut] = []
        cells = sorted({(it.scenario, it.variant) for it in self._target.steps})
        vain: Counter[tuple[str, str]] = Counter()
        while len(found) < self._settings.held_out:
            able = [cell for cell in cells if vain[cell] < _TRIES]
            if not able:
                raise UsageError(self._too_few(f"{len(found)} of {self._settings.held_out} conversations to hold out"))
            held = Counter((it.scenario, it.variant) for it in found)
            scenario, variant = cell = min(able, key=lambda it: (held[it], it))
            loaded, at = self._known[scenario], next(self._fresh)
            try:
                self._check_apart(loaded, loaded.draw(variant, at))
            except (NoPrompt, NoPlaceError) as reason:
                self._left_out[f"held-out instance: {reason}"] += 1
                vain[cell] += 1
            else:
                found.append(HeldOut(scenario=scenario, variant=variant, instance=at))
                self._conversations.add(conversation_of(loaded, variant, at))
                vain[cell] = 0
        return tuple(found)

    async def _moments(self, held_out: Sequence[HeldOut]) -> tuple[Prompt, ...]:
        """The target's steps in conversations that are held out; they share nothing with any prompt, as these do."""
        found: list[Prompt] = []
        for it in held_out:
            for step in self._target.steps:
                if (step.scenario, step.variant) != (it.scenario, it.variant):
                    continue
                instance = self._known[it.scenario].draw(it.variant, it.instance)
                try:
                    due = await self._due(step, instance)
                    found.append(await prompt_of(due, self._agent, Split.HELD_OUT, self._settings.seed))
                except (NoPrompt, NoPlaceError) as reason:
                    self._left_out[f"held-out moment: {reason}"] += 1
        return tuple(found)

    def _check_wording(self, loaded: Loaded, step: TargetStep, instance: Instance) -> None:
        turn = instance.turns[place_of(instance, step.step)[0]].id
        if (loaded.id, turn) not in self._wordings:
            self._wordings[loaded.id, turn] = self._turn_wording(loaded, step.variant, turn)
        if has_wording(loaded, instance, self._wordings[loaded.id, turn]):
            raise NoPrompt(f"turn {turn} has the wording that is held out")

    def _turn_wording(self, loaded: Loaded, variant: str, turn: str) -> TurnWording:
        """The wording that was held out from what is below; where that is none, one by the seed."""
        drawn = turn_wording(loaded, variant, turn, self._settings.seed)
        same = (it for it in self._below.wordings if it.model_copy(update={"held_out": drawn.held_out}) == drawn)
        return next(same, drawn)

    def _check_apart(self, loaded: Loaded, instance: Instance) -> None:
        """Whether nothing of an instance stands in what was made before."""
        if conversation_of(loaded, instance.variant, instance.seed) in self._conversations:
            raise NoPrompt("another seed gave the same conversation: its variables take too few values")
        if found_in(self._values[loaded.id].identifiers(instance.variables), self._texts) is not None:
            raise NoPrompt("one of its identifiers stands in another split's prompt")

    def _too_few(self, what: str) -> str:
        reasons = "; ".join(f"{reason} ({count} times)" for reason, count in self._left_out.most_common(_SHOWN))
        return f"{self._target.name}: {what}: {reasons}"


def _cell(prompt: Prompt) -> str:
    return f"{prompt.scenario}/{prompt.variant}#{prompt.step}"


def _in_turns(found: Sequence[Recorded]) -> Iterator[Recorded]:
    """The first of every variant, then the second of every variant, and so on."""
    seen: Counter[str] = Counter()
    ranked: list[tuple[int, int, Recorded]] = []
    for place, failure in enumerate(found):
        ranked.append((seen[failure.step.id], place, failure))
        seen[failure.step.id] += 1
    yield from (failure for _, _, failure in sorted(ranked, key=lambda it: it[:2]))
