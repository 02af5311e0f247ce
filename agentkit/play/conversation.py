"""The conversation as a LangGraph graph: user → agent ⇄ tools → grade → user …

The state is immutable and small; what a trial works with (agent, world, spans, judge) travels beside it as the graph's
context. Every superstep leaves a checkpoint, so a conversation can be forked at any of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agentkit.config import Limits
from agentkit.errors import BudgetExhausted, WorldError
from agentkit.grade import Judge, TurnRecord, grade_turn
from agentkit.play.agent import Agent, Moment
from agentkit.play.checkpoint import checkpoints
from agentkit.play.disturbed import ModelFaults
from agentkit.play.ids import distinct, ids, unlike
from agentkit.play.time_limit import TimeLimit
from agentkit.play.trouble import agent_trouble
from agentkit.play.user import Cue, User, speak
from agentkit.records import Message, Status, StepGrade, Stop, ToolCall, TrialKey, Usage
from agentkit.scenario import Instance, World, call_span
from agentkit.scenario.detours import ModelFault
from agentkit.tracing import Trial as TrialSpan
from agentkit.tracing import Turn as TurnSpan


class State(TypedDict):
    """What a checkpoint holds. All of it is immutable."""

    turn: int
    """Index of the turn that is being played, from 0."""
    moves: int
    """Moves of the agent in this turn so far."""
    messages: tuple[Message, ...]
    world: bytes
    """The world's snapshot after the last tool call."""
    grades: tuple[StepGrade, ...]
    stop: Stop | None
    """Why the conversation was cut short; None while all is well."""
    reason: str


@dataclass(slots=True)
class Stage:
    """What one trial works with."""

    key: TrialKey
    instance: Instance
    agent: Agent
    world: World
    policy: str
    judge: Judge | None
    limits: Limits
    span: TrialSpan
    conversation_id: str
    seed: int
    model_faults: tuple[ModelFault, ...] = ()
    user: User | None = None
    """None says the turns' own words."""
    trouble: str = ""
    """In words, how the server behind the world failed; '' while it did not."""
    time_limit: TimeLimit = field(init=False)
    turn_span: TurnSpan = field(init=False)

    def __post_init__(self) -> None:
        self.time_limit = TimeLimit(self.limits.seconds)

    async def call_tool(self, call: ToolCall, turn: int) -> Message:
        """Execute a call in this trial's world, traced and recorded."""
        span, began = self.turn_span.tool(call), time.monotonic()
        token = call_span.set(span)
        try:
            result = await self.world.call(call.name, call.arguments)
        except WorldError as error:  # told here, because an agent that drives its own tools may swallow it
            self.trouble = self.trouble or str(error)
            span.fail(error)
            raise
        finally:
            call_span.reset(token)
        span.finish(result.content, result.error)
        return Message(
            "tool",
            result.content,
            turn=turn,
            tool_call_id=call.id,
            name=call.name,
            error=result.error,
            span_id=span.span_id,
            duration=time.monotonic() - began,
            planted=result.planted,
            original=result.original,
        )


Conversation = CompiledStateGraph[State, Stage, State, State]
_Runtime = Runtime[Stage]


async def _user(state: State, runtime: _Runtime) -> dict[str, Any]:
    """The user speaks: the turn's own words, or a simulated user's. A detour's are always said as they are."""
    stage, turn = runtime.context, state["turn"]
    if stage.user is None or stage.instance.turns[turn].detour is not None:
        said = Message("user", stage.instance.turns[turn].user, turn=turn)
    else:
        said = await speak(stage.user, Cue(stage.instance, turn, state["messages"], stage.world.tools, stage.span))
    stage.turn_span = stage.span.turn(index=turn, agent=stage.agent.name)
    return {"messages": (*state["messages"], said), "moves": 0}


async def _agent(state: State, runtime: _Runtime) -> Command[Literal["tools", "grade"]]:
    """The agent makes one move."""
    stage = runtime.context
    moment = _moment(state, stage)
    try:
        async with stage.time_limit.running():
            new = await _act(moment, stage)
    except BudgetExhausted:
        raise
    except Exception as error:  # whatever an agent under test raises is a result, not a crash
        return _cut(*agent_trouble(error), (*state["messages"], *moment.made))
    new = tuple(message if message.turn == state["turn"] else replace(message, turn=state["turn"]) for message in new)
    new = distinct(new, ids(state["messages"], state["turn"]))
    messages = (*state["messages"], *new)
    update: dict[str, Any] = {"messages": messages, "moves": state["moves"] + 1}
    if stage.limits.tokens is not None and (spent := usage(messages).total) > stage.limits.tokens:
        update |= {"stop": Stop.TOKEN_LIMIT, "reason": f"{spent} tokens, the limit is {stage.limits.tokens}"}
    elif not new or new[-1].role != "assistant":
        update |= {"stop": Stop.AGENT_ERROR, "reason": "the agent's move does not end in a message of its own"}
    elif new[-1].tool_calls and update["moves"] >= stage.limits.moves_per_turn:
        reason = f"no answer to the user after {update['moves']} moves in one turn"
        update |= {"stop": Stop.TURN_LIMIT, "reason": reason}
    elif new[-1].tool_calls:
        return Command(update=update, goto="tools")
    return Command(update=update, goto="grade")


async def _act(moment: Moment, stage: Stage) -> tuple[Message, ...]:
    """The agent's next messages, its model calls disturbed as the detours want it."""
    if not stage.model_faults:
        return await stage.agent.act(moment)
    faults = ModelFaults.of(stage.model_faults, stage.instance.seed, moment.messages)
    with faults.planted():
        new = await stage.agent.act(moment)
    return faults.marked(new)


async def _tools(state: State, runtime: _Runtime) -> dict[str, Any]:
    """The world answers the agent's calls, in order."""
    stage = runtime.context
    calls = state["messages"][-1].tool_calls
    results = [await stage.call_tool(call, state["turn"]) for call in calls]
    return {"messages": (*state["messages"], *results), "world": await stage.world.snapshot()}


async def _grade(state: State, runtime: _Runtime) -> Command[Literal["user", "__end__"]]:
    """Every step of the turn is graded, on the span that met it."""
    stage, turn, span = runtime.context, state["turn"], runtime.context.turn_span
    played, world = stage.instance, await stage.world.state()
    record = TurnRecord(turn, played.turns[turn], state["messages"], world, span.span_id, played.variables)
    grades = await grade_turn(record, stage.world.normalized, stage.judge, stage.world.tools)
    _close(span, grades, record.own)
    over = state["stop"] is not None or turn + 1 == len(stage.instance.turns)
    update = {"grades": (*state["grades"], *grades), "turn": turn + 1, "world": await stage.world.snapshot()}
    return Command(update=update, goto="__end__" if over else "user")


def _moment(state: State, stage: Stage) -> Moment:
    turn, made = state["turn"], list[Message]()
    taken = ids(state["messages"], turn)

    async def call_tool(call: ToolCall) -> Message:
        call = unlike(call, taken)
        result = await stage.call_tool(call, turn)
        asked = made.pop() if made and made[-1].role == "assistant" else Message("assistant", "", turn)
        made.extend((replace(asked, tool_calls=(call,)), result))
        return result

    return Moment(
        key=stage.key,
        conversation_id=stage.conversation_id,
        turn=turn,
        expected=stage.instance.turns[turn],
        messages=state["messages"],
        tools=stage.world.tools,
        policy=stage.policy,
        seed=stage.seed,
        span=stage.turn_span,
        call_tool=call_tool,
        made=made,
    )


def _cut(stop: Stop, reason: str, messages: tuple[Message, ...]) -> Command[Literal["tools", "grade"]]:
    return Command(update={"stop": stop, "reason": reason, "messages": messages}, goto="grade")


def _close(span: TurnSpan, grades: tuple[StepGrade, ...], messages: tuple[Message, ...]) -> None:
    """Every grade is an event of the span that met the step, and every span names the steps it met."""
    met: dict[str, list[str]] = {}
    for grade in grades:
        span.grade(grade)
        if grade.status is not Status.NOT_REACHED:
            met.setdefault(grade.span_id or span.span_id or "", []).append(grade.step)
    span.finish(met, messages=messages)


def usage(messages: tuple[Message, ...]) -> Usage:
    """Tokens of all the model calls behind these messages."""
    return sum((message.call.usage for message in messages if message.call is not None), Usage())


async def start_state(stage: Stage) -> State:
    """Before the user's first word."""
    return State(turn=0, moves=0, messages=(), world=await stage.world.snapshot(), grades=(), stop=None, reason="")


def superstep_limit(stage: Stage) -> int:
    """More than a conversation within its limits can take, so that the limits decide and never LangGraph's own."""
    return len(stage.instance.turns) * (2 * stage.limits.moves_per_turn + 3) + 1


def build_conversation() -> Conversation:
    """The compiled graph, to be shared by all trials of a run; the thread is the conversation's id."""
    builder = StateGraph(State, context_schema=Stage)
    builder.add_node("user", _user)
    builder.add_node("agent", _agent)
    builder.add_node("tools", _tools)
    builder.add_node("grade", _grade)
    builder.add_edge(START, "user")
    builder.add_edge("user", "agent")
    builder.add_edge("tools", "agent")
    return builder.compile(checkpointer=checkpoints())
