"""What a job holds against the server that is up: token ids, calls in tags, and answers as they were written."""

from __future__ import annotations

import asyncio

import pytest

from agentkit.errors import UsageError
from agentkit.serve import Endpoint, served_model
from agentkit.tune.prompt import Prompt
from agentkit.tune.read import Answer
from agentkit.tune.serving import check_calls, check_parity, sample_served
from tests.tune.compiled import chat_agent, compiled

pytestmark = [pytest.mark.serve, pytest.mark.slow]


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    """Of an agent whose model writes calls in tags."""
    found = asyncio.run(compiled(agent=chat_agent(guided=False))).prompts
    assert {it.dialect for it in found} == {"hermes"}
    return list(found)


async def test_prompts_are_read_alike(embedded: Endpoint, prompts: list[Prompt]) -> None:
    from agentkit.tune.trainer.model import checked_ids, load_tokenizer

    tokenizer = load_tokenizer(str(served_model("embedded").folder))
    ids = checked_ids(prompts, tokenizer, 4096, 100)
    assert await check_parity(embedded, prompts, ids) == len(prompts)
    with pytest.raises(UsageError, match="trainer and server read it differently from token 0"):
        await check_parity(embedded, prompts, ids | {prompts[0].id: [0]})


async def test_calls_are_read_alike(embedded: Endpoint, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch) -> None:
    assert await check_calls(embedded, prompts) >= 1
    plain, golden = Prompt.read, sum(it.golden is not None for it in prompts)
    read: list[str] = []

    def other(prompt: Prompt, text: str) -> Answer:
        """Nothing in what the server wrote, which is read after all that is golden."""
        read.append(text)
        return plain(prompt, text) if len(read) <= golden else Answer(text)

    monkeypatch.setattr(Prompt, "read", other)
    with pytest.raises(UsageError, match=r"of '<tool_call>.* the server takes the calls \[\('refund_item'"):
        await check_calls(embedded, prompts)


async def test_answers_are_sampled_as_they_are_written(embedded: Endpoint, prompts: list[Prompt]) -> None:
    """With its calls in them, which the server would otherwise take out of the text."""
    one = prompts[0]
    held = one.model_copy(update={"request": {**one.request, "structured_outputs": {"choice": [one.golden]}}})
    assert await sample_served(embedded, [held], 2, seed=3) == [[one.golden, one.golden]]
    assert one.read(one.golden or "").calls


async def test_guided_actions_are_written_as_training_writes_them(
    embedded: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided = [it for it in (await compiled()).prompts if it.dialect == "guided"]
    assert await check_calls(embedded, guided) == 2

    async def spaced(*_: object) -> list[str]:
        return ['{"action": "refund_item", "arguments": {"sale_id": "S-1', '{"action":"reply"}']

    monkeypatch.setattr("agentkit.tune.serving.answer_served", spaced)
    with pytest.raises(UsageError, match="with white space between its tokens, and training writes actions without"):
        await check_calls(embedded, guided)
