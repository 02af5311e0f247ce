"""The agents under test, simulated users, the judge, and limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from agentkit.config.settings import FALSE_IS_NONE, Endpoint, ModelName, Sampling, Settings


class ChatAgent(Endpoint, Sampling):
    """A chat model with a system prompt and the world's tools."""

    kind: Literal["chat"]
    engine: ModelName | None = None
    """A model to be served here as long as it is needed, so that no endpoint is: `embedded`, the small one that ships
    with the demo; a model's folder; or its name in a model hub."""
    model: str = ""
    """As the endpoint names it; may be left out with an engine."""
    adapters: tuple[str, ...] = ()
    """With an engine: names of trained adapters whose changes the model's weights get (`agentkit adapters`)."""
    system: str | None = None
    """System prompt; left out, the suite's policy is used."""
    system_file: str | None = None
    """The same from a file."""
    guided: bool = False
    """Constrain every answer to a JSON Schema of the tools (for models that know no tool calls)."""
    calls_per_turn: Annotated[int, Field(gt=0)] | None = None
    """After so many rounds of tool calls in a turn no tools are offered, so that an answer in words must follow."""


class GraphAgent(Settings):
    """The user's own compiled LangGraph graph over a `messages` state."""

    kind: Literal["langgraph"]
    graph: str
    """`module:factory`; the factory may take `tools` (LangChain tools that act on the trial's world) and `policy`."""
    deterministic: bool = False
    """Whether it does the same thing in the same conversation every time, so that repeats of an instance count once."""
    recursion_limit: Annotated[int, Field(gt=0)] = 50
    """Supersteps of the graph for one of the user's turns."""


class FunctionAgent(Settings):
    """An asynchronous Python callable."""

    kind: Literal["function"]
    function: str
    """`module:function`, called with the moment (`messages`, `tools`, `call_tool`, `policy`)."""
    deterministic: bool = False
    """As a LangGraph agent's."""


class HttpAgent(Settings):
    """An agent behind an HTTP endpoint, with a mapping of request and response."""

    kind: Literal["http"]
    url: str
    """Asked for every move."""
    method: Literal["POST", "PUT"] = "POST"
    """Of the request."""
    headers: dict[str, str] = {}
    """Sent with every request. No place for secrets."""
    header_env: dict[str, str] = {}
    """Header → name of the environment variable that holds its value."""
    request: dict[str, Any] = {"messages": "messages", "conversation_id": "conversation_id"}
    """Body: each text is a JMESPath expression over `messages`, `user`, `conversation_id`, `turn`, `tools`, `policy`
    (a literal is written 'in quotes')."""
    reply: str = "reply"
    """JMESPath of the answer's text in the response."""
    calls: str | None = None
    """JMESPath of a list of calls `{name, arguments, id?, result?}`. A call without `result` is executed here and its
    result sent in the next request; one with a result was executed by the agent and is recorded as it is."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds an attempt may take."""
    retry_for: Annotated[float, Field(ge=0)] = 120.0
    """Seconds after which trouble is no longer retried."""
    deterministic: bool = False
    """As a LangGraph agent's."""


class ScriptedAgent(Settings):
    """The public fake: does the golden thing with a set accuracy, and otherwise a plausible wrong thing."""

    kind: Literal["scripted"]
    accuracy: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Chance of the golden thing at each step."""
    steps: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    """Step id or skill → its own accuracy."""


AgentSettings = Annotated[
    ChatAgent | GraphAgent | FunctionAgent | HttpAgent | ScriptedAgent, Field(discriminator="kind")
]


class ScriptedUser(Settings):
    """Says the turns' own words."""

    kind: Literal["scripted"]


class TemplatedUser(Settings):
    """Says the turns' words in another way, drawn from the instance's seed; asks no model."""

    kind: Literal["templated"]
    style: Literal["plain", "terse", "chatty", "polite", "formal", "casual"] | None = None
    """Left out, the persona's own `style` decides, and the seed where that says nothing."""
    leaves: bool = False
    """Goes once they have what they came for: calls were due, and none is from here on. The turns that are left are
    not reached."""


class LlmUser(Endpoint, Sampling):
    """A model that phrases what each turn means, and answers the agent's questions from the persona's facts."""

    kind: Literal["llm"]
    engine: ModelName | None = None
    """As a chat agent's."""
    model: str = ""
    """As the endpoint names it; may be left out with an engine."""
    max_tokens: Annotated[Annotated[int, Field(gt=0)] | None, FALSE_IS_NONE] = 300
    """Of one answer; `false`: as the provider sets it."""
    tries: Annotated[int, Field(ge=0, le=20)] = 2
    """How often it is asked again, with the reason, after it said what it may not."""
    max_characters: Annotated[int, Field(ge=50, le=20_000)] = 1000
    """Of one message; twice the turn's own words are allowed in any case."""
    names: bool = True
    """Check names by their capital letters; to be switched off for a language that writes other words so (German)."""


UserSettings = Annotated[ScriptedUser | TemplatedUser | LlmUser, Field(discriminator="kind")]


class JudgeSettings(Endpoint, Sampling):
    """The LLM that judges rubrics. Left out, `temperature` is 0 and `max_tokens` 400."""


class Limits(Settings):
    """An agent that hits one of these failed the trial, `tool_seconds` excepted."""

    moves_per_turn: Annotated[int, Field(gt=0)] = 8
    """Answers and rounds of tool calls until the user must have a reply."""
    tokens: Annotated[Annotated[int, Field(gt=0)] | None, FALSE_IS_NONE] = 200_000
    """Per trial, input and output; `false`: no limit."""
    seconds: Annotated[Annotated[float, Field(gt=0)] | None, FALSE_IS_NONE] = 600.0
    """Per trial, on the agent's side; failed attempts at a provider and the pauses after them are not counted. `false`:
    no limit."""
    tool_seconds: Annotated[Annotated[float, Field(gt=0)] | None, FALSE_IS_NONE] = 60.0
    """Per tool call. A tool that takes longer is broken, and its trial invalid: no agent is to blame for it.
    `false`: no limit."""
