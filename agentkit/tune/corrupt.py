"""Right answers spoilt in known ways, and answers that a model finds when a reward can be had for nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agentkit.errors import UsageError
from agentkit.play.agents.golden import golden_arguments, wrong_arguments, wrong_reply
from agentkit.play.agents.guided import REPLY
from agentkit.records import Message, ToolCall
from agentkit.scenario import Call
from agentkit.tune.golden import as_written, golden_text
from agentkit.tune.prompt import Prompt

CHARACTERS_A_TOKEN = 4
"""Roughly, of English text and JSON."""
DEFAULT_TOKENS = 256
"""Longest answer where the request sets no limit."""
_FILLER = " and so on"


class Kind(StrEnum):
    """What is the matter with an answer."""

    GOLDEN = "golden"
    WRONG_ARGUMENT = "wrong argument"
    WRONG_TOOL = "wrong tool"
    DROPPED_ARGUMENT = "dropped argument"
    WRONG_ANSWER = "wrong answer"
    NEEDLESS_CALL = "needless call"
    BROKEN_JSON = "broken JSON"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    COPIED_PROMPT = "copied prompt"
    CONSTANT = "constant"
    """The golden answer of another prompt."""
    LONGEST = "longest"
    """The golden answer, and then words up to the limit."""

    @property
    def degenerate(self) -> bool:
        """Whether it needs no understanding of the prompt."""
        return self in (Kind.EMPTY, Kind.COPIED_PROMPT, Kind.CONSTANT, Kind.LONGEST)


@dataclass(frozen=True, slots=True)
class Example:
    """One answer to one prompt."""

    prompt: Prompt
    kind: Kind
    text: str


def examples(prompts: Sequence[Prompt], seed: int) -> list[Example]:
    """The golden answer of every prompt, and what becomes of it. Deterministic by seed.

    Raises UsageError for a prompt without golden answer, for then nothing is known to be right.
    """
    found: list[Example] = []
    for prompt in prompts:
        if prompt.golden is None:
            raise UsageError(f"{prompt.id}: has no golden answer, so no reward can be held against one")
        rng = random.Random(f"{seed}/{prompt.id}")
        texts = [(Kind.GOLDEN, prompt.golden), *_spoilt(prompt, rng), *_degenerate(prompt, prompts)]
        found += [Example(prompt, kind, text) for kind, text in texts if kind is Kind.GOLDEN or text != prompt.golden]
    return found


def limit_of(prompt: Prompt) -> int:
    """Tokens that an answer may have."""
    tokens = prompt.request.get("max_tokens") or prompt.request.get("max_completion_tokens")
    return tokens if isinstance(tokens, int) else DEFAULT_TOKENS


def _spoilt(prompt: Prompt, rng: random.Random) -> Iterator[tuple[Kind, str]]:
    golden = prompt.golden or ""
    answer = prompt.read(golden)
    if answer.calls:
        yield from _spoilt_call(prompt, answer.calls[0], rng)
    else:
        if prompt.expected.reply is not None:
            yield Kind.WRONG_ANSWER, _said(prompt, wrong_reply(prompt.expected.reply))
        yield from _called(prompt, Kind.NEEDLESS_CALL, rng)
    if "{" in golden:
        yield Kind.BROKEN_JSON, golden.replace("}", "", golden.count("}"))
    yield Kind.TRUNCATED, golden[: len(golden) * 2 // 3]


def _spoilt_call(prompt: Prompt, call: ToolCall, rng: random.Random) -> Iterator[tuple[Kind, str]]:
    arguments = dict(call.arguments or {})
    expected = prompt.expected.call or Call(name=call.name)
    wrong = wrong_arguments(expected, arguments, rng)
    if wrong is not None:
        yield Kind.WRONG_ARGUMENT, _call_text(prompt, call.name, wrong)
    if names := sorted(set(expected.arguments) & set(arguments)):
        left = rng.choice(names)
        kept = {name: value for name, value in arguments.items() if name != left}
        yield Kind.DROPPED_ARGUMENT, _written(prompt, call.name, kept)
    yield from _called(prompt, Kind.WRONG_TOOL, rng, without=call.name)


def _called(prompt: Prompt, kind: Kind, rng: random.Random, without: str = "") -> Iterator[tuple[Kind, str]]:
    """A call of another tool, with arguments that its schema allows."""
    names = sorted(set(prompt.tools) - {without})
    if names and (prompt.dialect == "guided" or "tools" in prompt.request):
        spec = prompt.tools[rng.choice(names)]
        yield kind, _call_text(prompt, spec.name, golden_arguments(Call(name=spec.name), spec, rng))


def _degenerate(prompt: Prompt, prompts: Sequence[Prompt]) -> Iterator[tuple[Kind, str]]:
    characters = CHARACTERS_A_TOKEN * limit_of(prompt)
    yield Kind.EMPTY, ""
    read = "\n".join(str(message.get("content") or "") for message in prompt.request.get("messages", ()))
    yield Kind.COPIED_PROMPT, _said(prompt, read[:characters])
    other = next((it.golden for it in prompts if it.golden not in (None, prompt.golden)), None)
    if other is not None:
        yield Kind.CONSTANT, other
    yield Kind.LONGEST, _longest(prompt, characters)


def _longest(prompt: Prompt, characters: int) -> str:
    """As far as the dialect lets it: words inside a guided reply, behind anything else."""
    golden = prompt.golden or ""
    answer = prompt.read(golden)
    padded = (answer.reply if prompt.dialect == "guided" and not answer.calls else golden) + _FILLER * characters
    return _said(prompt, padded[:characters]) if not answer.calls else padded[:characters]


def _said(prompt: Prompt, text: str) -> str:
    """A text as an answer to the user; a guided one is cut to what the grammar lets it be."""
    if prompt.dialect == "guided":
        return golden_text(Message("assistant", text[: _reply_length(prompt)]), "guided", prompt.tools)
    return text


def _reply_length(prompt: Prompt) -> int | None:
    for action in (prompt.schema_ or {}).get("anyOf", ()):
        properties = action.get("properties", {})
        if properties.get("action", {}).get("const") == REPLY:
            length = properties["arguments"]["properties"]["text"].get("maxLength")
            return length if isinstance(length, int) else None
    return None


def _call_text(prompt: Prompt, name: str, arguments: dict[str, Any]) -> str:
    made = Message("assistant", "", tool_calls=(ToolCall("", name, arguments),))
    return golden_text(made, prompt.dialect, prompt.tools)


def _written(prompt: Prompt, name: str, arguments: dict[str, Any]) -> str:
    """A call as it stands, defaults not filled in."""
    if prompt.dialect == "guided":
        return as_written({"action": name, "arguments": arguments})
    return _call_text(prompt, name, arguments)
