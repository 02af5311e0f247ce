"""The moment in a turn at which a step is decided: what came before, the golden move, and the prompt made of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentkit.grade.calls import compare
from agentkit.llm.wire import encode
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.plan import trial_seed
from agentkit.play.rebuilt import rebuild
from agentkit.records import Message, Status, ToolSpec, TrialKey
from agentkit.scenario import Instance, Loaded, PlayTurn, Step
from agentkit.scenario.detours import Disturbed, with_defaults
from agentkit.tune.golden import golden_text, misfit
from agentkit.tune.prompt import Prompt, Split
from agentkit.tune.read import Dialect

GOLDEN_ORIGIN = "golden"


class NoPrompt(Exception):
    """No prompt can be made of this moment; the reason in words."""


@dataclass(frozen=True, slots=True)
class Due:
    """A moment at which a step is due."""

    loaded: Loaded
    disturbed: Disturbed
    turn: int
    """Index of the turn, from 0."""
    step: Step
    history: tuple[Message, ...]
    """All that was said before the move that decides."""
    golden: Message
    """What an agent that does everything right does here."""
    origin: str = GOLDEN_ORIGIN
    trial: str = ""
    """Id of the recorded trial; '' where the golden agent played what came before."""

    @property
    def instance(self) -> Instance:
        return self.disturbed.instance


def place_of(instance: Instance, step: str) -> tuple[int, Step]:
    """The turn that a step belongs to, and the step as this instance has it. Raises NoPrompt where it has none."""
    for index, turn in enumerate(instance.turns):
        for it in turn.steps:
            if it.id == step:
                return index, it
    raise NoPrompt(f"{instance.scenario}/{instance.variant} has no turn with the step {step!r}")


def golden_due(
    loaded: Loaded, instance: Instance, step: str, played: Sequence[Message], origin: str = GOLDEN_ORIGIN
) -> Due:
    """The moment in a golden play of the instance. Raises NoPrompt."""
    index, found = place_of(instance, step)
    moves = own_moves(played, index)
    number = _golden_number(instance.turns[index], found)
    if number is None:
        number = len(moves) - 1
    if not 0 <= number < len(moves):
        raise NoPrompt("the golden play ended before this step")
    return Due(
        loaded=loaded,
        disturbed=Disturbed(instance, instance),
        turn=index,
        step=found,
        history=before(played, moves[number]),
        golden=moves[number],
        origin=origin,
    )


def _golden_number(turn: PlayTurn, step: Step) -> int | None:
    """Which of the golden agent's moves decides: it makes the turn's calls in order, then answers. None: the last."""
    if step.call is not None:
        return [it.id for it in turn.steps if it.call is not None].index(step.id)
    return None if step.reply is not None else 0


def own_moves(messages: Sequence[Message], turn: int) -> list[Message]:
    """The agent's messages of a turn."""
    return [message for message in messages if message.turn == turn and message.role == "assistant"]


def before(messages: Sequence[Message], move: Message) -> tuple[Message, ...]:
    """What was said before a move."""
    place = next(place for place, message in enumerate(messages) if message is move)
    return tuple(messages[:place])


def met_calls(turn: PlayTurn, moves: Sequence[Message], tools: Mapping[str, ToolSpec]) -> int:
    """How many of the turn's call steps, from the first on, the first moves meet: one call a move, nothing else."""
    wanted = [step.call for step in turn.steps if step.call is not None]

    def normalize(name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return with_defaults(tools.get(name), arguments)

    met = 0
    for call, move in zip(wanted, moves, strict=False):
        if len(move.tool_calls) != 1 or compare(call, move.tool_calls[0], normalize).problems:
            break
        met += 1
    return met


async def prompt_of(due: Due, agent: ChatAgent, split: Split, seed: int) -> Prompt:
    """The frozen prompt of a moment, its golden answer held against the graders. Raises NoPrompt with the reason.

    The request is made by the agent itself, as it was in the run.
    """
    loaded, instance, tools = due.loaded, due.instance, dict(due.loaded.tools)
    key = TrialKey(loaded.id, instance.variant, instance.seed)
    request = encode(
        agent.request(due.history, turn=due.turn, tools=tools, policy=loaded.suite.policy, seed=trial_seed(key, seed)),
        "",
    )
    request.pop("model")
    offered = "tools" in request or "response_format" in request
    if due.golden.tool_calls and not offered:
        limit = agent.calls_per_turn
        raise NoPrompt(f"no tools are offered here any more: the agent may call {limit} times a turn (calls_per_turn)")
    dialect: Dialect = "guided" if agent.guided and offered else "hermes"
    steps = tuple(it for it in instance.turns[due.turn].steps if it.call is not None or it.id == due.step.id)
    prompt = Prompt(
        id=f"{loaded.id}/{instance.variant}#{due.step.id}@{instance.seed}{f':{due.trial}' if due.trial else ''}",
        scenario=loaded.id,
        variant=instance.variant,
        instance=instance.seed,
        step=due.step.id,
        turn=due.turn,
        split=split,
        origin=due.origin,
        dialect=dialect,
        request=request,
        history=tuple(map(_bare, due.history)),
        expected=due.step,
        around=steps if len(steps) > 1 else (),
        order=instance.turns[due.turn].order,
        tools=tools,
        world=await _world(due),
        variables=dict(instance.variables),
        golden=golden_text(due.golden, dialect, tools),
    )
    await _check_golden(prompt)
    return prompt


async def _world(due: Due) -> Any:
    """The world's state before the move: its calls so far made again."""
    rebuilt = await rebuild(due.loaded, due.disturbed, due.history, due.turn + 1)
    if rebuilt.trouble:
        raise NoPrompt(f"the world before this move is not known: {rebuilt.trouble}")
    return rebuilt.final


async def _check_golden(prompt: Prompt) -> None:
    assert prompt.golden is not None
    if wrong := misfit(prompt.golden, prompt.schema_):
        raise NoPrompt(f"the golden answer does not fit the grammar that answers are held to: {wrong}")
    grade = await prompt.grade(prompt.golden)
    if grade.status is not Status.PASSED:
        raise NoPrompt(f"the golden answer does not pass ({grade.check}): {grade.reason}")


def _bare(message: Message) -> Message:
    """What was said, without what differs between two plays that say the same: times, costs, spans."""
    return replace(message, call=None, span_id=None, duration=None)
