"""Steps of the shipped scenarios as rewards see them, with a right completion."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from agentkit.grade import RewardStep, Rubric, load_rubric
from agentkit.play.agents.golden import golden_arguments, golden_reply
from agentkit.records import Message, ToolCall
from agentkit.scenario import Loaded, Step, load

ROOT = Path(__file__).parents[2]


def rubric(reference: str) -> Rubric:
    return load_rubric(reference, ROOT / "rewards")


@lru_cache
def suite(name: str) -> tuple[Loaded, ...]:
    return load([ROOT / "scenarios" / name])


def steps(suite_name: str, seed: int = 3) -> Iterator[RewardStep]:
    """Every golden step that a completion alone can meet, each with the completion of the golden agent."""
    for loaded in suite(suite_name):
        instance = loaded.draw("golden", seed)
        for turn in instance.turns:
            for step in turn.steps:
                moment = RewardStep(
                    (Message("system", loaded.suite.policy), Message("user", turn.user)),
                    "",
                    expected=step,
                    tools=loaded.tools,
                    world=dict(instance.world),
                    variables=instance.variables,
                    name=f"{loaded.id} {step.id}",
                )
                if (made := golden(moment, step)) is not None:
                    yield made


def golden(moment: RewardStep, step: Step) -> RewardStep | None:
    if step.call is not None:
        return called(
            moment, step.call.name, **golden_arguments(step.call, moment.tools[step.call.name], random.Random(1))
        )
    if step.reply is not None:
        return said(moment, golden_reply(step.reply))
    return said(moment, "Of course.") if step.no_call is not None else None


def called(moment: RewardStep, name: str, **arguments: Any) -> RewardStep:
    text = orjson.dumps({"name": name, "arguments": arguments}).decode()
    return replace(
        moment, completion=f"<tool_call>{text}</tool_call>", calls=(ToolCall("1", name, arguments),), reply=""
    )


def said(moment: RewardStep, text: str) -> RewardStep:
    return replace(moment, completion=text, reply=text, calls=())


def those(moments: Iterator[RewardStep], wanted: Callable[[Step], Any]) -> list[RewardStep]:
    found = [moment for moment in moments if moment.expected is not None and wanted(moment.expected)]
    assert found, "the suite has such steps"
    return found
