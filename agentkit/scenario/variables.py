"""Variables: seeded generators, so that one scenario yields endless instances that no model can know by heart.

Each variable has a random stream of its own, seeded by the instance's seed and the variable's name: adding a variable
changes no other, and every variant of a scenario draws the same values.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    Tag,
    field_validator,
    model_validator,
)

from agentkit.errors import near_match
from agentkit.scenario import patterns
from agentkit.scenario.filters import RenderError

FakeKind = Literal[
    "address", "city", "company", "email", "first_name", "job", "last_name", "name", "phone_number", "street_address"
]


class Generator(BaseModel):
    """Base of the generators; frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    unlike: list[str] = []
    """Names of variables whose value this one must not take (drawn again until it differs)."""


class FromPattern(Generator):
    """A text that matches a regular expression, e.g. `S-[0-9]{5}`."""

    pattern: str

    @field_validator("pattern")
    @classmethod
    def _can_be_drawn(cls, pattern: str) -> str:
        said = patterns.drawing_complaint(pattern)
        if said:
            raise ValueError(said)
        return pattern

    def draw(self, random: Random) -> str:
        text = patterns.draw(self.pattern, random)
        if text is None:
            raise RenderError(f"no text that matches {self.pattern!r} could be drawn")
        return text


@functools.cache
def _faker(locale: str) -> Any:
    from faker import Factory

    return Factory.create(locale)


class Fake(Generator):
    """A made-up name, address or the like."""

    fake: FakeKind
    locale: str = "en_US"

    @field_validator("locale")
    @classmethod
    def _locale_exists(cls, locale: str) -> str:
        if locale != "en_US":
            from faker.config import AVAILABLE_LOCALES

            if locale not in AVAILABLE_LOCALES:
                raise ValueError(f"unknown locale {locale!r}{near_match(locale, AVAILABLE_LOCALES)}")
        return locale

    def draw(self, random: Random) -> str:
        faker = _faker(self.locale)
        faker.seed_instance(random.getrandbits(64))
        return ", ".join(str(getattr(faker, self.fake)()).splitlines())


class Choice(Generator):
    """One of these values, each as likely."""

    choice: Annotated[list[Any], Field(min_length=1)]

    def draw(self, random: Random) -> Any:
        return random.choice(self.choice)


def _in_order(first: Any, second: Any) -> None:
    if second < first:
        raise ValueError(f"the smaller comes first, found {first} before {second}")


class Integer(Generator):
    """A whole number from the first to the second, both included."""

    integer: tuple[StrictInt, StrictInt]

    @model_validator(mode="after")
    def _ordered(self) -> Integer:
        _in_order(*self.integer)
        return self

    def draw(self, random: Random) -> int:
        return random.randint(*self.integer)


class Amount(Generator):
    """An amount of money from the first to the second, in steps of `step`."""

    amount: tuple[StrictFloat, StrictFloat]
    step: Annotated[StrictFloat, Field(gt=0)] = 0.01

    @model_validator(mode="after")
    def _ordered(self) -> Amount:
        _in_order(*self.amount)
        return self

    def draw(self, random: Random) -> float:
        """Exact to the cent: counted in steps, never added up in binary fractions."""
        low, high, step = (Decimal(str(number)) for number in (*self.amount, self.step))
        return float(low + step * random.randint(0, int((high - low) / step)))


class Day(Generator):
    """A date from the first to the second, both included; its value is ISO 8601 text."""

    day: tuple[date, date]

    @model_validator(mode="after")
    def _ordered(self) -> Day:
        _in_order(*self.day)
        return self

    def draw(self, random: Random) -> str:
        first, last = self.day
        return (first + timedelta(days=random.randint(0, (last - first).days))).isoformat()


class Value(Generator):
    """Computed from other variables: a template, or a structure of templates."""

    value: Any

    @model_validator(mode="after")
    def _drawn_once(self) -> Value:
        if self.unlike:
            raise ValueError("a computed value cannot be drawn again: put `unlike` on a variable it is computed from")
        return self


GENERATORS: dict[str, type[Generator]] = {
    "pattern": FromPattern,
    "fake": Fake,
    "choice": Choice,
    "integer": Integer,
    "amount": Amount,
    "day": Day,
    "value": Value,
}


def _generator_of(value: Any) -> str | None:
    if isinstance(value, Generator):
        return next(key for key, kind in GENERATORS.items() if isinstance(value, kind))
    if isinstance(value, Mapping):
        return next((key for key in GENERATORS if key in value), None)
    return None


Variable = Annotated[
    Annotated[FromPattern, Tag("pattern")]
    | Annotated[Fake, Tag("fake")]
    | Annotated[Choice, Tag("choice")]
    | Annotated[Integer, Tag("integer")]
    | Annotated[Amount, Tag("amount")]
    | Annotated[Day, Tag("day")]
    | Annotated[Value, Tag("value")],
    Discriminator(_generator_of),
]
