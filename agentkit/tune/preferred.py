"""What is preferred to what at a job's training prompts: by people who judged production, and by the golden answers of
recorded failures. Rows for DPO and KTO; and a check of the rewards, which must not prefer what people judged worse."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.collect.labels.rows import Judgement, judgements
from agentkit.grade import Rubric
from agentkit.records import Run
from agentkit.store import Store
from agentkit.tune.audit import Finding
from agentkit.tune.exchange import Pair, Thumb, preferences_of, recorded_pairs, thumbs_of
from agentkit.tune.feedback_rows import rows_of
from agentkit.tune.preflight import Preferences
from agentkit.tune.prompt import Prompt, Split
from agentkit.tune.reward_checks import RewardCheck, cases_of, check_rewards
from agentkit.tune.target import Target

ENOUGH = 8
"""People's pairs, or thumbs of each kind, from which on a job learns from them without being told to."""


@dataclass(frozen=True, slots=True)
class Preferred:
    """Rows at the job's own training prompts."""

    pairs: tuple[Pair, ...]
    """People's."""
    thumbs: tuple[Thumb, ...]
    """People's."""
    recorded: tuple[Pair, ...]
    """The golden answer of each recorded failure beside what the agent answered."""

    def counted(self, method: str | None) -> Preferences:
        """What the preflight may choose by. Recorded failures count where `method` asks for preferences: every job has
        them, and golden answers teach more than they do."""
        if method in ("dpo", "kto"):
            pairs = [*self.pairs, *self.recorded]
            return preferences_of(pairs, [*self.thumbs, *thumbs_of(self.recorded)])
        liked = sum(it.label for it in self.thumbs)
        enough = min(liked, len(self.thumbs) - liked) >= ENOUGH
        return preferences_of(self.pairs if len(self.pairs) >= ENOUGH else (), self.thumbs if enough else ())

    def rows(self, method: str) -> Sequence[Any]:
        """What `dpo` or `kto` trains on; nothing for another method."""
        if method == "kto":
            return [*self.thumbs, *thumbs_of(self.recorded)]
        return [*self.pairs, *self.recorded] if method == "dpo" else []


def preferred(store: Store, run: Run, target: Target, prompts: Sequence[Prompt]) -> Preferred:
    """All that is known at the training prompts among `prompts`; what is known elsewhere is none to learn from."""
    asked = [prompt for prompt in prompts if prompt.split is Split.TRAIN]
    said = rows_of(_judged(store, run, target), asked)
    recorded = asyncio.run(recorded_pairs(asked, store.trials(run.id)))
    return Preferred(said.pairs, said.thumbs, tuple(recorded))


def against_people(
    store: Store, run: Run, target: Target, prompts: Sequence[Prompt], rubric: Rubric
) -> tuple[RewardCheck | None, tuple[Finding, ...]]:
    """How the rewards order what people judged at the target's steps in production, and what is wrong with that.

    They stop a training where they are shown to prefer the worse answer more often than the better one: where the
    interval of the share that they order rightly ends below a half.
    """
    cases = cases_of(_judged(store, run, target), prompts)
    if not cases:
        return None, ()
    found = asyncio.run(check_rewards(rubric, cases))
    if not found.misordered:
        return found, ()
    _, _, high = found.share
    return found, (
        Finding(
            "against_people",
            f"of {found.n} pairs of answers that people judged in production, {found.ordered} are in their order, "
            f"{found.tied} get the same, and in {len(found.misordered)} the worse one gets more",
            str(found.misordered[0]),
            "read those answers (agentkit label rewards), and mend the rewards or the labels",
            stops=high < 0.5,
        ),
    )


def _judged(store: Store, run: Run, target: Target) -> list[Judgement]:
    agent = run.agent.partition("+")[0]
    said = store.feedback()
    steps = sorted({it.step for it in target.steps}) if said else []
    return [it for step in steps for it in judgements(store.exchanges(agent=agent, step=step), said)]
