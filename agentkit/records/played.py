"""Runs, trials and the grades of their steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType

from agentkit.records.conversation import Message, Usage

RunId = NewType("RunId", str)
TrialId = NewType("TrialId", str)

GOLDEN = "golden"
"""The variant in which nobody leaves the golden path."""
OWN_WORDS = ("own", "first", "none")
"""Words that choose among the detours that a scenario defines itself: all of them, one, none."""
CATALOGUE_WORDS = ("all", "user", "tool", "model")
"""Words that choose from the catalogue of detours: all of it, or one party's."""


class Party(StrEnum):
    """Whose fault something was."""

    AGENT = "agent"
    USER = "user"
    """The simulated user."""
    TOOL = "tool"
    JUDGE = "judge"
    INFRASTRUCTURE = "infrastructure"
    HARNESS = "harness"


class Verdict(StrEnum):
    """How a trial ended, as a user would judge it."""

    SUCCESS = "success"
    FAILURE = "failure"
    INVALID = "invalid"
    """Somebody other than the agent was at fault: counts neither way."""
    OPEN = "open"
    """A fork: one turn was played, so nobody knows how the conversation would have ended. No success, no failure."""


class Status(StrEnum):
    """What became of one step in one trial."""

    PASSED = "passed"
    FAILED = "failed"
    UNGRADED = "ungraded"
    """Reached, but the judge could not say: in no denominator, counted by itself."""
    NOT_REACHED = "not_reached"
    """Its turn never began, or the step was void: in no denominator."""


class Stop(StrEnum):
    """Why a trial's conversation ended."""

    COMPLETED = "completed"
    TURN_LIMIT = "turn_limit"
    TOKEN_LIMIT = "token_limit"
    TIME_LIMIT = "time_limit"
    AGENT_ERROR = "agent_error"
    """The agent under test raised or answered something that is no answer: its own fault, so the trial failed."""
    USER_ERROR = "user_error"
    """The simulated user said what it may not say, and could not be put right: the trial is invalid."""
    USER_LEFT = "user_left"
    """The simulated user had what they came for, and left before the last turn: the outcome decides."""
    INVALID = "invalid"

    @property
    def error(self) -> str | None:
        """What a trace calls the error that ended it; None where nothing went wrong."""
        return None if self in (Stop.COMPLETED, Stop.USER_LEFT) else f"agentkit.{self}"


class Effect(StrEnum):
    """Whether a planned disturbance took place, as the recorded trial bears witness."""

    TRIGGERED = "triggered"
    NOT_TRIGGERED = "not_triggered"
    """The agent never gave occasion. The trial counts, the detour's own steps are not reached."""
    SUPPRESSED = "suppressed"
    """There was occasion and the harness failed to disturb: the trial is invalid."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What became of one detour of the catalogue in one trial."""

    detour: str
    """Its id: `user:vague`, `tool:timeout`, `model:rate_limit`."""
    intensity: float
    """0 to 1."""
    effect: Effect
    occasions: int
    """How often there was occasion to disturb."""
    disturbed: int
    """How often the record shows that it was done."""
    evidence: str
    """In words, what in the record shows it."""


@dataclass(frozen=True, slots=True)
class StepGrade:
    """The verdict on one step (or one outcome check) of one trial."""

    step: str
    """Unique within the scenario and variant."""
    status: Status
    check: str
    """Which check decided, e.g. `call.arguments`, `reply.mentions`, `state`."""
    reason: str
    """In words, for the person who reads the conversation."""
    score: float | None = None
    """0 to 1; None where the step was not graded."""
    turn: int | None = None
    """Index of the turn it belongs to, from 0; None for an outcome check, and for a step that is void."""
    skill: str | None = None
    expected: Any = None
    found: Any = None
    """Both plain JSON, cut to a readable length."""
    fault: Party | None = None
    """None where the step passed or was not reached."""
    span_id: str | None = None


class ForkKind(StrEnum):
    """What is different from the golden path in the one turn that a fork plays."""

    GOLDEN = "golden"
    """Nothing that the agent can meet."""
    DETOUR = "detour"
    """This turn itself: the user strays in it, or a fault has its place in it."""
    AFTER = "after"
    """Only what lies behind: it is a golden turn, and the user has strayed before."""


@dataclass(frozen=True, slots=True)
class Fork:
    """What makes a trial a fork: the agent played one turn of it, from a right history that it was given."""

    variant: str
    """Whose turn it is. The key's variant names the turn too (`golden/2`)."""
    turn: int
    """Index of the turn that the agent played, from 0."""
    given: int
    """How many of the messages, from the first on, were given: the golden agent's, and the user's."""
    kind: ForkKind
    serves: tuple[str, ...]
    """The variants for whose steps it counts."""
    shared: int = 0
    """Moves of the agent that were taken from another fork, where it stood at the very same moment."""


@dataclass(frozen=True, slots=True)
class TrialKey:
    """What a trial is, before it is played. Equal keys are the same trial: it is never played twice in a run.

    The same instance and repeat played by two agents make a true pair.
    """

    scenario: str
    variant: str
    instance: int
    """Seed from which the variables are drawn."""
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """One played and graded conversation."""

    id: TrialId
    run: RunId
    index: int
    """Place in the run's order, from 0; stable across resumes."""
    key: TrialKey
    verdict: Verdict
    stop: Stop
    messages: tuple[Message, ...]
    steps: tuple[StepGrade, ...]
    """In playing order, not-reached ones included."""
    outcome: tuple[StepGrade, ...]
    variables: Mapping[str, Any]
    usage: Usage
    model_calls: int
    cost: float | None
    started_at: str
    """RFC 3339, UTC."""
    duration: float
    """Seconds."""
    trace_id: str | None = None
    conversation_id: str = ""
    fault: Party | None = None
    """Of an invalid or failed trial."""
    reason: str = ""
    """In words, why the trial is invalid or was cut short."""
    final_state: Any = None
    """The world at the end, plain JSON."""
    disturbances: tuple[Disturbance, ...] = ()
    """One for each detour of the catalogue that was to disturb it."""
    fork: Fork | None = None
    """None where the whole conversation was played."""


@dataclass(frozen=True, slots=True)
class Run:
    """One agent playing a list of trials under fixed settings."""

    id: RunId
    agent: str
    agent_hash: str
    """Of everything in the agent's definition that can change its answers; secrets are not part of it."""
    deterministic: bool
    """Whether equal requests get equal answers (temperature 0), so that repeats of one instance count once."""
    seed: int
    planned: int
    """Number of trials."""
    created_at: str
    settings: Mapping[str, Any]
    """What `run` was told, enough to resume and to repeat it."""
    versions: Mapping[str, str]
    """Of what was installed; and of a model that was served for the run, its precision."""
    scenarios: Mapping[str, str]
    """Scenario id → content hash (world and policy included)."""
    status: str = "running"
    """`running`, `finished`, `interrupted` or `stopped` (a hard limit)."""
    spent: Mapping[str, Any] = field(default_factory=dict)
    """Model calls, tokens and cost over all sittings, abandoned trials included."""

    @property
    def by_items(self) -> bool:
        """Whether items of pytest said what to play, one after the other: there is no plan to go on with."""
        return self.settings.get("variants") == []
