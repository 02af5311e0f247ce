"""The model inside the process, and answers kept by content."""

import subprocess
import sys
from dataclasses import replace

import pytest

from agentkit.llm import CachedChat, ChatModel, ChatRequest, ChatResponse, FakeChat
from agentkit.llm.cache import cache_key
from agentkit.records import Message, ModelCall, ToolCall, Usage

ASK = ChatRequest([Message("user", "Is it polite?")], temperature=0.0)
CALL = ToolCall("a", "look_up", {"sale": 4})


@pytest.mark.parametrize(
    ("answer", "content", "calls"),
    [("Hi", "Hi", ()), (CALL, "", (CALL,)), ([CALL, CALL], "", (CALL, CALL)), ([], "", ())],
)
async def test_a_fake_answers_what_its_function_returns(answer, content, calls):
    async def later(request):
        return answer

    for function in (lambda request: answer, later):
        model: ChatModel = FakeChat(function)
        response = await model.complete(ASK)
        assert (response.content, response.tool_calls) == (content, calls)
        assert response.call == ModelCall("fake", cost=0.0)
        await model.close()


async def test_a_fake_sees_the_request_and_may_answer_a_whole_response_or_raise():
    whole = ChatResponse("x", ModelCall("m", Usage(1, 2), 0.5), reasoning="hm")
    assert await FakeChat(lambda _: whole).complete(ASK) is whole
    echo = FakeChat(lambda request: request.messages[-1].content, name="echo")
    assert (await echo.complete(ASK)).content == "Is it polite?"
    with pytest.raises(TimeoutError, match="late"):
        await FakeChat(lambda _: TimeoutError("late")).complete(ASK)


class Shelf(dict[str, str]):
    """A cache that is a dictionary."""

    def put(self, key: str, value: str) -> None:
        self[key] = value


async def test_what_was_asked_once_is_not_asked_again():
    asked = []

    def answer(request):
        asked.append(request)
        call = ModelCall("m", Usage(9, 9), 0.5, latency=2.0, finish_reason="stop", response_id="r1")
        return ChatResponse("yes", call, (CALL, ToolCall("b", "f", None, "{")), reasoning="hm")

    model = CachedChat(FakeChat(answer, name="judge"), Shelf(), keep=lambda response: True)
    first = await model.complete(ASK)
    again = await model.complete(replace(ASK, traceparent="00-a-b-01"))
    assert len(asked) == 1
    assert (again.content, again.tool_calls, again.reasoning) == ("yes", first.tool_calls, "hm")
    assert again.call == ModelCall("m", cost=0.0, attempts=0, finish_reason="stop", response_id="r1")
    await model.complete(replace(ASK, temperature=0.5))
    assert len(asked) == 2
    assert (model.name, model.provider) == ("judge", "fake")
    await model.close()


async def test_what_cannot_be_used_is_not_kept():
    answers = iter(["nonsense", "yes"])
    shelf = Shelf()
    model = CachedChat(FakeChat(lambda _: next(answers)), shelf, keep=lambda response: response.content == "yes")
    assert (await model.complete(ASK)).content == "nonsense"
    assert not shelf
    assert (await model.complete(ASK)).content == "yes"
    assert (await model.complete(ASK)).content == "yes"


async def test_a_failure_is_not_kept():
    answers = iter([TimeoutError("late"), "yes"])
    model = CachedChat(FakeChat(lambda _: next(answers)), Shelf(), keep=lambda response: True)
    with pytest.raises(TimeoutError):
        await model.complete(ASK)
    assert (await model.complete(ASK)).content == "yes"


def test_a_key_is_the_content_whatever_the_order():
    one, two = FakeChat(lambda _: "", name="one"), FakeChat(lambda _: "", name="two")
    key = cache_key(ASK, one)
    assert len(key) == 64
    body = {"a": 1, "b": {"c": 2, "d": 3}}
    turned = {"b": {"d": 3, "c": 2}, "a": 1}
    assert cache_key(replace(ASK, extra_body=body), one) == cache_key(replace(ASK, extra_body=turned), one)
    other_turn = [replace(ASK.messages[0], turn=5, span_id="0" * 16)]
    assert cache_key(replace(ASK, messages=other_turn), one) == key
    different = [
        cache_key(ASK, two),
        cache_key(replace(ASK, seed=1), one),
        cache_key(replace(ASK, messages=[Message("system", "Is it polite?")]), one),
        cache_key(replace(ASK, extra_body=body), one),
    ]
    assert len({key, *different}) == 5


def test_the_package_is_light():
    heavy = "httpx", "tenacity", "pydantic", "anyio"
    code = f"import sys, agentkit.llm; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
