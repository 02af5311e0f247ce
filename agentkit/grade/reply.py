"""Whether an answer, or a piece of reasoning, meets the conditions set on it (all but the judge's)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agentkit.errors import JudgeError
from agentkit.grade.match import compiled
from agentkit.grade.text import asks, mentions, shortened
from agentkit.scenario.model import Reasoning, Reply, Wording

SCHEMA = "reply.json_schema"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition and whether the text meets it."""

    check: str
    met: bool
    reason: str


def reply_conditions(reply: Reply, text: str) -> list[Condition]:
    """Each condition of `reply` but the judge's, held against the answer `text`. Silence meets none of them.

    Raises JudgeError where its JSON Schema refers to what cannot be had.
    """
    if not text.strip():
        return [Condition("reply", False, "the agent said nothing")]
    found = [*_wording(reply, text, "reply"), *_shape(reply, text)]
    return found or [Condition("reply", True, "the agent answered")]


def reasoning_conditions(reasoning: Reasoning, text: str) -> list[Condition]:
    """Each condition of `reasoning`, held against the reasoning `text`."""
    return list(_wording(reasoning, text, "reasoning"))


def _wording(wanted: Wording, text: str, place: str) -> Iterator[Condition]:
    for item in wanted.mentions:
        met = mentions(text, item)
        yield Condition(f"{place}.mentions", met, f"{'mentions' if met else 'does not mention'} {item!r}")
    for item in wanted.not_mentions:
        met = not mentions(text, item)
        yield Condition(f"{place}.not_mentions", met, f"{'does not mention' if met else 'mentions'} {item!r}")
    if wanted.pattern is not None:
        met = compiled(wanted.pattern).search(text) is not None
        yield Condition(f"{place}.pattern", met, f"{'fits' if met else 'does not fit'} /{wanted.pattern}/")
    if wanted.not_pattern is not None:
        found = compiled(wanted.not_pattern).search(text)
        says = f"says {shortened(found.group(), 80)!r}" if found else "says nothing like it"
        yield Condition(f"{place}.not_pattern", found is None, f"{says}, forbidden: /{wanted.not_pattern}/")
    if wanted.max_words is not None:
        words = len(text.split())
        yield Condition(f"{place}.max_words", words <= wanted.max_words, f"{words} words of {wanted.max_words}")


def _shape(reply: Reply, text: str) -> Iterator[Condition]:
    if reply.asks is not None:
        asked = asks(text)
        yield Condition("reply.asks", asked == reply.asks, "asks a question" if asked else "asks no question")
    if reply.json_schema is not None:
        problem = _schema_problem(reply.json_schema, text)
        yield Condition(SCHEMA, problem is None, problem or "fits the JSON Schema")


def _schema_problem(schema: dict[str, Any], text: str) -> str | None:
    import jsonschema  # only suites that ask for a schema pay for the import
    from referencing.exceptions import Unresolvable

    try:
        jsonschema.validate(json.loads(text), schema)
    except RecursionError:
        return f"is nested too deeply: {shortened(text, 80)}"
    except OverflowError:
        return f"holds a number that is too large: {shortened(text, 80)}"
    except ValueError:
        return f"is not JSON: {shortened(text, 80)}"
    except jsonschema.ValidationError as error:
        return f"does not fit the JSON Schema at {error.json_path}: {shortened(error.message, 120)}"
    except Unresolvable as error:
        raise JudgeError(f"the JSON Schema refers to {error.ref}, which cannot be had") from error
    return None
