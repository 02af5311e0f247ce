"""Detours at work: a world whose tools misbehave, and model faults planted below the retries of the agent's calls."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from agentkit.errors import WorldError
from agentkit.llm.planted import Exchange, planted
from agentkit.records import Message, ToolSpec
from agentkit.scenario import ToolResult, World
from agentkit.scenario.detours import ModelFault, Occasion, Strike, ToolFault
from agentkit.scenario.world import describe_exception


class FaultyWorld:
    """A world whose tools misbehave as `faults` say; `seed` is the instance's.

    Of several faults that strike a call the first one that finds something to disturb does. How often each call was
    made is part of its snapshot, so that a fork meets the faults that the trial would have met. A fault that itself
    fails ends the trial as a server's failure would, and is told as `trouble`.
    """

    def __init__(self, world: World, faults: Sequence[ToolFault], seed: int, beginning: bytes) -> None:
        self._world = world
        self._seed = seed
        self._beginning = beginning
        self._faults = [(fault, fault.targets(world.tools)) for fault in faults]
        self._made: Counter[str] = Counter()
        self.trouble = ""
        """In words, how a fault itself failed; '' while none did."""
        self._alone = asyncio.Lock() if any(fault.rewinds for fault in faults) else nullcontext()

    @property
    def tools(self) -> Mapping[str, ToolSpec]:
        return self._world.tools

    async def call(self, name: str, arguments: Mapping[str, Any] | None) -> ToolResult:
        occasion = Occasion.of(name, arguments, self._world.tools)
        signature = occasion.signature
        occasion = replace(occasion, nth=self._made[signature])
        self._made[signature] += 1
        struck = [fault for fault, targets in self._faults if name in targets and fault.strikes(self._seed, occasion)]
        async with self._alone:
            return await self._answered(occasion, arguments, struck)

    async def _answered(
        self, occasion: Occasion, arguments: Mapping[str, Any] | None, struck: Sequence[ToolFault]
    ) -> ToolResult:
        own: list[ToolResult] = []

        async def answer() -> ToolResult:
            if not own:
                own.append(await self._world.call(occasion.tool, arguments))
            return own[0]

        for fault in struck:
            rng = fault.random(self._seed, occasion.signature)
            strike = Strike(occasion, arguments, self._world, self._beginning, rng, answer)
            try:
                disturbed = await fault.disturb(strike)
            except WorldError:
                raise
            except Exception as error:
                what = f"{fault.id} could not disturb a call of {occasion.tool}: {describe_exception(error)}"
                self.trouble = self.trouble or what
                raise WorldError(what) from error
            if disturbed is not None:
                return replace(disturbed, planted=fault.id)
        result = await answer()
        if not struck:
            return result
        self._made[occasion.signature] -= 1  # there was nothing to disturb: the occasion is still to come
        return replace(result, original=result.content)

    def normalized(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return self._world.normalized(name, arguments)

    async def state(self) -> Any:
        return await self._world.state()

    async def snapshot(self) -> bytes:
        return pickle.dumps((self._made, await self._world.snapshot()), protocol=pickle.HIGHEST_PROTOCOL)

    async def restore(self, snapshot: bytes) -> None:
        self._made, inner = pickle.loads(snapshot)
        await self._world.restore(inner)

    async def close(self) -> None:
        await self._world.close()


class ModelFaults:
    """Which of the agent's model calls are struck in one move; `first` is how many the trial has seen before."""

    def __init__(self, faults: Sequence[ModelFault], seed: int, first: int) -> None:
        self._faults = faults
        self._seed = seed
        self._next = first
        self._first = first
        self._struck: dict[int, ModelFault] = {}

    @classmethod
    def of(cls, faults: Sequence[ModelFault], seed: int, messages: Sequence[Message]) -> ModelFaults:
        """For the move that follows these messages."""
        left = [fault for fault in faults if not fault.spent(messages)]
        return cls(left, seed, sum(_ours(message) for message in messages))

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Plant them for the model calls of this context."""
        token = planted.set(self._exchange)
        try:
            yield
        finally:
            planted.reset(token)

    def marked(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The messages of the move, those of a struck call marked as such where they show it."""
        marked, nth = [], self._first
        for message in messages:
            if _ours(message):
                fault = self._struck.get(nth)
                nth += 1
                if fault is not None and fault.shows(message):
                    message = replace(message, planted=fault.id)
            marked.append(message)
        return tuple(marked)

    def _exchange(self) -> Exchange | None:
        nth, self._next = self._next, self._next + 1
        fault = next((fault for fault in self._faults if fault.strikes(self._seed, nth)), None)
        if fault is None:
            return None
        self._struck[nth] = fault
        return partial(_answer, fault, fault.random(self._seed, str(nth)))


async def _answer(fault: ModelFault, rng: Any, request: Any, send: Any, attempt: int) -> Any:
    return await fault.exchange(request, send, attempt, rng)


def _ours(message: Message) -> bool:
    """Whether our own client asked for it, so that a fault could be planted."""
    return message.call is not None and message.call.failures is not None
