"""People's judgements of production as rows for training: thumbs for KTO, better beside given answers for DPO.

Written to a file they are TRL's JSON lines, the form that `agentkit.tune.exchange` imports. A job takes those of its
own prompts; of traffic that no prompt was made of, it takes none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from agentkit.collect.export import remember
from agentkit.collect.feedback.talk import read_calls
from agentkit.collect.labels.rows import Judgement
from agentkit.collect.provenance import PROVENANCE, Origin, write_lines
from agentkit.config import CollectSettings
from agentkit.errors import UsageError
from agentkit.records import Message, ToolSpec
from agentkit.tune.exchange import Pair, Thumb
from agentkit.tune.golden import as_written, golden_text
from agentkit.tune.prompt import Prompt
from agentkit.tune.read import Dialect


@dataclass(frozen=True, slots=True)
class Rows:
    """What a job can learn from people."""

    pairs: tuple[Pair, ...]
    thumbs: tuple[Thumb, ...]
    unknown: int
    """Judgements of requests that are none of the job's prompts."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    rows: int
    left_out: Mapping[str, int]
    """Reason → judged answers that gave no row."""

    @property
    def why(self) -> str:
        """In words: `; left out: 3 split, 1 without a better answer`; '' where nothing was."""
        told = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        return f"; left out: {told}" if told else ""


def rows_of(judged: Sequence[Judgement], prompts: Sequence[Prompt]) -> Rows:
    """Pairs and thumbs of those judgements whose request is a prompt of the job, message for message."""
    known: dict[bytes, Prompt] = {}
    for prompt in prompts:
        known.setdefault(_key(chat_messages(prompt.request)), prompt)
    pairs: list[Pair] = []
    thumbs: list[Thumb] = []
    unknown = 0
    for it in judged:
        found = known.get(_key(chat_messages(it.request)))
        if found is None:
            unknown += 1
            continue
        given = answer_text(it.request, it.given)
        told: dict[str, Any] = {"prompt": found.id, "origins": (it.origin,)}
        pairs += [Pair(chosen=text, rejected=given, **told) for text in _better(it, given)]
        thumbs += [Thumb(completion=text, label=label, **told) for text, label in _thumbs(it, given)]
    return Rows(tuple(pairs), tuple(thumbs), unknown)


def export_judgements(
    judged: Sequence[Judgement], file: Path, form: Literal["dpo", "kto"], settings: CollectSettings
) -> Exported:
    """Write the rows of all judgements; equal ones once. Beside the file stands whose each row is, and its folder is
    remembered, so that a user can be forgotten in it.

    Raises:
        UsageError: the file cannot be written, or is none.
    """
    file = file.resolve()
    if file.name == PROVENANCE or (file.exists() and not file.is_file()):
        raise UsageError(f"{file}: cannot be written: expected a file, and another than {PROVENANCE}")
    lines: dict[bytes, list[Origin]] = {}
    left_out: Counter[str] = Counter()
    for it in judged:
        made = list(_dpo(it) if form == "dpo" else _kto(it))
        if not made:
            left_out["split" if it.right is None else "without a better answer"] += 1
        for row in map(orjson.dumps, made):
            lines.setdefault(row, []).append(it.origin)
    if lines:
        remember(settings, file.parent)
        write_lines(file, [*lines], [*lines.values()])
    return Exported(len(lines), dict(left_out))


def answer_text(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """An assistant message as the model writes it: calls in the syntax in which the request makes it call."""
    dialect, tools = dialect_of(request), tools_of(request)
    calls = read_calls(answer.get("tool_calls"))
    content = answer.get("content")
    text = content if isinstance(content, str) else ""
    if not calls:
        return text  # a guided answer stands as it was written, and so does any other
    texts = [golden_text(Message("assistant", "", tool_calls=(call,)), dialect, tools) for call in calls]
    return "\n".join([text, *texts] if text and dialect == "hermes" else texts)


def chat_messages(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A request's messages as chat templates take them: a call's arguments are an object, where they are JSON."""
    found = []
    for message in request.get("messages") or ():
        if not isinstance(message, Mapping):
            continue
        calls = [_with_arguments(call) for call in message.get("tool_calls") or () if isinstance(call, Mapping)]
        found.append({**message, "content": message.get("content") or "", **({"tool_calls": calls} if calls else {})})
    return found


def dialect_of(request: Mapping[str, Any]) -> Dialect:
    """How a request makes the model call: by a grammar that it states, or by tools that it offers."""
    form = request.get("response_format")
    return "guided" if isinstance(form, Mapping) and form.get("type") == "json_schema" else "hermes"


def tools_of(request: Mapping[str, Any]) -> dict[str, ToolSpec]:
    """Name → the tools that a captured request offers."""
    found = {}
    for tool in request.get("tools") or ():
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and isinstance(name := function.get("name"), str):
            found[name] = ToolSpec(name, str(function.get("description") or ""), function.get("parameters") or {})
    return found


def _dpo(it: Judgement) -> Iterator[dict[str, Any]]:
    given = answer_text(it.request, it.given)
    for text in _better(it, given):
        yield _row(it, chosen=_answer(text), rejected=_answer(given))


def _kto(it: Judgement) -> Iterator[dict[str, Any]]:
    for text, label in _thumbs(it, answer_text(it.request, it.given)):
        yield _row(it, completion=_answer(text), label=label)


def _with_arguments(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    written = function.get("arguments") if isinstance(function, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(written, str):
        return dict(call)
    try:
        return {**call, "function": {**function, "arguments": orjson.loads(written)}}
    except orjson.JSONDecodeError:
        return dict(call)


def _better(it: Judgement, given: str) -> list[str]:
    texts = [answer_text(it.request, answer) for answer in it.better]
    if dialect_of(it.request) == "guided":
        texts = list(map(_as_grammars_write, texts))
    return [text for text in dict.fromkeys(texts) if text != given]


def _thumbs(it: Judgement, given: str) -> Iterator[tuple[str, bool]]:
    """The given answer, and each better one as liked."""
    if it.right is not None:
        yield given, it.right
    yield from ((text, True) for text in _better(it, given))


def _row(it: Judgement, **answers: Any) -> dict[str, Any]:
    tools = it.request.get("tools")
    return {"prompt": chat_messages(it.request), **({"tools": tools} if tools else {}), **answers}


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _key(messages: Any) -> bytes:
    return orjson.dumps(messages, option=orjson.OPT_SORT_KEYS)


def _as_grammars_write(text: str) -> str:
    """JSON in the spacing in which golden answers are written; people write it in many lines."""
    try:
        return as_written(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text
