"""What a job's model does before and after: the step by itself, and whole conversations; recorded once, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from agentkit.config import Config
from agentkit.errors import UsageError
from agentkit.play.session import recorded_settings
from agentkit.records import Run, Status
from agentkit.scenario import Loaded
from agentkit.serve import Endpoint
from agentkit.store import Store
from agentkit.tune.job_folder import JobFolder
from agentkit.tune.manifest import Manifest, read_moments
from agentkit.tune.paired import Compared, compare_answers
from agentkit.tune.prompt import Prompt
from agentkit.tune.rest import rest_of
from agentkit.tune.serving import Hall, answer_served, play_settings, with_adapter
from agentkit.tune.settings import JobSettings
from agentkit.tune.split import HeldOut

Answers = Sequence[Mapping[str, Any]]
"""At each held-out moment: `conversation`, `prompt`, `text`, `right` and the grader's `reason`."""


@dataclass(frozen=True, slots=True)
class Plays:
    """Of one job."""

    files: JobFolder
    store: Store
    scenarios: Sequence[Loaded]
    config: Config
    settings: JobSettings
    run: Run
    """Whose agent plays."""
    tell: Callable[[str], None]
    timed: Callable[[str], AbstractContextManager[None]]

    def held_out(self, manifest: Manifest) -> tuple[HeldOut, ...]:
        """All conversations that are played: the step's own, then those of other variants."""
        return (*manifest.held_out, *rest_of(manifest, self.scenarios, self.settings.rest))

    def by_itself(self, served: Endpoint, name: str, manifest: Manifest) -> None:
        """One answer at the step in held-out conversations, given a right history; none where the job wants none."""
        moments = read_moments(self.files.path, manifest)
        if moments and not self.files.has(f"{name}.json"):
            with self.timed("moments"):
                self.files.write(f"{name}.json", asyncio.run(_answered(served, moments)))

    def whole(self, served: Endpoint, name: str, manifest: Manifest, adapter: str | None = None) -> None:
        """Held-out conversations from beginning to end, and the general prompts; by the run's agent as it was where no
        adapter is named."""
        if self.files.has(f"{name}.json"):
            return
        told = recorded_settings(self.run, self.config)
        held_out = self.held_out(manifest)
        agent, playing = told.agent, told.agent_settings
        if adapter is not None:
            agent, playing = with_adapter(agent, playing, adapter)
        settings = play_settings(self.run, agent, playing, held_out, self.settings.concurrency)
        hall = Hall(
            self.store,
            self.scenarios,
            self.config.model_copy(update={"adapters": self.settings.adapters}),
            served,
            traces=self.files.path / "traces",
            concurrency=self.settings.concurrency,
            tell=self.tell,
        )
        begun = self.files.read_if_there(f"{name}.run.json")

        def opened(run: Run) -> None:
            self.files.write(f"{name}.run.json", run.id)

        with self.timed("conversations"):
            run = hall.play(settings, held_out, begun, opened)
            general = hall.general(settings)
        self.files.write(f"{name}.json", {"run": run.id, "general": [asdict(it) for it in general]})


async def _answered(served: Endpoint, moments: Sequence[Prompt]) -> list[Mapping[str, Any]]:
    texts = await answer_served(served, moments)
    grades = [await prompt.grade(text) for prompt, text in zip(moments, texts, strict=True)]
    return [
        {
            "conversation": f"{prompt.scenario}/{prompt.variant}@{prompt.instance}",
            "prompt": prompt.id,
            "text": text,
            "right": grade.status is Status.PASSED,
            "reason": grade.reason,
        }
        for prompt, text, grade in zip(moments, texts, grades, strict=True)
    ]


def compare_by_itself(step: str, before: Answers, after: Answers) -> Compared:
    """The step given a right history, by conversation: right where all of the target's steps in it are.

    Raises UsageError where the answers are not to the same prompts.
    """
    if [it["prompt"] for it in before] != [it["prompt"] for it in after]:
        raise UsageError(f"step {step}: the answers before and after are not to the same prompts; was the job changed?")
    sides = []
    for answers in (before, after):
        right: dict[str, bool] = {}
        for it in answers:
            right[it["conversation"]] = right.get(it["conversation"], True) and it["right"]
        sides.append(list(right.values()))
    return compare_answers(f"step {step} given a right history", *sides)
