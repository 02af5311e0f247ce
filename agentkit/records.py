"""The plain, frozen records that stages hand to each other. Nothing here does any work.

A *run* plays one agent. A *trial* is one play of one *instance* (a scenario's variant with its variables drawn from a
seed). A *step* is one thing the agent must get right, graded once per trial. The terms are explained in
`agentkit/measure/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType

RunId = NewType("RunId", str)
TrialId = NewType("TrialId", str)
AdapterName = NewType("AdapterName", str)
"""`refund-v1-3fa9`: the step, the version, and the beginning of the hash of what is in it."""
JobId = NewType("JobId", str)

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
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as an agent sees it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments, an object."""
    writes: bool = True
    """Whether a call may change the world."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that an agent asked for."""

    id: str
    name: str
    arguments: Mapping[str, Any] | None
    """None where the model's text was not a JSON object; `raw` then holds what it said."""
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cached_tokens + other.cached_tokens,
        )

    @property
    def total(self) -> int:
        """Input and output; reasoning and cached tokens are parts of those."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What is known of the request that produced an assistant message."""

    model: str
    usage: Usage = Usage()
    cost: float | None = None
    """US dollars; None where no price is known, which is not zero."""
    latency: float = 0.0
    """Seconds from request to the whole response, retries included."""
    attempts: int = 1
    finish_reason: str | None = None
    response_id: str | None = None
    failures: tuple[str, ...] | None = None
    """Kinds of the attempts that failed before (`rate_limit`, `server`, `timeout` ...), in order; None where another
    client than ours asked, so that nothing is known of them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    """`system`, `user`, `assistant` or `tool`."""
    content: str
    turn: int = 0
    """Index of the turn it belongs to, from 0; -1 for the system prompt."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    """Of a tool message: the tool."""
    error: str | None = None
    """Of a tool message: the qualified name of the exception the tool raised."""
    reasoning: str | None = None
    call: ModelCall | None = None
    span_id: str | None = None
    """16 hexadecimal digits: the `chat` or `execute_tool` span that produced it."""
    duration: float | None = None
    """Of a tool message: seconds that the call took."""
    planted: str | None = None
    """Id of the detour (`tool:timeout`, `model:refusal`) that disturbed this answer of a tool or a model."""
    original: str | None = None
    """What the tool or model would have said undisturbed, where a detour put `content` in its place; equal to `content`
    where a detour looked and found nothing to change."""


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
    scenarios: Mapping[str, str]
    """Scenario id → content hash (world and policy included)."""
    status: str = "running"
    """`running`, `finished`, `interrupted` or `stopped` (a hard limit)."""
    spent: Mapping[str, Any] = field(default_factory=dict)
    """Model calls, tokens and cost over all sittings, abandoned trials included."""


class AdapterState(StrEnum):
    """How far an adapter has come on its way to the users."""

    CANDIDATE = "candidate"
    """Published, and serves nobody."""
    CANARY = "canary"
    """Serves a share of the users beside what serves the others."""
    LIVE = "live"
    RETIRED = "retired"
    """Serves nobody any more."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained adapter in a folder that never changes, and what is known of it."""

    name: AdapterName
    step: str
    """Id of the step that it is to repair."""
    scenarios: tuple[str, ...]
    """Ids of the scenarios that it was trained for."""
    base: str
    """Name of the model whose weights it changes."""
    base_hash: str
    """Of that model's weights, configuration and tokenizer."""
    parents: tuple[AdapterName, ...]
    """Adapters that its training started from."""
    job: JobId | None
    """The job that trained it; None where it was published by hand."""
    path: str
    """Its folder, as the project's configuration writes it: absolute, or relative to the project."""
    hash: str
    """SHA-256 of its weights and configuration, 64 hexadecimal digits."""
    manifest_hash: str
    """SHA-256 of its manifest, and so of everything that is in the folder."""
    created_at: str
    """RFC 3339, UTC."""
    card: Mapping[str, Any]
    """What it was trained with and how, plain JSON (`agentkit/tune/README.md`)."""
    state: AdapterState = AdapterState.CANDIDATE
    certificate: Mapping[str, Any] | None = None
    """What measuring it before and after said, plain JSON; None before it was proved."""


class JobStatus(StrEnum):
    """What a training job is doing, or how it ended."""

    COMPILING = "compiling"
    """Turning scenarios into training examples."""
    AUDITING = "auditing"
    """Checking examples and rewards."""
    SAMPLING = "sampling"
    TRAINING = "training"
    PROVING = "proving"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Somebody stopped it; it can be taken up again."""
    FAILED = "failed"
    """An error ended it."""
    REFUSED = "refused"
    """There was a reason not to train: the examples, the rewards or the step itself."""

    @property
    def ended(self) -> bool:
        """Whether no process is at work on the job."""
        return self in (JobStatus.FINISHED, JobStatus.STOPPED, JobStatus.FAILED, JobStatus.REFUSED)


@dataclass(frozen=True, slots=True)
class Job:
    """The training of an adapter for one step, from its examples to its proof."""

    id: JobId
    step: str
    """Id of the step that it is to repair."""
    folder: str
    """Where its files are, as the project's configuration writes it."""
    created_at: str
    """RFC 3339, UTC."""
    updated_at: str
    """The same; of the last change."""
    settings: Mapping[str, Any]
    """What it was told, enough to take it up again; plain JSON."""
    status: JobStatus = JobStatus.COMPILING
    stage: str = ""
    """In words, what it is at: `step 12 of 40`."""
    pid: int | None = None
    """The process at work on it; None where it has ended or not begun."""
    result: Mapping[str, Any] | None = None
    """What came of it, plain JSON; None before it has ended."""
