"""General prompts: that right answers pass, wrong ones do not, and that both models are asked the same."""

from __future__ import annotations

import asyncio

import pytest

from agentkit.errors import ProviderError, UsageError
from agentkit.gate.proportions import tango
from agentkit.llm import ChatRequest, FakeChat
from agentkit.tune.general import GENERAL_PROMPTS, GeneralAnswer, ask, compare_general

RIGHT = {
    "add": "2 + 3 = 5.", "subtract": "The answer is six.", "multiply": "12", "compare": "70", "count": "1, 2, 3, 4, 5",
    "capital_france": "The capital of France is Paris.", "capital_japan": "Tokyo", "continent": "It is in Africa.",
    "planet": "We live on Earth.", "sky": "Blue.", "grass": "Grass is green", "opposite": "cold", "animal": "A cat.",
    "days": "There are seven days.", "after_monday": "Tuesday", "water": "Ice", "author": "William Shakespeare",
    "copy": "lantern", "translate": "It means 'thank you'.", "list": "Apples, bananas and oranges.",
}  # fmt: skip
TILL = 'I found the sale. {"tool": "refund_item", "arguments": {"sale_id": "S-12345", "sku": "SKU-2345"}}'


def test_there_are_about_twenty_with_ids_of_their_own():
    assert len(GENERAL_PROMPTS) == 20
    assert len({it.id for it in GENERAL_PROMPTS}) == 20
    assert set(RIGHT) == {it.id for it in GENERAL_PROMPTS}


@pytest.mark.parametrize("prompt", GENERAL_PROMPTS, ids=lambda it: it.id)
def test_a_right_answer_passes_and_what_a_till_says_does_not(prompt):
    assert prompt.passes(RIGHT[prompt.id])
    assert not prompt.passes(TILL)
    assert not prompt.passes("")
    assert not prompt.passes("I am not sure about that.")


def test_a_wrong_number_inside_of_another_is_not_right():
    by_id = {it.id: it for it in GENERAL_PROMPTS}
    assert not by_id["add"].passes("15")
    assert not by_id["compare"].passes("7 is larger than 70")


def test_every_prompt_is_asked_once_with_temperature_zero_and_answers_keep_their_order():
    seen: list[ChatRequest] = []

    async def answer(request: ChatRequest) -> str:
        seen.append(request)
        await asyncio.sleep(0.001 * (len(seen) % 3))
        return next(RIGHT[it.id] for it in GENERAL_PROMPTS if it.ask == request.messages[0].content)

    answers = asyncio.run(ask(FakeChat(answer)))
    assert [it.id for it in answers] == [it.id for it in GENERAL_PROMPTS]
    assert all(it.passed for it in answers)
    assert len(seen) == 20
    assert {request.temperature for request in seen} == {0.0}


def test_a_server_that_fails_is_no_wrong_answer():
    with pytest.raises(ProviderError, match="down"):
        asyncio.run(ask(FakeChat(lambda _: ProviderError("server", "down"))))


def answers(passed: str) -> list[GeneralAnswer]:
    return [GeneralAnswer(it.id, "", sign == "+") for it, sign in zip(GENERAL_PROMPTS, passed, strict=True)]


def test_the_difference_is_paired_and_names_what_was_lost():
    it = compare_general(answers("+" * 10 + "-" * 10), answers("-" * 4 + "+" * 7 + "-" * 9))
    found = it.compared.difference
    assert found.estimate == pytest.approx(-3 / 20)
    assert (found.low, found.high) == pytest.approx(tuple(map(float, tango(4, 1, 20))))
    assert found.p_value == pytest.approx(0.375)
    assert it.lost == ("add", "subtract", "multiply", "compare")
    assert it.gained == (GENERAL_PROMPTS[10].id,)
    assert (it.compared.before, it.compared.after) == (0.5, 0.35)


def test_answers_to_other_prompts_cannot_be_compared():
    with pytest.raises(UsageError, match="general prompts after: found 19 answers, expected one to each of the 20"):
        compare_general(answers("+" * 20), answers("+" * 20)[:-1])
    with pytest.raises(UsageError, match="found 0 answers"):
        compare_general([], [])
