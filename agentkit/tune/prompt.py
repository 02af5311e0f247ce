"""A frozen prompt: the conversation up to one step, exactly as the model is served it, and what is known of the answer.

Prompts stand in `prompts.jsonl` of a job, one a line. The trainer reads nothing else of the scenarios, so that a job
can be sent to another machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from agentkit.errors import UsageError
from agentkit.grade import RewardStep, TurnRecord, grade_turn
from agentkit.records import Message, StepGrade, ToolSpec
from agentkit.scenario import PlayTurn, Step
from agentkit.scenario.model import Order
from agentkit.tune.read import Answer, Dialect, read_answer


class Split(StrEnum):
    """What a prompt may be used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    GUARD = "guard"
    """Another step, which the model does right: shows what a training costs elsewhere."""
    HELD_OUT = "held_out"
    """Of a conversation that is held out, in a file of its own, which no training reads."""


class Prompt(BaseModel):
    """One moment at which the step was, or would be, due."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: str
    """`scenario/variant#step@instance`, unique in its file; `:trial` follows where it was recorded."""
    scenario: str
    variant: str
    instance: int
    """Seed from which the variables were drawn."""
    step: str
    turn: int
    """Index of the turn, from 0."""
    split: Split
    origin: str
    """`golden`: what comes before was played by an agent that does everything right; else `run/trial`, as recorded."""
    dialect: Dialect
    """How calls are written in the model's text."""
    request: dict[str, Any]
    """Body of the request that the agent sends here, but for the model's name: messages, tools, response_format,
    sampling."""
    history: tuple[Message, ...]
    """The same conversation as it was recorded; the last message is the user's or a tool's."""
    expected: Step
    around: tuple[Step, ...] = ()
    """The call steps of its turn and `expected`, in order: what one of them expects is no extra call to another. Empty
    where `expected` stands alone."""
    order: Order = "subset"
    tools: dict[str, ToolSpec] = {}
    """What the world offers, by name."""
    world: Any = None
    """State of the world before the answer, plain JSON."""
    variables: dict[str, Any] = {}
    golden: str | None = None
    """A right answer as the model would write it; None where none can be made."""

    @property
    def schema_(self) -> Mapping[str, Any] | None:
        """The JSON Schema that the served answer is held to."""
        format_ = self.request.get("response_format") or {}
        return format_.get("json_schema", {}).get("schema") if format_.get("type") == "json_schema" else None

    def read(self, text: str) -> Answer:
        """What an answer says and calls."""
        return read_answer(text, self.dialect, f"call-{self.turn}-{len(self.history)}")

    async def grade(self, text: str) -> StepGrade:
        """What the scenario's own grader says of an answer: the very code that graded the run."""
        record = TurnRecord(
            index=self.turn,
            turn=PlayTurn(id=self.step, user="", order=self.order, steps=self.around or (self.expected,)),
            messages=(*self.history, self._message(text)),
            state=self.world,
            variables=self.variables,
        )
        grades = await grade_turn(record, self._normalized, None, self.tools)
        return next(grade for grade in grades if grade.step == self.expected.id)

    def reward_step(self, text: str, tokens: int | None = None) -> RewardStep:
        """An answer as reward functions see it."""
        answer = self.read(text)
        return RewardStep(
            prompt=self.history,
            completion=text,
            calls=answer.calls,
            reply=answer.reply,
            reasoning=answer.reasoning,
            expected=self.expected,
            tools=self.tools,
            world=self.world,
            golden=self.golden,
            variables=self.variables,
            tokens=tokens,
            name=self.id,
        )

    def _message(self, text: str) -> Message:
        answer = self.read(text)
        return Message("assistant", answer.reply, self.turn, tool_calls=answer.calls, reasoning=answer.reasoning)

    def _normalized(self, tool: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        spec = self.tools.get(tool)
        properties = {} if spec is None else spec.parameters.get("properties", {})
        return {name: schema["default"] for name, schema in properties.items() if "default" in schema} | dict(arguments)


def of_target(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Those of the step that is trained."""
    return [prompt for prompt in prompts if prompt.split is not Split.GUARD]


def prompt_lines(prompts: Iterable[Prompt]) -> bytes:
    """One JSON object a line, keys in order, so that equal prompts give equal bytes."""
    return b"".join(orjson.dumps(prompt.model_dump(mode="json", exclude_unset=True)) + b"\n" for prompt in prompts)


def write_prompts(prompts: Iterable[Prompt], file: Path) -> None:
    """Write the file that `read_prompts` reads."""
    file.write_bytes(prompt_lines(prompts))


def read_prompts(file: Path, split: Split | None = None) -> Sequence[Prompt]:
    """The prompts of a file, in order; of one split where it is named.

    Raises:
        UsageError: the file cannot be read, or a line is no prompt; names the file, the line and the field.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    found: dict[str, Prompt] = {}
    for number, line in enumerate(lines, start=1):
        prompt = _read_line(line, f"{file}:{number}")
        if prompt.id in found:
            raise UsageError(f"{file}:{number}: id: {prompt.id!r} is there already; every prompt needs its own")
        found[prompt.id] = prompt
    return [prompt for prompt in found.values() if split is None or prompt.split is split]


def _read_line(line: bytes, place: str) -> Prompt:
    try:
        return Prompt.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the line"
        raise UsageError(f"{place}: {field}: found {str(first['input'])[:80]!r}, expected: {first['msg']}") from None
