"""Simulated users who talk to an agent through the router, and say what they think of it; for showing a whole turn.

What they say is not what the graders say that prove a promotion: they look at what the product shows them, the results
that the tools gave in a turn, beside what they would have been shown had all been done right. And they are wrong at
times.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from agentkit.config import ChatAgent, agent_settings
from agentkit.errors import AgentkitError
from agentkit.loop.play import Runs
from agentkit.play.forks.golden import golden_plays
from agentkit.records import Message, Trial, Verdict
from agentkit.scenario import Loaded

KEY = "AGENTKIT_LOOP_KEY"
"""Environment variable that holds the users' key."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one user thinks of one conversation."""

    response: str
    """Id of its last answer."""
    conversation: str
    """As the agent named it to the router."""
    whole: bool
    steps: Mapping[str, bool]
    """Step that called a tool → whether the product showed what it should."""


@dataclass(frozen=True, slots=True)
class SimulatedUsers:
    """They take the variants of a suite in turn, each with values of its own."""

    runs: Runs
    agent: str
    url: str
    """Of the router; ends in `/v1`."""
    wrong: float = 0.1
    """Share of their thumbs that are the wrong way round."""
    user: str | None = "templated"
    concurrency: int = 16

    def talk(self, trials: int, seed: int) -> list[Trial]:
        """`trials` conversations of each variant, each judged once it is over."""
        scenarios = self.runs.scenarios()
        settings = self.runs.settings(
            f"{self.agent} in production",
            self._through_the_router(),
            scenarios,
            detours="none",
            trials=trials,
            seed=seed,
            user=self.user,
            concurrency=self.concurrency,
        )
        run = self.runs.play(settings)
        played = [it for it in self.runs.store.trials(run.id) if it.verdict is not Verdict.INVALID]
        opinions = asyncio.run(opinions_of(played, scenarios))
        self._judge(opinions, random.Random(f"thumbs/{seed}"))
        return played

    def _through_the_router(self) -> ChatAgent:
        settings = agent_settings(self.agent, self.runs.config)
        assert isinstance(settings, ChatAgent)
        here = {"engine": None, "adapters": (), "base_url": self.url, "model": self.agent, "api_key_env": KEY}
        return settings.model_copy(update=here)

    def _judge(self, opinions: Sequence[Opinion], draw: random.Random) -> None:
        headers = {"Authorization": f"Bearer {os.environ[KEY]}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=30.0, trust_env=False) as client:
            for body in _thumbs(opinions, self.wrong, draw):
                answer = client.post("/feedback", json=body)
                if not answer.is_success:
                    raise AgentkitError(f"the router refused feedback: {answer.status_code} {answer.text[:300]}")


def _thumbs(opinions: Sequence[Opinion], wrong: float, draw: random.Random) -> Iterator[dict[str, Any]]:
    """One for the whole conversation, by which a canary is judged, then one for each step."""

    def thumb(good: bool) -> str:
        return "up" if good is (draw.random() >= wrong) else "down"

    for it in opinions:
        yield {"response": it.response, "thumb": thumb(it.whole)}
        for step, good in it.steps.items():
            yield {"conversation": it.conversation, "step": step, "thumb": thumb(good)}


async def opinions_of(trials: Sequence[Trial], scenarios: Sequence[Loaded]) -> list[Opinion]:
    """What users think of played conversations, by the results that tools gave."""
    known = {it.id: it for it in scenarios}
    found = []
    async with golden_plays(scenarios) as plays:
        for trial in trials:
            loaded = known[trial.key.scenario]
            golden = await plays.of(loaded, trial.key.variant, trial.key.instance)
            if opinion := _opinion(trial, loaded, golden.messages):
                found.append(opinion)
    return found


def _opinion(trial: Trial, loaded: Loaded, golden: Sequence[Message]) -> Opinion | None:
    """None where no answer came through the router."""
    answers = [it.call.response_id for it in trial.messages if it.call is not None and it.call.response_id]
    if not answers:
        return None
    steps: dict[str, bool] = {}
    instance = loaded.draw(trial.key.variant, trial.key.instance)
    for index, turn in enumerate(instance.turns):
        calls = [step.id for step in turn.steps if step.call is not None]
        wanted, shown = results(golden, index), results(trial.messages, index)
        for step, result in zip(calls, wanted, strict=False):
            steps[step] = result in shown and len(shown) == len(wanted)
    return Opinion(answers[-1], trial.conversation_id, all(steps.values()), steps)


def results(messages: Sequence[Message], turn: int) -> list[str]:
    """What the tools gave in a turn."""
    return [it.content for it in messages if it.turn == turn and it.role == "tool"]
