"""One instance of a scenario's variant: variables drawn, every template rendered, the turns in playing order.

A scenario is compiled once: its variants are laid out, and what holds no template is kept as it is. Drawing an instance
then only fills the templates in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agentkit.records import GOLDEN
from agentkit.scenario.drawing import Drawing, VariableError
from agentkit.scenario.expressions import Values
from agentkit.scenario.filters import RenderError, as_text
from agentkit.scenario.matchers import RENDERED, Pattern
from agentkit.scenario.model import Check, Detour, Order, Persona, Scenario, Step, Turn, Wording
from agentkit.scenario.streams import derive
from agentkit.scenario.template import PathText, RegexText, compile_data, is_template
from agentkit.scenario.validation import trace

M = TypeVar("M", bound=BaseModel)
Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class PlayTurn:
    """A turn ready to be played."""

    id: str
    user: str
    order: Order
    steps: tuple[Step, ...]
    detour: str | None = None
    """Id of the detour it belongs to; None on the golden path."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What one trial plays."""

    scenario: str
    variant: str
    seed: int
    variables: Mapping[str, Any]
    world: Mapping[str, Any]
    """Initial state, rendered."""
    turns: tuple[PlayTurn, ...]
    outcome: tuple[Check, ...]
    void: tuple[tuple[Step, str], ...] = ()
    """Golden steps that this variant makes void, each with the reason in words."""
    persona: Persona = field(default_factory=Persona)


class DrawError(ValueError):
    """An instance that cannot be drawn from this seed; `keys` is the place in the document."""

    def __init__(self, keys: Keys, message: str) -> None:
        super().__init__(message)
        self.keys = keys


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the scenario, with its place in the document, that the variables fill in."""

    keys: Keys
    render: Callable[[Values], Any]
    model: type[BaseModel] | None = None
    """What it renders to, where that is validated."""

    def __call__(self, values: Values) -> Any:
        try:
            return self.render(values)
        except RenderError as error:
            raise DrawError(self.keys, str(error)) from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            inside = trace(self.model, first["loc"])[0] if self.model else ()
            message = first["msg"].removeprefix("Value error, ")
            raise DrawError((*self.keys, *inside), f"with the drawn variables: {message}") from None


@dataclass(frozen=True, slots=True)
class _TurnPlan:
    id: str
    wordings: tuple[Piece, ...]
    order: Order
    steps: tuple[Piece, ...]
    detour: str | None

    def picked(self, seed: int) -> int:
        """Place of the wording that a seed picks."""
        return derive(seed, "wording", self.id) % len(self.wordings) if len(self.wordings) > 1 else 0

    def play(self, seed: int, values: Values) -> PlayTurn:
        user = as_text(self.wordings[self.picked(seed)](values))
        return PlayTurn(self.id, user, self.order, tuple(step(values) for step in self.steps), self.detour)


@dataclass(frozen=True, slots=True)
class _Variant:
    turns: tuple[_TurnPlan, ...]
    outcome: tuple[Piece, ...]
    void: tuple[tuple[Piece, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled scenario."""

    scenario: str
    drawing: Drawing
    world: Piece
    persona: Piece
    variants: Mapping[str, _Variant]

    def values(self, seed: int) -> dict[str, Any]:
        """The variables of a seed. Raises DrawError."""
        try:
            return self.drawing.draw(seed)
        except VariableError as error:
            raise DrawError(("variables", error.name), str(error)) from None

    def draw(self, variant: str, seed: int) -> Instance:
        """The instance of a seed, the same in every process. Raises DrawError; KeyError for an unknown variant."""
        plan, values = self.variants[variant], self.values(seed)
        return Instance(
            scenario=self.scenario,
            variant=variant,
            seed=seed,
            variables=values,
            world=self.world(values),
            turns=tuple(turn.play(seed, values) for turn in plan.turns),
            outcome=tuple(check(values) for check in plan.outcome),
            void=tuple((step(values), reason) for step, reason in plan.void),
            persona=self.persona(values),
        )

    def wording(self, variant: str, turn: str, seed: int) -> tuple[int, int]:
        """Which of a turn's wordings the seed picks, from 0, and how many there are. Raises KeyError for a turn that
        the variant does not have."""
        plan = self._turn(variant, turn)
        return plan.picked(seed), len(plan.wordings)

    def worded(self, variant: str, turn: str, wording: int, values: Values) -> str:
        """A turn in one of its wordings. Raises KeyError as `wording`, DrawError where it cannot be filled in."""
        return as_text(self._turn(variant, turn).wordings[wording](values))

    def _turn(self, variant: str, turn: str) -> _TurnPlan:
        for plan in self.variants[variant].turns:
            if plan.id == turn:
                return plan
        raise KeyError(turn)

    def pieces(self) -> list[Piece]:
        """Every part that is filled in, once."""
        pieces = [self.world, self.persona]
        for variant in self.variants.values():
            pieces += [piece for turn in variant.turns for piece in (*turn.wordings, *turn.steps)]
            pieces += [*variant.outcome, *(piece for piece, _ in variant.void)]
        return list({id(piece): piece for piece in pieces}.values())


def compile_plan(scenario: Scenario, drawing: Drawing) -> Plan:
    """Lays out every variant of a checked scenario. Raises TemplateError."""
    golden = [_turn(turn, ("turns", index)) for index, turn in enumerate(scenario.turns)]
    outcome = _models(scenario.outcome, ("outcome",))
    variants = {GOLDEN: _Variant(tuple(golden), outcome, ())}
    for index, detour in enumerate(scenario.detours):
        variants[detour.id] = _detour_variant(scenario, detour, golden, outcome, ("detours", index))
    return Plan(
        scenario=scenario.id,
        drawing=drawing,
        world=Piece(("world",), compile_data(scenario.world).render),
        persona=_model(scenario.persona, ("persona",)),
        variants=variants,
    )


def _turn(turn: Turn, keys: Keys, detour: str | None = None) -> _TurnPlan:
    wordings = (
        {(): turn.user} if isinstance(turn.user, str) else {(index,): text for index, text in enumerate(turn.user)}
    )
    pieces = [Piece((*keys, "user", *index), compile_data(text).render) for index, text in wordings.items()]
    return _TurnPlan(turn.id, tuple(pieces), turn.order, _models(turn.steps, (*keys, "steps")), detour)


def _detour_variant(
    scenario: Scenario, detour: Detour, golden: Sequence[_TurnPlan], outcome: tuple[Piece, ...], keys: Keys
) -> _Variant:
    """The golden path up to where it is left, the detour, and the golden path again from where it rejoins."""
    ids = [turn.id for turn in golden]
    leaves = 0 if detour.leaves is None else ids.index(detour.leaves)
    rejoins = len(ids) if detour.rejoins == "end" else 0 if detour.rejoins is None else ids.index(detour.rejoins)
    replacements = _models(detour.replaces, (*keys, "replaces"))
    replaced = {step.id: piece for step, piece in zip(detour.replaces, replacements, strict=True)}
    void: list[tuple[Piece, str]] = []
    turns = list(golden[:leaves])
    turns += [_turn(turn, (*keys, "turns", index), detour.id) for index, turn in enumerate(detour.turns or ())]
    for index in range(leaves, len(golden)):
        plan, kept = golden[index], []
        for step, piece in zip(scenario.turns[index].steps, plan.steps, strict=True):
            if index < rejoins:
                void.append((piece, f"the detour {detour.id!r} skips the turn {plan.id!r}"))
            elif step.id in detour.void:
                void.append((piece, f"no longer due after the detour {detour.id!r}"))
            else:
                kept.append(replaced.get(step.id, piece))
        if index >= rejoins:
            turns.append(_TurnPlan(plan.id, plan.wordings, plan.order, tuple(kept), plan.detour))
    if detour.outcome is not None:
        outcome = _models(detour.outcome, (*keys, "outcome"))
    return _Variant(tuple(turns), outcome, tuple(void))


def _models(models: Sequence[BaseModel], keys: Keys) -> tuple[Piece, ...]:
    return tuple(_model(model, (*keys, index)) for index, model in enumerate(models))


def _model(model: M, keys: Keys) -> Piece:
    """A model that is rendered and validated again where it holds a template, and stays itself where it does not."""
    if not is_template(model.model_dump_json(exclude_unset=True)):
        return Piece(keys, lambda _: model)
    template = compile_data(_written(model))
    validate = type(model).__pydantic_validator__.validate_python
    return Piece(keys, lambda values: validate(template.render(values), context=RENDERED), type(model))


def _written(value: Any) -> Any:
    """A model as a document would spell it out, its regular expressions marked as such."""
    if isinstance(value, BaseModel):
        return dict(_fields(value))
    if isinstance(value, dict):
        return {key: _written(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in value]
    return value


def _fields(model: BaseModel) -> Iterator[tuple[str, Any]]:
    for name in type(model).model_fields:
        if name not in model.model_fields_set:
            continue
        value = _written(getattr(model, name))
        if name in ("pattern", "not_pattern") and value is not None and isinstance(model, (Pattern, Wording)):
            value = RegexText(value)
        elif name == "state" and value is not None:
            value = {PathText(path): expected for path, expected in value.items()}
        yield name, value
