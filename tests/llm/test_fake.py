"""The model inside the process, and how little it takes to import it."""

import subprocess
import sys

import pytest

from agentkit.llm import ChatModel, ChatRequest, ChatResponse, FakeChat
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


def test_the_package_is_light():
    heavy = "httpx", "tenacity", "pydantic", "anyio"
    code = f"import sys, agentkit.llm; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
