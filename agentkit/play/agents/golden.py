"""The golden thing to say or call for an expectation, and something plausible that misses it."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from agentkit.grade.match import MISSING, matches
from agentkit.grade.text import day
from agentkit.records import ToolSpec
from agentkit.scenario import Call, Reply
from agentkit.scenario.matchers import (
    Absent,
    Anything,
    Date,
    Equals,
    Mentions,
    Number,
    OneOf,
    Operator,
    Pattern,
    SetOf,
    Subset,
)
from agentkit.scenario.samples import drawn, sample

_TRIES = 20


def golden_arguments(call: Call, spec: ToolSpec, rng: random.Random) -> dict[str, Any]:
    """Arguments that meet `call`; what it leaves open and the tool requires is made up from the tool's schema."""
    properties = spec.parameters.get("properties", {})
    arguments = {
        name: fitting(matcher, properties.get(name, {}), rng)
        for name, matcher in call.arguments.items()
        if not isinstance(matcher, Absent)
    }
    for name in spec.parameters.get("required", ()):
        if name not in call.arguments:
            arguments[name] = sample(properties.get(name, {}), rng, spec.parameters.get("$defs", {}))
    return arguments


def fitting(matcher: Operator, schema: Mapping[str, Any], rng: random.Random) -> Any:
    """A value that fits `matcher`."""
    match matcher:
        case Equals(equals=value):
            return value
        case Pattern(pattern=pattern):
            return drawn(pattern, rng)
        case Number(number=number):
            value = float(number)
            return int(value) if value.is_integer() and schema.get("type") == "integer" else value
        case SetOf(set=items):
            return list(items)
        case Subset(subset=part):
            return part
        case Date(date=text):
            read = day(text)
            return text if read is None else read.isoformat()
        case OneOf(one_of=options):
            return options[0]
        case Mentions(mentions=items):
            return " ".join(map(str, items))
        case Anything():
            return sample(schema, rng, {})
        case _:
            raise ValueError(f"nothing fits {matcher!r}")


def wrong_arguments(call: Call, golden: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """The golden arguments with one of them changed so that it no longer fits; None where nothing can be wrong."""
    names = sorted(name for name in call.arguments if name in golden)
    rng.shuffle(names)
    for name in names:
        for _ in range(_TRIES):
            value = _altered(golden[name], rng)
            if not matches(call.arguments[name], value):
                return {**golden, name: value}
        if not matches(call.arguments[name], MISSING):
            return {key: value for key, value in golden.items() if key != name}
    return None


def _altered(value: Any, rng: random.Random) -> Any:
    """A value of the same kind, as somebody who misread it would write it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice([-10, -1, 1, 10])
    if isinstance(value, float):
        return round(value + rng.choice([-10, -1, -0.1, 0.1, 1, 10]), 2)
    if isinstance(value, str) and (read := day(value)) is not None:
        return (read + timedelta(days=rng.choice([-7, -1, 1, 7]))).isoformat()
    if isinstance(value, str) and value:
        place = rng.choice([i for i, letter in enumerate(value) if letter.isalnum()] or [0])
        letters = string.digits if value[place].isdigit() else string.ascii_letters
        return value[:place] + rng.choice(letters) + value[place + 1 :]
    if isinstance(value, list) and value:
        return value[:-1]
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value))
        return {**value, key: _altered(value[key], rng)}
    return "something else"


def golden_reply(reply: Reply) -> str:
    """A text that meets every condition of `reply` but the judge's, and a reward's where the scenario says how."""
    if reply.golden is not None:
        return reply.golden
    if reply.json_schema is not None:
        return orjson.dumps(sample(reply.json_schema, random.Random(0), reply.json_schema.get("$defs", {}))).decode()
    said = [_one_of(item) for item in reply.mentions]
    parts = ["Certainly:" if not said else f"This is about {', '.join(said)}."]
    if reply.pattern is not None:
        parts.append(drawn(reply.pattern, random.Random(0)))
    parts.append("Is that right?" if reply.asks else "")
    return " ".join(part for part in parts if part)


def wrong_reply(reply: Reply) -> str:
    """A text that misses at least one condition: forbidden words where there are such, else none of the wanted ones."""
    if reply.not_mentions:
        return f"{_one_of(reply.not_mentions[0])}."
    if reply.not_pattern is not None:
        return drawn(reply.not_pattern, random.Random(0))
    if reply.max_words is not None:
        return " ".join(["and so on"] * reply.max_words)
    if reply.mentions or reply.pattern is not None or reply.json_schema is not None:
        return "That is all I can say." if not reply.asks else ""
    if reply.asks:
        return "One moment, please."
    return "Anything else?" if reply.asks is False else ""


def _one_of(item: Any) -> str:
    return str(item[0] if isinstance(item, list) else item)
