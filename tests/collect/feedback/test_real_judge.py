"""A real model as the judge of captured answers: whatever it is worth, what it says is recorded as it is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.collect.feedback.judges import judge_sample
from agentkit.config import LabelSettings
from agentkit.grade import Judge
from agentkit.llm.openai import OpenAIChat
from agentkit.records import FeedbackKind, Source
from agentkit.serve import Endpoint
from agentkit.store import Store
from tests.collect.feedback.talks import exchange

pytestmark = pytest.mark.serve


async def test_a_small_model_judges_or_says_nothing_that_counts(
    embedded: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ("Your refund of 20 dollars is on its way.", "Bananas are yellow.")
    captured = [
        exchange(f"r{n}", f"c{n}", "refund", minute=n, asked="Refund me 20 dollars.",
                 response={"role": "assistant", "content": answer})
        for n, answer in enumerate(answers)
    ]  # fmt: skip
    monkeypatch.setenv("JUDGE_KEY", embedded.api_key)
    model = OpenAIChat(embedded.base_url, embedded.model, api_key_env="JUDGE_KEY", provider="vllm")
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.add_exchanges(captured)
        settings = LabelSettings(judge_votes=2)
        found = await judge_sample(store, Judge(model, store), 1.0, None, settings=settings)
        again = await judge_sample(store, Judge(model, store), 1.0, None, settings=settings)
        said = store.feedback(source=Source.JUDGE)
    await model.close()
    assert (found.asked, found.unreached, again.asked) == (2, 0, 0)
    assert found.right + found.wrong + found.undecided == 2
    for it in said:
        assert it.by == embedded.model
        assert it.text
        assert (it.value is None) == (it.kind is FeedbackKind.COMMENT)
