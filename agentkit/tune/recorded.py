"""Recorded trials in which a step was reached, and the moment at which it was decided there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentkit.grade import TurnRecord, grade_turn
from agentkit.records import Message, Status, ToolSpec, Trial, Verdict
from agentkit.scenario import Loaded, PlayTurn, Step
from agentkit.scenario.detours import Disturbed, with_defaults
from agentkit.tune.moment import Due, NoPrompt, before, golden_due, met_calls, own_moves, place_of
from agentkit.tune.target import TargetStep


@dataclass(frozen=True, slots=True)
class Recorded:
    """One trial in which the step was graded."""

    step: TargetStep
    trial: Trial


def recorded(trials: Iterable[Trial], steps: Iterable[TargetStep], status: Status) -> list[Recorded]:
    """Every time that one of the steps was graded so, in the trials' order. A fork counts for the variant whose turn it
    played."""
    wanted = {(it.scenario, it.variant, it.step): it for it in steps}
    found = []
    for trial in trials:
        if trial.verdict is Verdict.INVALID:
            continue
        for grade in trial.steps:
            at = wanted.get((trial.key.scenario, played_variant(trial), grade.step))
            there = trial.fork is None or grade.turn == trial.fork.turn
            if at is not None and there and grade.status is status and grade.turn is not None:
                found.append(Recorded(at, trial))
    return found


def played_variant(trial: Trial) -> str:
    """The variant by which the trial's instance is drawn."""
    return trial.fork.variant if trial.fork else trial.key.variant


async def recorded_due(recorded: Recorded, loaded: Loaded, played: Sequence[Message]) -> Due:
    """The moment as it was recorded; `played`: a golden play of the same instance, which knows the right move.

    Raises NoPrompt where the record does not show one move that decided.
    """
    trial, step = recorded.trial, recorded.step.step
    disturbed = loaded.disturbed(played_variant(trial), trial.key.instance)
    instance = disturbed.instance
    index, found = place_of(instance, step)
    turn, tools = instance.turns[index], loaded.tools
    moves = own_moves(trial.messages, index)
    decisive = await _decisive(turn, found, moves, index, trial, loaded)
    golden = golden_due(loaded, instance, step, played)
    if found.no_call is not None:
        right = own_moves(played, index)
        golden = replace(golden, golden=right[min(met_calls(turn, moves[:decisive], tools), len(right) - 1)])
    return replace(
        golden,
        disturbed=_faults_again(trial, disturbed),
        history=before(trial.messages, moves[decisive]),
        origin=f"{trial.run}/{trial.id}",
        trial=trial.id,
    )


def _faults_again(trial: Trial, disturbed: Disturbed) -> Disturbed:
    """How the world is made again: of a fork, what came before its turn was played undisturbed."""
    return disturbed if trial.fork is None else Disturbed(disturbed.instance, disturbed.undisturbed)


async def _decisive(
    turn: PlayTurn, step: Step, moves: Sequence[Message], index: int, trial: Trial, loaded: Loaded
) -> int:
    """Which of the agent's moves in the turn decided the step."""
    if not moves:
        raise NoPrompt("the agent said nothing in the step's turn")
    if step.call is not None:
        number = [it.id for it in turn.steps if it.call is not None].index(step.id)
        if met_calls(turn, moves, loaded.tools) < number or number >= len(moves):
            raise NoPrompt("an earlier step of the same turn had gone wrong already")
        return number
    if step.reply is not None:
        if moves[-1].tool_calls:
            raise NoPrompt("the agent gave no answer in words")
        return len(moves) - 1
    for number, move in enumerate(moves):
        if move.tool_calls and not await _passes(
            turn, step, (*before(trial.messages, move), move), index, loaded.tools
        ):
            return number
    raise NoPrompt("no single move broke the step")


async def _passes(
    turn: PlayTurn, step: Step, messages: tuple[Message, ...], index: int, tools: Mapping[str, ToolSpec]
) -> bool:
    """Whether the step stands after these messages."""
    steps = tuple(it for it in turn.steps if it.call is not None or it.id == step.id)
    record = TurnRecord(index, replace(turn, steps=steps), messages, None)
    grades = await grade_turn(record, lambda name, given: with_defaults(tools.get(name), given), None, tools)
    return all(grade.status is Status.PASSED for grade in grades if grade.step == step.id)
