"""A job's data as JSON lines in TRL's formats, and back.

    sft   {"prompt", "completion"}      grpo  {"prompt"}
    dpo   {"prompt", "chosen", "rejected"}      kto   {"prompt", "completion", "label"}

Prompts are lists of messages with `tools` beside them where the request offers any; answers are one message of the
assistant, its calls in the text as the model writes them. `id` names the prompt. Of sft and grpo, `agentkit` holds all
else that is known of it, so that what was exported can be read back whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson
from pydantic import Field, ValidationError

from agentkit.collect.provenance import Origin, write_lines
from agentkit.errors import UsageError, near_match
from agentkit.records import Message, Status, Trial
from agentkit.tune.golden import golden_text
from agentkit.tune.preflight import Preferences
from agentkit.tune.prompt import Prompt
from agentkit.tune.split import Frozen

Format = Literal["sft", "grpo", "dpo", "kto"]
_COLUMNS: Mapping[Format, tuple[str, ...]] = {
    "sft": ("prompt", "completion", "agentkit"),
    "grpo": ("prompt", "agentkit"),
    "dpo": ("prompt", "chosen", "rejected"),
    "kto": ("prompt", "completion", "label"),
}
_OPTIONAL = ("id", "tools")


class Preference(Frozen):
    """What was preferred at one prompt."""

    prompt: str
    """The prompt's id."""
    origins: tuple[Origin, ...] = Field((), exclude=True)
    """Production's exchanges that it was made of; they are written beside it, not with it."""


class Pair(Preference):
    """A better and a worse answer to one prompt."""

    chosen: str
    rejected: str


class Thumb(Preference):
    """An answer that was liked or disliked."""

    completion: str
    label: bool
    """True where it was liked."""


P = TypeVar("P", Pair, Thumb)


async def recorded_pairs(prompts: Sequence[Prompt], trials: Iterable[Trial]) -> list[Pair]:
    """For every recorded failure among the prompts: the golden answer, and what the agent answered instead.

    A record that passes by itself, such as one whose call was right and came too late, gives none.
    """
    recorded = {prompt.origin: prompt for prompt in prompts if prompt.golden is not None}
    found: list[Pair] = []
    for trial in trials:
        prompt = recorded.get(f"{trial.run}/{trial.id}")
        if prompt is None or prompt.golden is None or len(trial.messages) <= len(prompt.history):
            continue
        text = answer_text(prompt, trial.messages[len(prompt.history)])
        if text != prompt.golden and (await prompt.grade(text)).status is Status.FAILED:
            found.append(Pair(prompt=prompt.id, chosen=prompt.golden, rejected=text))
    return found


def thumbs_of(pairs: Iterable[Pair]) -> list[Thumb]:
    """Each pair as two answers, one liked and one disliked."""
    return [
        Thumb(prompt=pair.prompt, completion=text, label=label, origins=pair.origins)
        for pair in pairs
        for text, label in ((pair.chosen, True), (pair.rejected, False))
    ]


def preferences_of(pairs: Sequence[Pair], thumbs: Sequence[Thumb]) -> Preferences:
    """How much there is, for the preflight."""
    return Preferences(pairs=len(pairs), thumbs=len(thumbs), liked=sum(thumb.label for thumb in thumbs))


def answer_text(prompt: Prompt, message: Message) -> str:
    """A recorded answer as the model wrote it, as far as the record tells: its calls were read and are written
    again."""
    if not message.tool_calls and message.content.lstrip().startswith("{"):
        return message.content  # a guided answer that could not be read stands as it was written
    texts = [
        golden_text(Message("assistant", "", tool_calls=(call,)), prompt.dialect, prompt.tools)
        for call in message.tool_calls
    ]
    if not texts:
        return golden_text(message, prompt.dialect, prompt.tools)
    return "\n".join([message.content, *texts] if message.content and prompt.dialect == "hermes" else texts)


def export_prompts(prompts: Iterable[Prompt], file: Path, format_: Literal["sft", "grpo"]) -> int:
    """Write prompts; gives how many. Of sft, those without golden answer are left out."""
    rows = []
    for prompt in prompts:
        row = _of_prompt(prompt)
        if format_ == "sft":
            if prompt.golden is None:
                continue
            row["completion"] = _answer(prompt.golden)
        document = prompt.model_dump(mode="json", exclude_unset=True)
        rows.append({**row, "agentkit": document})
    return _write(rows, file)


def export_preferences(prompts: Iterable[Prompt], rows: Sequence[Pair] | Sequence[Thumb], file: Path) -> int:
    """Write pairs for DPO, or thumbs for KTO; gives how many.

    Raises:
        UsageError: a row is of a prompt that is not there.
    """
    known = {prompt.id: prompt for prompt in prompts}
    written = []
    for row in rows:
        if row.prompt not in known:
            raise UsageError(f"{file}: no prompt {row.prompt!r}{near_match(row.prompt, known)}")
        if isinstance(row, Pair):
            answers: dict[str, Any] = {"chosen": _answer(row.chosen), "rejected": _answer(row.rejected)}
        else:
            answers = {"completion": _answer(row.completion), "label": row.label}
        written.append({**_of_prompt(known[row.prompt]), **answers})
    return _write(written, file)


def write_preferences(rows: Sequence[Pair] | Sequence[Thumb], file: Path) -> None:
    """Pairs or thumbs as the training program reads them, by prompt id; and beside them, what each was made of."""
    write_lines(file, [orjson.dumps(row.model_dump()) for row in rows], [row.origins for row in rows])


def import_prompts(file: Path, format_: Literal["sft", "grpo"]) -> list[Prompt]:
    """Prompts that `export_prompts` wrote. A completion may have been edited: it is the golden answer then.

    Raises:
        UsageError: a line is no such row; names file, line and field.
    """
    found: dict[str, Prompt] = {}
    for place, row in _rows(file, format_):
        try:
            prompt = Prompt.model_validate_json(orjson.dumps(row["agentkit"]))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(["agentkit", *map(str, first["loc"])])
            raise UsageError(
                f"{place}: {field}: found {str(first['input'])[:80]!r}, expected: {first['msg']}"
            ) from None
        if row["prompt"] != _messages(prompt):
            raise UsageError(f"{place}: prompt: is not what `agentkit.request` says the agent sends; edit answers only")
        if prompt.id in found:
            raise UsageError(f"{place}: id: {prompt.id!r} is there already; every prompt needs its own")
        if format_ == "sft" and (golden := _text(row["completion"], place, "completion")) != prompt.golden:
            prompt = prompt.model_copy(update={"golden": golden})
        found[prompt.id] = prompt
    return list(found.values())


def import_pairs(file: Path, prompts: Iterable[Prompt]) -> list[Pair]:
    """Pairs of a file in TRL's format for DPO, each of a known prompt: by `id`, else by its messages.

    Raises:
        UsageError: a line is no such row, or of no known prompt; names file, line and field.
    """
    known = _Known(prompts)
    found = []
    for place, row in _rows(file, "dpo"):
        chosen, rejected = (_text(row[name], place, name) for name in ("chosen", "rejected"))
        if chosen == rejected:
            raise UsageError(f"{place}: rejected: is the same answer as `chosen`, expected a worse one")
        found.append(Pair(prompt=known.find(row, place), chosen=chosen, rejected=rejected))
    return found


def import_thumbs(file: Path, prompts: Iterable[Prompt]) -> list[Thumb]:
    """Thumbs of a file in TRL's format for KTO. Prompts and errors as in `import_pairs`."""
    known = _Known(prompts)
    found = []
    for place, row in _rows(file, "kto"):
        if not isinstance(row["label"], bool):
            raise UsageError(f"{place}: label: found {row['label']!r}, expected true (liked) or false (disliked)")
        text = _text(row["completion"], place, "completion")
        found.append(Thumb(prompt=known.find(row, place), completion=text, label=row["label"]))
    return found


class _Known:
    """Prompts, to be found again."""

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        self._ids: dict[str, bytes] = {}
        self._messages: dict[bytes, str] = {}
        for prompt in prompts:
            key = _key(_messages(prompt))
            self._ids[prompt.id] = key
            self._messages.setdefault(key, prompt.id)

    def find(self, row: Mapping[str, Any], place: str) -> str:
        key = _key(row["prompt"])
        if "id" not in row:
            if key not in self._messages:
                raise UsageError(
                    f"{place}: prompt: is none of the job's {len(self._ids)} prompts, and there is no `id`"
                )
            return self._messages[key]
        name = row["id"]
        if name not in self._ids:
            raise UsageError(f"{place}: id: no prompt {str(name)[:120]!r}{near_match(str(name), self._ids)}")
        if self._ids[name] != key:
            raise UsageError(f"{place}: prompt: is not that of {name!r}; edit answers only")
        return str(name)


def _key(messages: Any) -> bytes:
    return orjson.dumps(messages, option=orjson.OPT_SORT_KEYS)


def _of_prompt(prompt: Prompt) -> dict[str, Any]:
    tools = prompt.request.get("tools")
    return {"id": prompt.id, "prompt": _messages(prompt), **({"tools": tools} if tools else {})}


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The request's messages as chat templates take them: a call's arguments are an object, not text."""
    found = []
    for message in prompt.request["messages"]:
        calls = [
            {**call, "function": {**call["function"], "arguments": orjson.loads(call["function"]["arguments"])}}
            for call in message.get("tool_calls", ())
        ]
        found.append({**message, "content": message.get("content") or "", **({"tool_calls": calls} if calls else {})})
    return found


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _text(value: Any, place: str, field: str) -> str:
    """An answer's text: as a text, or as one message of the assistant."""
    match value:
        case str():
            return value
        case [{"role": "assistant", "content": str(text)}]:
            return text
    shown = orjson.dumps(value).decode()[:80]
    raise UsageError(f"{place}: {field}: found {shown}, expected a text, or one message of the assistant with a text")


def _write(rows: Sequence[Mapping[str, Any]], file: Path) -> int:
    try:
        file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror or error}") from None
    return len(rows)


def _rows(file: Path, format_: Format) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line with its place, its columns checked."""
    wanted = _COLUMNS[format_]
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    if not any(line.strip() for line in lines):
        raise UsageError(f"{file}: is empty, expected a JSON object a line with {', '.join(wanted)}")
    for number, line in enumerate(lines, start=1):
        place = f"{file}:{number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"{place}: is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise UsageError(f"{place}: found a {type(row).__name__}, expected an object with {', '.join(wanted)}")
        for name in wanted:
            if name not in row:
                raise UsageError(f"{place}: {name}: is missing{near_match(name, set(row) - set(wanted))}")
        for name in row:
            if name not in (*wanted, *_OPTIONAL):
                raise UsageError(f"{place}: {name}: is unknown{near_match(name, (*wanted, *_OPTIONAL))}")
        yield place, row
