"""How a trial ends, and whose fault it is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import pytest

from agentkit.config import Limits, Sampling
from agentkit.errors import ProviderError
from agentkit.llm import Budget, ChatRequest, FakeChat
from agentkit.llm.lost import lost_time, tell_lost
from agentkit.llm.openai import OpenAIChat
from agentkit.llm.throttle import Clock, Throttle
from agentkit.play.agent import Moment
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.agents.function import FunctionAgent
from agentkit.play.time_limit import TimeLimit
from agentkit.play.trouble import TimeLimitReached, agent_trouble
from agentkit.play.user import Cue, User, UserFault, UserStopped, speak
from agentkit.records import Message, ModelCall, Party, Status, Stop, ToolCall, Usage, Verdict
from tests.llm.conftest import Server
from tests.play.conftest import Play


def agent(function: Any) -> FunctionAgent:
    return FunctionAgent("f", function)


async def polite(moment: Moment) -> str:
    return "Hello, which one?"


async def test_a_function_that_answers_but_does_nothing_fails(play: Play) -> None:
    _, (trial,) = await play(agent(polite))
    assert (trial.verdict, trial.stop, trial.fault) == (Verdict.FAILURE, Stop.COMPLETED, Party.AGENT)
    assert [g.status for g in trial.steps] == [Status.FAILED] * 4 + [Status.PASSED]


async def test_a_function_that_calls_tools_by_itself(play: Play) -> None:
    async def act(moment: Moment) -> str:
        order = str(moment.messages[0].content.split()[-1].rstrip("?"))
        name = "ship" if moment.turn == 1 else "look_up"
        result = await moment.call_tool(ToolCall(f"c{moment.turn}", name, {"order_id": order}))
        return f"shipped: {result.content}, anything else?"

    _, (trial,) = await play(agent(act))
    assert trial.verdict is Verdict.SUCCESS
    assert {g.step: g.status for g in trial.steps}["ship"] is Status.PASSED
    calls = [m for m in trial.messages if m.role == "tool"]
    assert [m.name for m in calls] == ["look_up", "ship", "look_up"]
    assert all(m.span_id for m in calls)


async def test_in_the_record_of_a_turn_each_call_has_an_id_of_its_own(play: Play) -> None:
    async def act(moment: Moment) -> Any:
        if moment.messages[-1].role == "tool":
            return "Anything else?"
        order = moment.messages[0].content.split()[-1].rstrip("?")
        looks = (moment.call_tool(ToolCall("c", "look_up", {"order_id": order})) for _ in range(2))
        await asyncio.gather(*looks)
        return Message("assistant", "", tool_calls=(ToolCall("c", "explode", {}), ToolCall("c", "explode", {})))

    _, (trial,) = await play(agent(act))
    for turn in range(3):
        own = [message for message in trial.messages if message.turn == turn]
        asked = [call.id for message in own for call in message.tool_calls]
        assert sorted(asked) == ["c", "c#2", "c#3", "c#4"]
        assert [message.tool_call_id for message in own if message.role == "tool"] == asked


async def test_a_tools_exception_is_the_agents_problem(play: Play) -> None:
    async def act(moment: Moment) -> Any:
        if moment.messages[-1].role == "user":
            return Message("assistant", "", tool_calls=(ToolCall(f"c{moment.turn}", "explode", {}),))
        return moment.messages[-1].content

    _, (trial,) = await play(agent(act))
    assert trial.verdict is Verdict.FAILURE
    tools = [m for m in trial.messages if m.role == "tool"]
    assert len(tools) == 3
    assert all(m.error and "the till is on fire" in m.content for m in tools)


async def test_an_agent_that_raises_failed(play: Play) -> None:
    async def act(moment: Moment) -> str:
        raise KeyError("oops")

    _, (trial,) = await play(agent(act))
    assert (trial.verdict, trial.stop, trial.fault) == (Verdict.FAILURE, Stop.AGENT_ERROR, Party.AGENT)
    assert "KeyError" in trial.reason
    statuses = {g.step: g.status for g in trial.steps}
    assert statuses["look_up"] is Status.FAILED
    assert statuses["ship"] is Status.NOT_REACHED


@pytest.mark.parametrize("end", [Stop.AGENT_ERROR, Stop.TIME_LIMIT])
async def test_what_an_agent_did_before_it_was_cut_off_is_recorded(play: Play, end: Stop) -> None:
    async def act(moment: Moment) -> str:
        order = moment.messages[0].content.split()[-1].rstrip("?")
        for name in ("look_up", "ship"):
            await moment.call_tool(ToolCall(name, name, {"order_id": order}))
        if end is Stop.TIME_LIMIT:
            await asyncio.sleep(30)
        raise KeyError("oops")

    _, (trial,) = await play(agent(act), limits=Limits(seconds=0.3))
    assert (trial.verdict, trial.stop) == (Verdict.FAILURE, end)
    assert [m.role for m in trial.messages] == ["user", *("assistant", "tool") * 2]
    assert [c.name for m in trial.messages for c in m.tool_calls] == ["look_up", "ship"]
    assert {g.step: g.status for g in trial.steps}["look_up"] is Status.PASSED
    assert [g.status for g in trial.outcome] == [Status.PASSED]
    assert trial.model_calls == 1


@pytest.mark.parametrize("error", [ProviderError("server", "503"), ConnectionResetError("gone"), TimeoutError("slow")])
async def test_a_provider_that_fails_makes_the_trial_invalid(play: Play, error: Exception) -> None:
    async def act(moment: Moment) -> str:
        if moment.turn == 1:
            raise error
        return "hello"

    _, (trial,) = await play(agent(act))
    assert (trial.verdict, trial.stop, trial.fault) == (Verdict.INVALID, Stop.INVALID, Party.INFRASTRUCTURE)


class Throttled(Exception):
    """As botocore raises it."""

    response: ClassVar = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 429}}


class Refused(Exception):
    """As many client libraries raise it."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


WAIT = "Too many tokens, please wait before trying again."
TOO_LONG = "This model's maximum context length is 8192 tokens, however you requested 9000"


@pytest.mark.parametrize(
    ("error", "stop"),
    [
        (ProviderError("rate_limit", f"HTTP 429: {WAIT}"), Stop.INVALID),
        (ProviderError("rate_limit", f"HTTP 429: {TOO_LONG}"), Stop.INVALID),
        (ProviderError("rejected", f"HTTP 400: {TOO_LONG}"), Stop.TOKEN_LIMIT),
        (ProviderError("rejected", "HTTP 404: no such model"), Stop.INVALID),
        (Throttled(WAIT), Stop.INVALID),
        (Refused(429, WAIT), Stop.INVALID),
        (Refused(503, TOO_LONG), Stop.INVALID),
        (Refused(400, TOO_LONG), Stop.TOKEN_LIMIT),
        (Refused(400, "too many tokens: total number of tokens in the prompt cannot exceed 4081"), Stop.TOKEN_LIMIT),
        (Refused(400, "no such model"), Stop.AGENT_ERROR),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_trouble_that_may_pass_is_no_prompt_that_is_too_long(error: Exception, stop: Stop, wrapped: bool) -> None:
    raised: Exception = error
    if wrapped:
        raised = RuntimeError(f"the model failed: {error}")
        raised.__cause__ = error
    assert agent_trouble(raised)[0] is stop


def told_by_a_user(error: Exception) -> str:
    class Talker:
        name = "talker"

        async def say(self, cue: Any) -> Message:
            raise error

    with pytest.raises(UserStopped) as stopped:
        asyncio.run(speak(cast(User, Talker()), cast(Cue, None)))
    return str(stopped.value)


@pytest.mark.parametrize("before", range(400, 500, 9))
@pytest.mark.parametrize(
    "told",
    [
        lambda text: agent_trouble(RuntimeError(text))[1],
        lambda text: told_by_a_user(UserFault(text)),
        lambda text: told_by_a_user(ProviderError("rejected", text)),
    ],
)
def test_a_secret_across_the_end_of_a_reason_is_taken_out(told: Callable[[str], str], before: int) -> None:
    reason = told(f"{'x' * before} sk-proj-abcdefghijklmnop and more{' words' * 20}")
    assert len(reason) == 500
    assert "sk-" not in reason


async def test_a_provider_s_limit_on_tokens_is_not_the_agent_s(play: Play) -> None:
    ahead = Ahead()
    async with Server.listening() as server:
        server.script = [Server.error(429, WAIT)]
        player = hosted(server, ahead)
        _, (trial,) = await play(player)
        await player.close()
    assert (trial.verdict, trial.stop, trial.fault) == (Verdict.INVALID, Stop.INVALID, Party.INFRASTRUCTURE)
    assert WAIT in trial.reason


async def test_nobody_knows_what_a_function_costs(play: Play) -> None:
    async def act(moment: Moment) -> str:
        await moment.call_tool(ToolCall("c", "explode", {}))
        return "Hello?"

    budget = Budget()
    run, (trial,) = await play(FunctionAgent("f", act, budget=budget), budget=budget)
    assert (trial.model_calls, trial.cost) == (3, None)
    assert [m.call.model for m in trial.messages if m.call] == ["f"] * 3
    assert all(m.content == "Hello?" for m in trial.messages if m.call)
    assert (run.spent["calls"], run.spent["unpriced"]) == (3, 3)


async def test_a_function_may_tell_what_its_model_calls_cost(play: Play) -> None:
    async def act(moment: Moment) -> Message:
        return Message("assistant", "Hello?", call=ModelCall("m", Usage(40, 20), cost=0.5))

    budget = Budget()
    run, (trial,) = await play(FunctionAgent("f", act, budget=budget), budget=budget)
    assert (trial.model_calls, trial.cost) == (3, 1.5)
    assert (run.spent["cost"], run.spent["unpriced"]) == (1.5, 0)


async def test_an_agent_that_never_answers_hits_its_turn_limit(play: Play) -> None:
    async def act(moment: Moment) -> Message:
        return Message("assistant", "", tool_calls=(ToolCall(f"c{len(moment.messages)}", "explode", {}),))

    _, (trial,) = await play(agent(act), limits=Limits(moves_per_turn=3))
    assert (trial.verdict, trial.stop) == (Verdict.FAILURE, Stop.TURN_LIMIT)
    assert sum(m.role == "assistant" for m in trial.messages) == 3


async def test_the_time_limit(play: Play) -> None:
    async def act(moment: Moment) -> str:
        await asyncio.sleep(30)
        return ""

    _, (trial,) = await play(agent(act), limits=Limits(seconds=0.05))
    assert (trial.verdict, trial.stop, trial.fault) == (Verdict.FAILURE, Stop.TIME_LIMIT, Party.AGENT)


@dataclass
class Ahead:
    """The running event loop's clock, put forward by what is slept through it."""

    seconds: float = 0.0

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        loop.time = lambda: real() + self.seconds  # type: ignore[method-assign]

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0.01)  # in which the loop ends whatever is overdue

    @property
    def clock(self) -> Clock:
        return Clock(asyncio.get_running_loop().time, sleep=self.sleep)


def hosted(server: Server, ahead: Ahead) -> ChatAgent:
    """An agent whose model is asked over HTTP."""
    model = OpenAIChat(server.url, "tiny", clock=ahead.clock, throttle=Throttle(ahead.clock))
    return ChatAgent("hosted", model, Sampling(temperature=0))


SLOW_DOWN = Server.error(429, "slow down", "retry-after: 100")


async def test_the_time_limit_is_not_used_up_by_a_providers_trouble(play: Play) -> None:
    ahead = Ahead()
    async with Server.listening() as server:
        server.script = [SLOW_DOWN, SLOW_DOWN, server.answer()]
        player = hosted(server, ahead)
        _, (trial,) = await play(player, limits=Limits(seconds=60))
        await player.close()
    assert trial.stop is Stop.COMPLETED
    assert [m.call.attempts for m in trial.messages if m.call] == [3, 1, 1]
    assert ahead.seconds == 200
    assert lost_time.get() is None


async def test_an_agent_that_is_slow_after_a_providers_trouble_hits_its_time_limit(play: Play) -> None:
    ahead = Ahead()

    async def late(writer: asyncio.StreamWriter) -> None:
        await ahead.sleep(40)
        await server.answer()(writer)

    async with Server.listening() as server:
        server.script = [SLOW_DOWN, late]
        player = hosted(server, ahead)
        _, (trial,) = await play(player, limits=Limits(seconds=60))
        await player.close()
    assert (trial.verdict, trial.stop, trial.fault) == (Verdict.FAILURE, Stop.TIME_LIMIT, Party.AGENT)
    assert "more than 60 s" in trial.reason
    assert [m.call.attempts for m in trial.messages if m.call] == [2]


async def test_what_one_trial_loses_is_not_given_to_another(play: Play) -> None:
    ahead = Ahead()
    stuck: list[str] = []
    other_moved = asyncio.Event()

    async def act(moment: Moment) -> Any:
        if not stuck:
            stuck.append(moment.conversation_id)
            await other_moved.wait()  # which took 100 s
            return "Hello?"
        new = await player.act(moment)
        other_moved.set()
        return new

    async with Server.listening() as server:
        server.script = [SLOW_DOWN, server.answer()]
        player = hosted(server, ahead)
        _, trials = await play(agent(act), trials=2, limits=Limits(seconds=60))
        await player.close()
    stops = {trial.conversation_id in stuck: trial.stop for trial in trials}
    assert stops == {True: Stop.TIME_LIMIT, False: Stop.COMPLETED}


async def test_the_time_limit_runs_only_while_the_agent_moves() -> None:
    ahead, limit = Ahead(), TimeLimit(60)
    for _ in range(2):
        async with limit.running():
            await ahead.sleep(25)
        await ahead.sleep(1000)
    with pytest.raises(TimeLimitReached):
        async with limit.running():
            await ahead.sleep(25)
    async with TimeLimit(None).running():
        await ahead.sleep(1e9)


async def test_a_timeout_of_the_agents_own_is_not_its_time_limit() -> None:
    with pytest.raises(TimeoutError, match="mine"):
        async with TimeLimit(60).running():
            raise TimeoutError("mine")


async def test_what_a_task_loses_after_its_move_is_given_to_nobody() -> None:
    ahead, limit = Ahead(), TimeLimit(60)
    over = asyncio.Event()

    async def stray() -> None:
        await over.wait()
        tell_lost(1000)

    async with limit.running():
        task = asyncio.create_task(stray())
    over.set()
    await task
    with pytest.raises(TimeLimitReached):
        async with limit.running():
            await ahead.sleep(61)


async def test_the_token_limit(play: Play) -> None:
    async def act(moment: Moment) -> Message:
        return Message("assistant", "hi", call=ModelCall("m", Usage(400, 200)))

    _, (trial,) = await play(agent(act), limits=Limits(tokens=1000))
    assert (trial.verdict, trial.stop) == (Verdict.FAILURE, Stop.TOKEN_LIMIT)
    assert trial.usage.total == 1200


async def test_an_answer_that_is_none_is_the_agents_fault(play: Play) -> None:
    async def act(moment: Moment) -> Any:
        return 42

    _, (trial,) = await play(agent(act))
    assert trial.stop is Stop.AGENT_ERROR
    assert "expected a text" in trial.reason


def chat(answer: Any, budget: Budget | None = None) -> ChatAgent:
    return ChatAgent("chat", FakeChat(answer, budget=budget), Sampling(temperature=0), system="Be kind.")


async def test_a_chat_model_gets_policy_tools_and_history(play: Play) -> None:
    seen: list[ChatRequest] = []

    def answer(request: ChatRequest) -> Any:
        seen.append(request)
        if request.messages[-1].role == "user":
            return ToolCall("c", "look_up", {"order_id": "A-0000"})
        return "No such order. Another?"

    _, (trial,) = await play(chat(answer))
    assert trial.model_calls == 6
    assert [m.role for m in seen[1].messages] == ["system", "user", "assistant", "tool"]
    assert seen[0].messages[0].content == "Be kind."
    assert {tool.name for tool in seen[0].tools} == {"look_up", "ship", "explode"}
    assert seen[0].traceparent is not None
    assert trial.trace_id is not None
    assert trial.trace_id in seen[0].traceparent
    assert all(m.span_id for m in trial.messages if m.role != "user")


async def test_a_hard_limit_stops_the_run_and_abandons_the_open_trial(play: Play) -> None:
    budget = Budget(max_calls=7)
    run, trials = await play(chat(lambda request: "hello?", budget), trials=10, budget=budget, concurrency=1)
    assert run.status == "stopped"
    assert len(trials) == 2
    assert run.spent["calls"] == 7
