"""The scenario format: what a YAML file may say, and equally what Python may build.

A scenario is a conversation with a goal: turns that a user plays, the steps expected of the agent in each, the world's
initial state, and the outcome expected of it at the end. Detours say where a user leaves the golden path, what is
expected there, and where the conversation rejoins. Strings marked *template* may hold `{{ variable }}`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agentkit.scenario.filters import as_text
from agentkit.scenario.matchers import RENDERED, Matcher, Mention, Regex
from agentkit.scenario.rewards import read_references
from agentkit.scenario.schema_refs import nowhere
from agentkit.scenario.server import ServerWorld
from agentkit.scenario.template import texts
from agentkit.scenario.variables import Variable

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
Template = str
ID_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
Order = Literal["strict", "any", "subset"]


class Model(BaseModel):
    """Frozen, and strict about unknown keys: a typing error is an error, never a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Call(Model):
    """The agent calls a tool."""

    name: str
    """Name of one of the world's tools."""
    arguments: dict[str, Matcher] = {}
    """Argument → expected value or matcher. A tool's default values count as given."""
    match: Literal["exact", "subset"] = "exact"
    """`exact`: no other arguments; `subset`: others may be there."""
    result: Matcher | None = None
    """What the tool must have answered (its JSON; the text itself where it is none): the call was right, and came when
    it could do what it should."""


class Wording(Model):
    """Conditions on the words of a text; every one given must hold."""

    mentions: list[Mention] = []
    """Each must occur, regardless of case and spacing; a list inside the list holds alternatives; a number is
    found by value (`12.5` in "$12.50")."""
    not_mentions: list[Mention] = []
    """None of these may occur."""
    pattern: Regex | None = None
    """Regular expression that is found in the text (template)."""
    not_pattern: Regex | None = None
    """Regular expression that is found nowhere in the text (template)."""
    max_words: Annotated[StrictInt, Field(gt=0)] | None = None


class Reply(Wording):
    """The agent's answer in this turn; every condition given must hold."""

    json_schema: dict[str, Any] | None = None
    """The answer is JSON that this JSON Schema accepts."""
    asks: StrictBool | None = None
    """Whether the answer asks a question."""
    judge: Template | None = None
    """Rubric for the LLM judge, in one or two sentences that can be answered with yes or no."""
    reward: str | None = None
    """Rewards of the project's `rewards` folder that grade the answer: `module`, `module:part,part`, or several of
    these joined by `+`."""
    at_least: Annotated[StrictFloat, Field(gt=0, le=1)] | None = None
    """What the rewards must come to, as the share of their points; left out, all of them (1)."""
    golden: Template | None = None
    """A right answer, word for word: what the scripted agent says, and what rewards and training may compare with."""

    @field_validator("reward")
    @classmethod
    def _names_rewards(cls, reward: str | None) -> str | None:
        if reward is not None:
            read_references(reward)
        return reward

    @model_validator(mode="after")
    def _has_what_to_hold_against(self) -> Self:
        if self.at_least is not None and self.reward is None:
            raise ValueError("`at_least` says how much a `reward` must give, and there is no `reward`")
        return self

    @field_validator("json_schema")
    @classmethod
    def _is_schema(cls, schema: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        if schema is None or (info.context is not RENDERED and next(texts(schema), None)):
            return schema  # with templates in it, it is one only once they are filled in
        from jsonschema import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for

        try:
            validator_for(schema, default=Draft202012Validator).check_schema(schema)
        except SchemaError as error:
            where = "/".join(map(str, error.path))
            raise ValueError(f"not a valid JSON Schema: {f'{where}: ' if where else ''}{error.message}") from None
        if ref := nowhere(schema):
            raise ValueError(f"not a valid JSON Schema: nothing in it is what {ref!r} refers to")
        return schema


class Reasoning(Wording):
    """Conditions on the model's reasoning. Where the model shows none, the step is void."""


class Step(Model):
    """One thing to get right: exactly one of `call`, `reply`, `state`, `no_call`, `reasoning`."""

    id: Name
    """Unique within the scenario, its detours included."""
    skill: Name | None = None
    """Groups steps across scenarios: what a person would fix, train or route (`verify_identity`)."""
    tags: list[str] = []
    """`tag:NAME` selects the step in gates and trainings."""
    call: Call | None = None
    reply: Reply | None = None
    state: dict[Template, Matcher] | None = None
    """Path into the world's state, parts joined by `/` → expected value or matcher, right after the turn."""
    no_call: Literal["any", "other"] | list[str] | None = None
    """`any`: no call at all in this turn; `other`: none beyond those the turn's call steps expect; or the names of
    tools that must not be called."""
    reasoning: Reasoning | None = None


class Check(Model):
    """One condition on the outcome: exactly one of `state`, `reply`, `no_call` or `results`, at the end of the
    conversation."""

    id: Name
    state: dict[Template, Matcher] | None = None
    reply: Reply | None = None
    """Holds for what the agent said in the whole conversation, all its answers joined by line breaks."""
    no_call: list[str] | None = None
    """Names of tools that were never called successfully."""
    results: list[Matcher] | None = None
    """What tools must have answered in the course of the conversation, in any order; each answer counts once."""


class Turn(Model):
    """What the user says, and what is expected of the agent until the user speaks again."""

    id: Name
    user: Template | list[Template]
    """One wording, or several of which the seed picks one."""
    order: Order = "subset"
    """Of the turn's calls. `strict`: these, in this order, no others; `any`: these in any order, no others;
    `subset`: these in any order, others allowed. An unexpected call is charged to the call step that comes next
    (to the last one where none does)."""
    steps: list[Step] = []


class Use(Model):
    """A detour of the catalogue at work in a scenario's own detour; the other keys are its parameters."""

    model_config = ConfigDict(extra="allow")

    use: str
    """Its id: `tool:timeout`, `user:typos`, `model:refusal`."""


class Detour(Model):
    """Where a user leaves the golden path, what is then expected, and where the conversation rejoins; or what disturbs
    the golden path; or both.

    `leaves`, `turns` and `rejoins` belong together. Without them the golden turns are played.
    """

    id: Name
    title: str = ""
    tags: list[str] = []
    """`tag:NAME` selects all steps of the conversation that it makes."""
    leaves: Name | None = None
    """Id of the golden turn before which the detour's turns are played."""
    turns: Annotated[list[Turn], Field(min_length=1)] | None = None
    rejoins: Name | Literal["end"] | None = None
    """Id of the golden turn that is played next: the one that was left (nothing is skipped) or a later one (the turns
    between are void), or `end`."""
    void: list[Name] = []
    """Steps of later golden turns that are no longer due after this detour."""
    replaces: list[Step] = []
    """Steps of later golden turns, by id, that are expected differently after this detour."""
    outcome: list[Check] | None = None
    """Replaces the scenario's outcome; left out, the golden outcome still holds."""
    disturb: Annotated[list[Use], Field(min_length=1)] | None = None
    """Detours of the catalogue that are at work in it, applied in this order."""


class Rows(Model):
    """Variables taken from a file's rows: one instance, one row."""

    file: str
    """JSONL or CSV, beside the scenario file; its columns become variables."""
    order: Literal["random", "sequential"] = "random"
    """`random`: the seed picks the row; `sequential`: instance n of a run plays row n, modulo their number."""


Said = Annotated[str, BeforeValidator(lambda value: as_text(value) if type(value) in (int, float) else value)]
"""A text (template); a number stands for its digits."""


class Fact(Model):
    """Something that the user knows and may tell."""

    say: Said
    when: Literal["volunteered", "asked"] = "asked"
    """`asked`: only after the agent has asked a question; `volunteered`: whenever the user likes."""


class Persona(Model):
    """Who the user is. Scripted users only carry it; simulated ones speak by it."""

    description: Template = ""
    goal: Template = ""
    style: Template = ""
    facts: dict[Name, Fact | Said] = {}
    """What the user knows beside what the turns say, by name. A plain text is told when the agent asks."""
    rules: list[Template] = []
    """What the user does and never does, a sentence each."""


class Scenario(Model):
    """One conversation with a goal, and its detours."""

    id: Annotated[str, Field(pattern=ID_PATTERN)] = ""
    """Given by the file's path below the suite folder; only Python scenarios state it."""
    title: str
    """What it is about, in a few words, for tables and reports."""
    tags: list[str] = []
    agent: str | None = None
    """Name of the agent this is written for; used where `--agent` is not given."""
    user: str | None = None
    """Name of the simulated user who plays it; used where `--user` is not given."""
    persona: Persona = Persona()
    variables: dict[Name, Variable] = {}
    """Name → generator; drawn from the instance's seed."""
    rows: Rows | None = None
    world: dict[Template, Any] = {}
    """Initial state (template in keys and values); handed to the suite's `initial_state` if it has one."""
    turns: Annotated[list[Turn], Field(min_length=1)]
    """The golden path, in order."""
    outcome: Annotated[list[Check], Field(min_length=1)]
    """What must hold at the end for the trial to be a success, as a user would judge it."""
    detours: list[Detour] = []


class SuiteFile(Model):
    """`suite.yaml`: what the scenarios of one folder share."""

    title: str
    world: str | ServerWorld | None = None
    """Python file beside it that defines `TOOLS` (a list of functions) and may define `initial_state(state)`; or
    `mcp`, the settings of a server."""
    policy: str | None = None
    """Markdown file beside it: the system prompt of chat agents that have none of their own."""
    agent: str | None = None
    user: str | None = None
    """Name of the simulated user who plays the scenarios that name none themselves."""
    tags: list[str] = []
