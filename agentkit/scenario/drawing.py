"""Draws all variables of an instance, in the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from agentkit.scenario.expressions import TemplateError
from agentkit.scenario.filters import RenderError
from agentkit.scenario.rows import Row
from agentkit.scenario.streams import stream
from agentkit.scenario.template import Template, compile_data
from agentkit.scenario.variables import Generator, Value

_TRIES = 1_000


class VariableError(ValueError):
    """A variable that cannot be drawn; `name` tells which."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that is drawn for an instance, compiled once per scenario."""

    order: tuple[tuple[str, Generator, Template | None], ...]
    """Name, generator, and the compiled template of a computed value; each after what it is drawn from."""
    rows: tuple[Row, ...] = ()
    row_order: Literal["random", "sequential"] = "random"

    @property
    def cycle(self) -> int:
        """By which a seed's remainder is the place of its row, from 0; 1 where no rows are played in order."""
        return len(self.rows) if self.rows and self.row_order == "sequential" else 1

    def draw(self, seed: int) -> dict[str, Any]:
        """The values of the seed; the same in every process. Raises VariableError."""
        values: dict[str, Any] = dict(self._row(seed))
        for name, generator, template in self.order:
            try:
                values[name] = template.render(values) if template else _draw(name, generator, seed, values)
            except RenderError as error:
                raise VariableError(name, str(error)) from None
        return values

    def _row(self, seed: int) -> Row:
        if not self.rows:
            return {}
        if self.row_order == "sequential":
            return self.rows[seed % self.cycle]
        return self.rows[stream(seed, "rows").randrange(len(self.rows))]


def _draw(name: str, generator: Any, seed: int, values: Mapping[str, Any]) -> Any:
    random = stream(seed, "variable", name)
    taken = [values[other] for other in generator.unlike]
    for _ in range(_TRIES):
        value = generator.draw(random)
        if value not in taken:
            return value
    raise RenderError(f"no value unlike {', '.join(generator.unlike)} was found in {_TRIES:,} draws")


def compile_drawing(
    variables: Mapping[str, Generator], rows: Sequence[Row], row_order: Literal["random", "sequential"]
) -> Drawing:
    """Puts the variables in order. Raises TemplateError, and VariableError for a cyclic reference."""
    templates = {
        name: compile_data(generator.value) for name, generator in variables.items() if isinstance(generator, Value)
    }
    needs = {
        name: sorted(templates[name].names) if name in templates else generator.unlike
        for name, generator in variables.items()
    }
    cycle = find_cycle(needs)
    if cycle:
        raise VariableError(cycle[0], f"cyclic reference: {' -> '.join(cycle)}")
    names = [name for name in TopologicalSorter(needs).static_order() if name in variables]
    order = tuple((name, variables[name], templates.get(name)) for name in names)
    return Drawing(order, tuple(rows), row_order)


def needed_by(data: Mapping[str, Any]) -> list[str]:
    """What one variable, as written in a document, is drawn from; templates that are wrong need nothing."""
    unlike = data.get("unlike")
    names = [name for name in unlike if isinstance(name, str)] if isinstance(unlike, list) else []
    if "value" in data:
        try:
            names.extend(sorted(compile_data(data["value"]).names))
        except TemplateError:
            return names
    return names


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The first cycle as `[a, b, a]` where a needs b, None where there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle[::-1]
    return None
