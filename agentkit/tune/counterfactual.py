"""What a completion leads to: the rest of its prompt's scenario is played on, and held against what the golden answer
leads to.

What counts is what the completion can change: the world at later steps, calls that the world then accepts or refuses,
and the outcome. What the golden agent says afterwards is right whatever came before, and is left out.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from agentkit.errors import RewardError, UsageError, WorldError
from agentkit.grade import RewardStep, use_sequel
from agentkit.play.conversation import Conversation, build_conversation
from agentkit.play.onward import Onward, Start, play_on, start_at
from agentkit.records import Message, Status, StepGrade, ToolCall
from agentkit.scenario import Check, Loaded, PlayTurn, Step, close_worlds, load
from agentkit.scenario.detours import Disturbed
from agentkit.tune.moment import GOLDEN_ORIGIN
from agentkit.tune.prompt import Prompt

Succeeded = frozenset[tuple[str, str]]
"""("step" or "outcome", id) of what succeeds after an answer."""


class Counterfactual:
    """Plays on from answers to prompts. The same calls at the same prompt are played once.

    It works in an event loop of its own, in which servers of tools live until `close`.
    """

    def __init__(self, prompts: Iterable[Prompt], scenarios: Callable[[], Iterable[Loaded]]) -> None:
        """`scenarios`: asked once, when the first answer is to be played on."""
        self._prompts = {prompt.id: prompt for prompt in prompts}
        self._scenarios = scenarios
        self._known: dict[str, Loaded] = {}
        self._conversation: Conversation | None = None
        self._starts: dict[str, asyncio.Task[Start]] = {}
        self._played: dict[Hashable, asyncio.Task[Succeeded]] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def share(self, step: RewardStep) -> float | None:
        """As `agentkit.grade.Sequel`. Raises RewardError where the prompt or its scenario is not there any more."""
        work = asyncio.run_coroutine_threadsafe(self._share(step), self._running())
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """End what was started for it."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._known = {loaded.id: loaded for loaded in self._scenarios()}
                self._conversation = build_conversation()
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_until_stopped, args=(self._loop,), name="counterfactual", daemon=True).start()
            return self._loop

    async def _share(self, step: RewardStep) -> float | None:
        prompt = self._prompts.get(step.name)
        if prompt is None:
            raise RewardError(f"{step.name!r} is no prompt of this training, so nobody knows what follows")
        if prompt.golden is None:
            return None
        golden = await self._succeeds(prompt, prompt.read(prompt.golden).calls)
        if not golden:
            return None
        return len(golden & await self._succeeds(prompt, step.calls)) / len(golden)

    async def _succeeds(self, prompt: Prompt, calls: Sequence[ToolCall]) -> Succeeded:
        """What succeeds after an answer that makes these calls; words change nothing in a world."""
        key = prompt.id, tuple((call.name, orjson.dumps(call.arguments, option=_SORTED), call.raw) for call in calls)
        if key not in self._played:
            self._played[key] = asyncio.create_task(self._play(prompt, calls))
        return await asyncio.shield(self._played[key])

    async def _play(self, prompt: Prompt, calls: Sequence[ToolCall]) -> Succeeded:
        if prompt.id not in self._starts:
            self._starts[prompt.id] = asyncio.create_task(self._start(prompt))
        start = await asyncio.shield(self._starts[prompt.id])
        assert self._conversation is not None, "it is running"
        move = Message("assistant", "" if calls else _SAID, prompt.turn, tool_calls=tuple(calls))
        return succeeded(prompt, start, await play_on(start, move, self._conversation))

    async def _start(self, prompt: Prompt) -> Start:
        """The prompt's moment: with the faults of its variant where it was recorded with them."""
        loaded = self._known.get(prompt.scenario)
        if loaded is None:
            raise RewardError(f"{prompt.id}: there is no scenario {prompt.scenario} to be played on")
        disturbed = loaded.disturbed(prompt.variant, prompt.instance)
        plain = Disturbed(disturbed.instance, disturbed.undisturbed)
        trouble = ""
        for world in (plain,) if prompt.origin == GOLDEN_ORIGIN else (disturbed, plain):
            try:
                start = await start_at(loaded, world, prompt.history, prompt.turn)
            except WorldError as error:
                trouble = trouble or str(error)
                continue
            if prompt.world is None or start.state == prompt.world:
                return start
            trouble = trouble or "its state is another"
        raise RewardError(
            f"{prompt.id}: the world before this answer is not what it was when the prompt was made: {trouble}; "
            "did the scenario change? Compile the job anew"
        )

    async def _end(self) -> None:
        await asyncio.gather(*self._starts.values(), *self._played.values(), return_exceptions=True)
        await close_worlds(self._known.values())


_SORTED = orjson.OPT_SORT_KEYS
_SAID = "Very well."
"""Stands for any answer in words."""


def _until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def succeeded(prompt: Prompt, start: Start, played: Onward) -> Succeeded:
    """What succeeds after the answer, of all that it can change."""
    instance = start.disturbed.instance
    steps = {step.id: place for place, turn in enumerate(instance.turns) for step in _following(turn, place, prompt)}
    said = played.messages[len(start.history) :]
    found = {
        ("step", grade.step)
        for grade in played.steps
        if steps.get(grade.step) == grade.turn and grade.status is Status.PASSED and not _refused(grade, start, said)
    }
    checks = {check.id for check in instance.outcome if _of_the_world(check)}
    found |= {("outcome", it.step) for it in played.outcome if it.step in checks and it.status is Status.PASSED}
    return frozenset(found)


def _following(turn: PlayTurn, place: int, prompt: Prompt) -> Iterator[Step]:
    """Steps of a turn that come after the prompt's own and look at the world, or ask it for something."""
    if place < prompt.turn:
        return
    ids = [step.id for step in turn.steps]
    first = ids.index(prompt.step) + 1 if place == prompt.turn else 0
    for number, step in enumerate(turn.steps):
        if step.id == prompt.step and place == prompt.turn:
            continue
        if step.state is not None or (step.call is not None and number >= first):
            yield step


def _refused(grade: StepGrade, start: Start, said: Sequence[Message]) -> bool:
    """Whether the world's last answer to the call that meets a step was an error."""
    assert grade.turn is not None, "a step of a turn"
    turn = start.disturbed.instance.turns[grade.turn]
    call = next(step.call for step in turn.steps if step.id == grade.step)
    if call is None:
        return False
    answers = [it for it in said if it.role == "tool" and it.turn == grade.turn and it.name == call.name]
    return bool(answers) and answers[-1].error is not None


def _of_the_world(check: Check) -> bool:
    return check.reply is None


@contextmanager
def playing_on(prompts: Iterable[Prompt], scenarios: Callable[[], Iterable[Loaded]]) -> Iterator[None]:
    """Rewards that are scored inside may ask what follows. Costs nothing where none does."""
    sequel = Counterfactual(prompts, scenarios)
    with use_sequel(sequel):
        try:
            yield
        finally:
            sequel.close()


def scenario_files(prompts: Iterable[Prompt], scenarios: Iterable[Loaded]) -> dict[str, str]:
    """File → hash of each scenario that prompts are of, so that another process can load the same."""
    used = {prompt.scenario for prompt in prompts}
    return {str(loaded.file.absolute()): loaded.hash for loaded in scenarios if loaded.id in used}


def same_scenarios(files: Mapping[str, str]) -> tuple[Loaded, ...]:
    """The scenarios of these files.

    Raises:
        UsageError: one cannot be loaded, or has another hash.
    """
    found = load([Path(file) for file in files]) if files else ()
    for loaded in found:
        if files.get(str(loaded.file.absolute())) != loaded.hash:
            raise UsageError(f"{loaded.file}: the scenario changed since the job was compiled; compile the job anew")
    return found
