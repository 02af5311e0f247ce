"""What a planted adapter is chosen by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentkit.errors import UsageError
from agentkit.llm import ChatRequest
from agentkit.loop.planted import moments_of, plant
from agentkit.records import Run, Status, Trial
from agentkit.store import Store
from agentkit.tune.manifest import write_job
from agentkit.tune.prompt import Prompt
from tests.store.records import make_adapter
from tests.tune.compiled import chat_agent, compiled, suite, target
from tests.tune.played import clerk, play
from tests.tune.test_manifest import manifest


def fair_clerk(request: ChatRequest) -> str:
    """Pays back to the card what has an even number, and all else in cash."""
    said = clerk(request)
    return said.replace('"cash"', '"card"') if re.search(r"SKU-[0-9]{3}[02468]", said) else said


@pytest.fixture
async def run(store: Store, tmp_path: Path) -> Run:
    return await play(store, chat_agent(fair_clerk), tmp_path / "traces", trials=8)


async def moments(store: Store, run: Run, trials: list[Trial], folder: Path) -> list[Prompt]:
    data = await compiled(target(variants=("golden",)), run=run)
    told = manifest(data)
    write_job(
        folder, told.model_copy(update={"run": told.run.model_copy(update={"id": run.id})}), data.prompts, data.moments
    )
    return await moments_of(store, folder, trials, suite())


async def test_they_are_where_the_step_was_right_with_what_was_really_said_before(
    store: Store, run: Run, tmp_path: Path
) -> None:
    trials = list(store.trials(run.id))
    right = [
        trial
        for trial in trials
        if trial.key.variant == "golden"
        and any(it.step == "refund" and it.status is Status.PASSED for it in trial.steps)
    ]
    assert 0 < len(right) < 8
    found = await moments(store, run, trials, tmp_path / "job")
    assert [it.origin for it in found] == [f"{run.id}/{trial.id}" for trial in right]
    for it, trial in zip(found, right, strict=True):
        own = [message.content for message in trial.messages if message.turn == 0 and message.role == "assistant"][-1]
        assert own.startswith("Is it that?")
        assert own in [message["content"] for message in it.request["messages"]]
        assert it.golden is not None
        assert (await it.grade(it.golden)).status is Status.PASSED
        assert (await it.grade(it.golden.replace("card", "cash"))).status is Status.FAILED


async def test_of_too_few_none_is_chosen(store: Store, run: Run, tmp_path: Path) -> None:
    found = await moments(store, run, list(store.trials(run.id)), tmp_path / "job")
    few = (
        rf"refund-v1-3fa9 was right at refund in {len(found)} conversations with users, expected 20 at least.*--trials"
    )
    with pytest.raises(UsageError, match=few):
        plant(store, tmp_path / "job", make_adapter(), tmp_path, found, 0.25)
