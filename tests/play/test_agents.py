"""Agents of every kind, played for real: a LangGraph graph, an HTTP endpoint, a guided model."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from agentkit import config
from agentkit.config import Limits, Sampling
from agentkit.errors import ConfigError
from agentkit.llm import Budget, ChatRequest, FakeChat, Prices
from agentkit.play.agents import build_agent
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.agents.guided import guided_messages, read_guided, response_format
from agentkit.play.agents.http import HttpAgent
from agentkit.records import Effect, Message, Party, Status, Stop, ToolCall, ToolSpec, Verdict
from agentkit.scenario import Loaded
from agentkit.scenario.detours import ToolFault
from agentkit.scenario.detours.tool import TOOL_FAULTS
from agentkit.scenario.detours.tool.altered import Stale
from agentkit.scenario.detours.tool.slow import Slow
from tests.llm.conftest import Server, Time
from tests.play.conftest import Play


def built(settings: Any, shop: tuple[Loaded, ...], budget: Budget | None = None) -> Any:
    world = shop[0].suite.world
    assert world is not None
    return build_agent(
        "a",
        settings,
        tools=world.tools,
        policy="Be kind.",
        chat_model=lambda user, endpoint: FakeChat(lambda request: "hello"),
        budget=budget or Budget(),
        prices=Prices.load({"rules-1": {"input": 1.0, "output": 2.0}}),
    )


def graph(name: str = "build", **more: Any) -> config.GraphAgent:
    return config.GraphAgent(kind="langgraph", graph=f"tests.play.graphs:{name}", **more)


async def test_a_langgraph_graph_acts_on_the_trials_world(play: Play, shop: tuple[Loaded, ...]) -> None:
    budget = Budget()
    run, trials = await play(built(graph(), shop, budget), trials=4, budget=budget)
    assert {trial.verdict for trial in trials} == {Verdict.SUCCESS}
    for trial in trials:
        assert {grade.status for grade in trial.steps} == {Status.PASSED}
        assert [m.role for m in trial.messages if m.turn == 0] == ["user", "assistant", "tool", "assistant"]
        assert trial.model_calls == 5
        assert trial.usage.total == 75
        assert trial.cost == pytest.approx((50 * 1.0 + 25 * 2.0) / 1e6)
        assert all(m.span_id for m in trial.messages if m.role != "user")
    assert run.spent["calls"] == 20


@pytest.mark.parametrize("name", ["build", "synchronous", "forgiving"])
async def test_a_graph_obeys_the_hard_limit_on_calls(play: Play, shop: tuple[Loaded, ...], name: str) -> None:
    budget = Budget(max_calls=6)
    run, trials = await play(built(graph(name), shop, budget), trials=4, budget=budget, concurrency=1)
    assert (run.status, len(trials), run.spent["calls"]) == ("stopped", 1, 6)
    assert {trial.verdict for trial in trials} == {Verdict.SUCCESS}


@pytest.mark.parametrize("name", ["build", "synchronous"])
async def test_a_graph_obeys_the_hard_limit_on_cost(play: Play, shop: tuple[Loaded, ...], name: str) -> None:
    budget = Budget(max_cost=6.5 * (10 * 1.0 + 5 * 2.0) / 1e6)
    run, trials = await play(built(graph(name), shop, budget), trials=4, budget=budget, concurrency=1)
    assert (run.status, len(trials), run.spent["calls"]) == ("stopped", 1, 7)


async def test_what_a_graph_s_model_does_not_count_has_no_known_cost(play: Play, shop: tuple[Loaded, ...]) -> None:
    budget = Budget()
    run, (trial,) = await play(built(graph("uncounted"), shop, budget), budget=budget)
    assert (trial.model_calls, trial.cost, run.spent["unpriced"]) == (5, None, 5)
    limited = Budget(max_cost=1.0)
    run, trials = await play(built(graph("uncounted"), shop, limited), budget=limited)
    assert (run.status, len(trials), run.spent["calls"]) == ("stopped", 0, 1)


async def test_what_a_graph_s_model_thought_is_paid_for(shop: tuple[Loaded, ...], play: Play) -> None:
    budget = Budget()
    run, (trial,) = await play(built(graph("thoughtful"), shop, budget), budget=budget)
    assert (run.spent["input_tokens"], run.spent["output_tokens"]) == (5 * 10, 5 * 105)
    assert trial.cost == pytest.approx(5 * (10 * 1.0 + 105 * 2.0) / 1e6)


async def test_a_graph_s_own_limit(play: Play, shop: tuple[Loaded, ...]) -> None:
    _, (trial,) = await play(built(graph(recursion_limit=2), shop))
    assert (trial.verdict, trial.stop) == (Verdict.FAILURE, Stop.TURN_LIMIT)
    assert [m.role for m in trial.messages] == ["user", "assistant", "tool"]
    assert [call.name for call in trial.messages[1].tool_calls] == ["look_up"]
    assert trial.steps[0].status is Status.PASSED
    assert (trial.model_calls, trial.usage.total) == (1, 15)


@pytest.mark.parametrize("kind", TOOL_FAULTS)
async def test_a_tool_fault_shows_in_what_a_graph_s_tools_said(
    play: Play, shop: tuple[Loaded, ...], monkeypatch: pytest.MonkeyPatch, kind: type[ToolFault]
) -> None:
    monkeypatch.setattr(Slow, "delay", 0.02)
    fault = f"tool:{kind.name}"
    _, trials = await play(built(graph(), shop), trials=2, variants=(f"{fault}@1",))
    for trial in trials:
        (found,) = trial.disturbances
        assert trial.verdict is not Verdict.INVALID, trial.reason
        assert found.effect is (Effect.NOT_TRIGGERED if kind is Stale else Effect.TRIGGERED)
        struck = [m for m in trial.messages if m.planted == fault]
        assert len(struck) == found.disturbed
        assert all(m.original is not None or kind.withholds for m in struck)
        assert all(m.duration is not None and m.span_id for m in trial.messages if m.role == "tool")


@pytest.mark.parametrize("fault", ["tool:slow", "tool:error"])
async def test_of_a_graph_s_equal_calls_one_answer_is_disturbed(
    play: Play, shop: tuple[Loaded, ...], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(Slow, "delay", 0.02)
    _, (trial,) = await play(built(graph("twice"), shop), variants=(f"{fault}@1",))
    assert trial.verdict is not Verdict.INVALID, trial.reason
    answers = [m for m in trial.messages if m.role == "tool"]
    assert [sum(m.planted == fault for m in answers if m.turn == turn) for turn in (0, 1)] == [1, 1]
    assert len({m.span_id for m in answers}) == len(answers) == 4
    assert {m.tool_call_id for m in answers} == {c.id for m in trial.messages for c in m.tool_calls}


async def test_a_graph_s_record_says_what_its_model_was_shown(play: Play, shop: tuple[Loaded, ...]) -> None:
    _, (trial,) = await play(built(graph("brief"), shop), variants=("tool:error@1",))
    looked_up, shipped = (m for m in trial.messages if m.role == "tool")
    assert (looked_up.name, shipped.name) == ("look_up", "ship")
    assert len(looked_up.content) == 12
    assert looked_up.planted == shipped.planted == "tool:error"


@pytest.mark.parametrize(("name", "said"), [("broken", "no graph for Be kind."), ("no_graph", "gave a str")])
def test_a_factory_that_gives_no_graph(shop: tuple[Loaded, ...], name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        built(graph(name), shop)


Handler = Any


@pytest.fixture
async def server() -> AsyncIterator[Any]:
    """An HTTP server on loopback whose answers the test sets; `seen` holds the requests."""

    class Server:
        seen: list[Any]
        url: str
        answer: Any

    state = Server()
    state.seen = []
    state.answer = lambda body: (200, {"reply": "Hello?"})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        state.seen.append((head, body))
        status, answer = state.answer(body)
        data = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(data)) + data)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/agent"
    yield state
    listening.close()
    await listening.wait_closed()


async def test_an_http_agent_whose_tools_are_executed_here(play: Play, shop: tuple[Loaded, ...], server: Any) -> None:
    def answer(body: Any) -> tuple[int, Any]:
        last = body["history"][-1]
        if last["role"] == "tool" or "Thank" in last["content"]:
            return 200, {"out": {"text": f"Well: {last['content']} Right?"}}
        order = next(w.rstrip("?") for m in body["history"] for w in m["content"].split() if w.startswith("A-"))
        name = "ship" if "Ship" in last["content"] else "look_up"
        return 200, {"out": {"calls": [{"name": name, "arguments": {"order_id": order}}]}}

    server.answer = answer
    settings = config.HttpAgent(
        kind="http", url=server.url, request={"history": "messages", "v": "`1`"}, reply="out.text", calls="out.calls"
    )
    _, (trial,) = await play(built(settings, shop))
    assert trial.verdict is Verdict.SUCCESS
    assert {grade.status for grade in trial.steps} == {Status.PASSED}
    head, body = server.seen[0]
    assert body["v"] == 1
    assert trial.trace_id is not None
    assert trial.trace_id in head


async def test_nobody_knows_what_an_http_agent_costs(play: Play, shop: tuple[Loaded, ...], server: Any) -> None:
    budget = Budget()
    settings = config.HttpAgent(kind="http", url=server.url)
    run, (trial,) = await play(built(settings, shop, budget), budget=budget)
    assert (trial.model_calls, trial.cost) == (3, None)
    assert (run.spent["calls"], run.spent["unpriced"]) == (3, 3)


@pytest.mark.parametrize(
    "settings",
    [
        config.FunctionAgent(kind="function", function="asyncio:sleep"),
        config.HttpAgent(kind="http", url="http://127.0.0.1:9/chat"),
    ],
    ids=lambda settings: settings.kind,
)
def test_an_agent_that_nobody_can_see_into_takes_no_limit_on_cost(settings: Any, shop: tuple[Loaded, ...]) -> None:
    """A price would not help: it is a model's, and which one such an agent asks is not known."""
    with pytest.raises(ConfigError, match="max_cost cannot be enforced: nobody can see what agent a spends") as refused:
        built(settings, shop, Budget(max_cost=1.0))
    assert f"kind {settings.kind!r}; limit max_calls instead" in str(refused.value)
    assert "prices" not in str(refused.value)
    assert built(settings, shop, Budget(max_calls=1)).name == "a"


async def test_an_http_agent_that_executed_its_calls_itself(play: Play, shop: tuple[Loaded, ...], server: Any) -> None:
    server.answer = lambda body: (
        200,
        {"reply": "ok?", "did": [{"name": "look_up", "arguments": {"order_id": "A-0000"}, "result": "found"}]},
    )
    settings = config.HttpAgent(kind="http", url=server.url, calls="did")
    _, (trial,) = await play(built(settings, shop))
    tools = [m for m in trial.messages if m.role == "tool"]
    assert [(m.name, m.content) for m in tools] == [("look_up", "found")] * 3
    assert trial.steps[0].status is Status.FAILED
    assert "A-0000" in trial.steps[0].reason


async def test_ids_that_an_http_agent_repeats_are_told_apart(play: Play, shop: tuple[Loaded, ...], server: Any) -> None:
    did = [{"id": "1", "name": "look_up", "result": result} for result in ("first", "second")]
    server.answer = lambda body: (200, {"reply": "ok?", "did": did})
    _, (trial,) = await play(built(config.HttpAgent(kind="http", url=server.url, calls="did"), shop))
    own = [message for message in trial.messages if message.turn == 0]
    assert [call.id for message in own for call in message.tool_calls] == ["1", "1#2"]
    assert [(m.tool_call_id, m.content) for m in own if m.role == "tool"] == [("1", "first"), ("1#2", "second")]


@pytest.mark.parametrize(
    ("result", "said"),
    [("found", "found"), ({"price": 5, "ok": True}, '{"price":5,"ok":true}'), (None, "null"), ([], "[]")],
)
async def test_what_an_http_agents_own_tools_said_is_recorded_as_json(
    play: Play, shop: tuple[Loaded, ...], server: Any, result: Any, said: str
) -> None:
    server.answer = lambda body: (200, {"reply": "ok?", "did": [{"name": "look_up", "result": result}]})
    _, (trial,) = await play(built(config.HttpAgent(kind="http", url=server.url, calls="did"), shop))
    assert {m.content for m in trial.messages if m.role == "tool"} == {said}


@pytest.mark.parametrize(
    ("answer", "verdict", "fault"),
    [
        ((503, {}), Verdict.INVALID, Party.INFRASTRUCTURE),
        ((429, {"code": "insufficient_quota"}), Verdict.INVALID, Party.INFRASTRUCTURE),
        ((404, {}), Verdict.FAILURE, Party.AGENT),
        ((200, b"\xff\xfe"), Verdict.FAILURE, Party.AGENT),
        ((200, {"text": 1}), Verdict.FAILURE, Party.AGENT),
    ],
)
async def test_http_trouble_and_whose_fault_it_is(
    play: Play, shop: tuple[Loaded, ...], server: Any, answer: Any, verdict: Verdict, fault: Party
) -> None:
    server.answer = lambda body: answer
    settings = config.HttpAgent(kind="http", url=server.url, retry_for=0)
    _, (trial,) = await play(built(settings, shop))
    assert (trial.verdict, trial.fault) == (verdict, fault)


@pytest.mark.slow
async def test_an_http_agents_passing_trouble_is_asked_again(play: Play, shop: tuple[Loaded, ...]) -> None:
    budget = Budget()
    async with Server.listening() as server:
        server.script = [
            Server.error(503),
            Server.hang_up,
            Server.error(429, "slow down", "retry-after-ms: 10"),
            Server.answer({"reply": "Hello?"}),
        ]
        settings = config.HttpAgent(kind="http", url=server.url, method="PUT")
        agent = HttpAgent("a", settings, {}, budget, clock=Time().clock)
        _, (trial,) = await play(agent, budget=budget)
        await agent.close()
    assert trial.stop is Stop.COMPLETED
    assert [m.call.attempts for m in trial.messages if m.call] == [4, 1, 1]
    assert {received.method for received in server.received} == {"PUT"}
    assert budget.totals.calls == len(server.received) == 6


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [Server.error(500, "down"), Server.error(429, "later"), Server.hang_up])
async def test_an_http_agents_trouble_that_outlasts_the_retries(
    play: Play, shop: tuple[Loaded, ...], trouble: Any
) -> None:
    async with Server.listening() as server:
        server.script = [trouble]
        settings = config.HttpAgent(kind="http", url=server.url, retry_for=2)
        agent = HttpAgent("a", settings, {}, Budget(), clock=Time().clock)
        _, (trial,) = await play(agent)
        await agent.close()
    assert (trial.verdict, trial.fault) == (Verdict.INVALID, Party.INFRASTRUCTURE)
    assert "attempts)" in trial.reason
    assert len(server.received) > 1


@pytest.mark.parametrize("status", [400, 503])
async def test_an_http_agents_secrets_are_taken_out_of_what_its_server_says(
    play: Play, shop: tuple[Loaded, ...], server: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("SHOP_ACCESS", "Bearer hush-hush")  # a name that does not mean a secret
    server.answer = lambda body: (status, {"detail": "hush-hush is nobody"})
    settings = config.HttpAgent(kind="http", url=server.url, header_env={"Authorization": "SHOP_ACCESS"}, retry_for=0)
    _, (trial,) = await play(built(settings, shop))
    assert "authorization: bearer hush-hush" in server.seen[0][0]
    assert "[redacted] is nobody" in trial.reason
    assert "hush" not in trial.reason


@pytest.mark.parametrize(
    "secret", [{"url": "http://me:hunter2@host/agent"}, {"url": "http://host", "headers": {"X-Api-Key": "hunter2"}}]
)
def test_an_http_agents_settings_hold_no_secret(shop: tuple[Loaded, ...], secret: Any) -> None:
    with pytest.raises(ConfigError, match=r"agent a: .*; keep the secret in .* header_env$") as caught:
        built(config.HttpAgent(kind="http", **secret), shop)
    assert "hunter2" not in str(caught.value)


async def test_secrets_of_an_http_agent_stay_out_of_its_definition(
    shop: tuple[Loaded, ...], server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "hush-hush")
    settings = config.HttpAgent(kind="http", url=server.url, header_env={"Authorization": "SHOP_KEY"})
    agent = built(settings, shop)
    assert "hush" not in str(agent.definition())
    await agent.close()
    monkeypatch.delenv("SHOP_KEY")
    with pytest.raises(ConfigError, match="SHOP_KEY"):
        built(settings, shop)
    pasted = settings.model_copy(update={"header_env": {"Authorization": "Bearer hush-hush"}})
    with pytest.raises(ConfigError, match="agent a: found what is no name of an environment variable") as refused:
        built(pasted, shop)
    assert "hush" not in str(refused.value)


def test_a_jmespath_that_is_none(shop: tuple[Loaded, ...]) -> None:
    with pytest.raises(ConfigError, match="expected a JMESPath"):
        built(config.HttpAgent(kind="http", url="http://127.0.0.1:1", reply="a..b"), shop)


LOOK_UP = ToolSpec(
    "look_up",
    "Find an order.\n\nMore words.",
    {"type": "object", "properties": {"order_id": {"type": "string", "title": "Order"}}, "required": ["order_id"]},
)


def test_the_guided_schema_bounds_every_text() -> None:
    schema = response_format([LOOK_UP])["json_schema"]["schema"]
    call, reply = schema["anyOf"]
    assert call["properties"]["action"] == {"const": "look_up"}
    assert call["properties"]["arguments"]["properties"]["order_id"] == {"type": "string", "maxLength": 80}
    assert reply["properties"]["arguments"]["properties"]["text"]["maxLength"] == 200
    with pytest.raises(ConfigError, match="reply"):
        response_format([ToolSpec("reply", "", {})])


def test_the_guided_prompt_puts_facts_behind_what_never_changes_and_shows_plain_words() -> None:
    call = ToolCall("c", "look_up", {"order_id": "A-1"})
    said = (
        Message("user", "Where is A-1?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", '{"item":"kettle"}', tool_call_id="c", name="look_up"),
        Message("assistant", "Here it is."),
        Message("user", "Thanks."),
    )
    prompt, *rest = guided_messages("Be kind.", said, [LOOK_UP])
    assert prompt.content == (
        "Be kind.\nAnswer each message with one action as JSON.\nActions:\nlook_up(order_id): Find an order.\n"
        'reply(text): talk to the user\nKnown: {"item":"kettle"}'
    )
    assert [(m.role, m.content) for m in rest] == [
        ("user", "Where is A-1?"),
        ("assistant", "Here it is."),
        ("user", "Thanks."),
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"action": 1}', '{"action": "reply"}', "\ud800"])
def test_what_is_no_action_is_an_answer_as_it_stands(text: str) -> None:
    assert read_guided(text, "id") == (text, ())


async def test_a_guided_model_must_speak_after_its_calls(play: Play) -> None:
    schemas: list[Any] = []

    def answer(request: ChatRequest) -> str:
        if request.response_format is None:
            assert "Actions" not in request.messages[0].content
            schemas.append(None)
            return "shipped?"
        names = [
            it["properties"]["action"]["const"] for it in request.response_format["json_schema"]["schema"]["anyOf"]
        ]
        schemas.append(names)
        return '{"action": "ship", "arguments": {"order_id": "A-0000"}}'

    agent = ChatAgent("g", FakeChat(answer), Sampling(temperature=0), guided=True, calls_per_turn=1)
    _, (trial,) = await play(agent, limits=Limits(moves_per_turn=3))
    assert trial.stop is Stop.COMPLETED
    assert schemas == [["look_up", "ship", "explode", "reply"], None] * 3
    assert [m.name for m in trial.messages if m.role == "tool"] == ["ship"] * 3
