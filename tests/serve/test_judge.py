"""The judge against a real model: whatever so small a model answers, a verdict rests on what was really said."""

from __future__ import annotations

import pytest

from agentkit.errors import JudgeError
from agentkit.grade import Judge
from agentkit.llm.openai import OpenAIChat
from agentkit.records import Message
from agentkit.serve import Endpoint

pytestmark = pytest.mark.serve

CONVERSATION = (
    Message("user", "Hello, can you look up my sale?"),
    Message("assistant", "Of course, with pleasure. Which number stands on the receipt?"),
)
RUBRICS = ("Is the answer polite?", "Does the answer ask for the number?", "Does the answer recite a poem?")


async def test_a_real_judge_gives_a_verdict_with_evidence_or_none(
    embedded: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", embedded.api_key)
    model = OpenAIChat(embedded.base_url, embedded.model, api_key_env="JUDGE_KEY", provider="vllm")
    judge = Judge(model)
    said = " ".join(message.content for message in CONVERSATION).casefold()
    refused = ""
    for rubric in RUBRICS:
        try:
            verdict = await judge.verdict(rubric, CONVERSATION)
        except JudgeError as error:
            refused = str(error)
        else:
            assert verdict.quotation.casefold().strip() in said
    await model.close()
    assert "could not be asked" not in refused
