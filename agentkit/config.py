"""`[tool.agentkit]` of `pyproject.toml`: the agents under test, the judge, prices, limits and where things are.

Secrets are never written here: a setting names the environment variable that holds one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentkit.errors import ConfigError, near_match

FILE = "pyproject.toml"
DEFAULT_STORE = "sqlite:///.agentkit/agentkit.db"
DEFAULT_ADAPTERS = ".agentkit/adapters"


class Settings(BaseModel):
    """Frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Sampling(Settings):
    """What is sent with every request; what is not set is left to the provider."""

    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    extra_body: dict[str, Any] = {}
    """Further members of the request, as the provider defines them."""


class Endpoint(Settings):
    """An OpenAI-compatible endpoint."""

    model: str
    base_url: str = "https://api.openai.com/v1"
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""
    headers: dict[str, str] = {}
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds an attempt may take."""
    retry_for: Annotated[float, Field(ge=0)] = 120.0
    """Seconds after which trouble is no longer retried."""


class ChatAgent(Endpoint, Sampling):
    """A chat model with a system prompt and the world's tools."""

    kind: Literal["chat"]
    engine: Literal["embedded"] | None = None
    """`embedded`: start the small model that ships with the demo, and stop it afterwards; no endpoint is needed."""
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
    recursion_limit: Annotated[int, Field(gt=0)] = 50


class FunctionAgent(Settings):
    """An asynchronous Python callable."""

    kind: Literal["function"]
    function: str
    """`module:function`, called with the moment (`messages`, `tools`, `call_tool`, `policy`)."""
    deterministic: bool = False


class HttpAgent(Settings):
    """An agent behind an HTTP endpoint, with a mapping of request and response."""

    kind: Literal["http"]
    url: str
    method: Literal["POST", "PUT"] = "POST"
    headers: dict[str, str] = {}
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


class ScriptedAgent(Settings):
    """The public fake: does the golden thing with a set accuracy, and otherwise a plausible wrong thing."""

    kind: Literal["scripted"]
    accuracy: Annotated[float, Field(ge=0, le=1)] = 1.0
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


class LlmUser(Endpoint, Sampling):
    """A model that phrases what each turn means, and answers the agent's questions from the persona's facts."""

    kind: Literal["llm"]
    engine: Literal["embedded"] | None = None
    """`embedded`: the small model that ships with the demo; no endpoint is needed."""
    model: str = ""
    """As the endpoint names it; may be left out with an engine."""
    max_tokens: Annotated[int, Field(gt=0)] | None = 300
    tries: Annotated[int, Field(ge=0, le=20)] = 2
    """How often it is asked again, with the reason, after it said what it may not."""
    max_characters: Annotated[int, Field(ge=50, le=20_000)] = 1000
    """Of one message; twice the turn's own words are allowed in any case."""
    names: bool = True
    """Check names by their capital letters; to be switched off for a language that writes other words so (German)."""


UserSettings = Annotated[ScriptedUser | TemplatedUser | LlmUser, Field(discriminator="kind")]


class JudgeSettings(Endpoint, Sampling):
    """The LLM that judges rubrics."""


class Limits(Settings):
    """An agent that hits one of these failed the trial, `tool_seconds` excepted."""

    moves_per_turn: Annotated[int, Field(gt=0)] = 8
    """Answers and rounds of tool calls until the user must have a reply."""
    tokens: Annotated[int, Field(gt=0)] | None = 200_000
    """Per trial, input and output."""
    seconds: Annotated[float, Field(gt=0)] | None = 600.0
    """Per trial, on the agent's side; failed attempts at a provider and the pauses after them are not counted."""
    tool_seconds: Annotated[float, Field(gt=0)] | None = 60.0
    """Per tool call. A tool that takes longer is broken, and its trial invalid: no agent is to blame for it."""


class GateOptions(Settings):
    """What `agentkit gate` and `agentkit compare` judge by, where the command line says nothing else. What is left out
    is as the gate has it (agentkit/gate/README.md)."""

    baseline: str = "reports/baseline.json"
    """A baseline file, or a run."""
    calibration: str = "reports/judge.json"
    """What `agentkit calibrate` wrote; without it, what a judge says is advice."""
    alpha: float | None = None
    min_effect: float | None = None
    margin: float | None = None
    relative_min_effect: float | None = None
    relative_margin: float | None = None
    mode: Literal["regression", "non_inferiority"] | None = None
    target: Literal["fixed_suite", "population"] | None = None
    success: bool | None = None
    compounded: bool | None = None
    off_path: bool | None = None
    steps: tuple[str, ...] = ()
    """Step selectors that block, each one criterion; `each:SELECTOR` makes one of every step."""
    pass_k: tuple[int, ...] = ()
    cost: bool | None = None
    latency: bool | None = None
    safety: dict[str, float] = {}
    """Step selector → the greatest failure rate that its upper bound may show."""
    max_invalid: float | None = None
    accept: tuple[str, ...] = ()
    """Scenarios whose content may differ from the baseline's."""
    accept_users: tuple[str, ...] = ()
    """Simulated users that may differ from the baseline's."""


class Config(Settings):
    """The whole of `[tool.agentkit]`."""

    scenarios: str = "scenarios"
    rewards: str = "rewards"
    store: str = DEFAULT_STORE
    adapters: str = DEFAULT_ADAPTERS
    """Folder of the trained adapters."""
    agents: dict[str, AgentSettings] = {}
    users: dict[str, UserSettings] = {}
    """Simulated users."""
    judge: JudgeSettings | None = None
    prices: dict[str, Any] = {}
    """Model (a pattern with `*` may be used) → US dollars per million tokens; read by `agentkit.llm.Prices`."""
    limits: Limits = Limits()
    gate: GateOptions = GateOptions()
    quarantine: tuple[Any, ...] = ()
    """Steps that are set aside for a while; read by `agentkit.gate.read_quarantines`."""


def load_config(folder: Path | None = None) -> Config:
    """The configuration of the project that `folder` (default: the working folder) belongs to.

    Looks for the nearest `pyproject.toml` with a `[tool.agentkit]` table, upwards; none means all defaults.

    Raises:
        ConfigError: the file is not TOML, or a setting is unknown or of the wrong type.
    """
    found = _find(folder)
    return Config() if found is None else parse_config(found[1], str(found[0]))


def rewards_folder(folder: Path | None = None) -> Path:
    """The folder of reward functions of the project that `folder` (default: the working folder) belongs to.

    Raises ConfigError as `load_config` does. The folder need not exist.
    """
    found = _find(folder)
    if found is None:
        return (folder or Path.cwd()).resolve() / Config().rewards
    file, table = found
    return file.parent / parse_config(table, str(file)).rewards


def _find(folder: Path | None) -> tuple[Path, Mapping[str, Any]] | None:
    """The nearest `pyproject.toml` with a `[tool.agentkit]` table, upwards, and that table."""
    start = (folder or Path.cwd()).resolve()
    for place in (start, *start.parents):
        file = place / FILE
        if not file.is_file():
            continue
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not TOML: {error}") from None
        table = document.get("tool", {}).get("agentkit")
        if table is not None:
            return file, table
    return None


def parse_config(table: Mapping[str, Any], file: str) -> Config:
    """Validate the table; `file` is named in errors."""
    try:
        return Config.model_validate(table)
    except ValidationError as error:
        lines = [f"{file}: [tool.agentkit]: {_explain(detail)}" for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None


def _explain(detail: Any) -> str:
    place = [str(part) for part in detail["loc"]]
    kinds = {kind: settings for settings in _KINDS.get(place[0], ()) for kind in _kind_names(settings)}
    found = detail["input"]
    if detail["type"] == "extra_forbidden":
        owner: type[BaseModel] = Config
        if place[0] in _KINDS and len(place) > 3:
            owner = kinds[place[2]]
        elif place[0] == "limits":
            owner = Limits
        elif place[0] == "judge":
            owner = JudgeSettings
        elif place[0] == "gate":
            owner = GateOptions
        return f"{'.'.join(place)}: unknown key{near_match(place[-1], owner.model_fields)}"
    if detail["type"].startswith("union_tag"):
        kind = found.get("kind") if isinstance(found, Mapping) else found
        what = place[0].removesuffix("s")
        return f"{'.'.join(place)}.kind: found {kind!r}, expected a kind of {what}{near_match(str(kind), kinds)}"
    if detail["type"] == "missing":
        return f"{'.'.join(place)}: is missing"
    return f"{'.'.join(place)}: found {found!r}, expected: {detail['msg']}"


_KINDS: Mapping[str, tuple[type[BaseModel], ...]] = {
    "agents": (ChatAgent, GraphAgent, FunctionAgent, HttpAgent, ScriptedAgent),
    "users": (ScriptedUser, TemplatedUser, LlmUser),
}


def _kind_names(settings: type[BaseModel]) -> tuple[str, ...]:
    names: tuple[str, ...] = settings.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
    return names


def agent_settings(name: str, config: Config) -> AgentSettings:
    """The agent called `name`: one of `[tool.agentkit.agents]`, or `scripted[:accuracy]`, which is always there.
    `demo+refund-v1-3fa9` is the agent `demo` whose model has the changes of that adapter, or of several.

    Raises:
        ConfigError: there is no such agent, with the nearest name, or it cannot have adapters.
    """
    if name in config.agents:
        return _served_here(name, config.agents[name])
    kind, _, accuracy = name.partition(":")
    if kind == "scripted":
        try:
            return ScriptedAgent(kind="scripted", accuracy=float(accuracy or 1.0))
        except ValueError:
            raise ConfigError(f"agent {name!r}: expected `scripted:P` with P from 0 to 1, found {accuracy!r}") from None
    plain, plus, adapters = name.partition("+")
    if plus and plain in config.agents:
        return _adapted(name, config.agents[plain], tuple(adapters.split("+")))
    known = [*config.agents, "scripted"]
    raise ConfigError(f"no agent is called {plain!r} in [tool.agentkit.agents]{near_match(plain, known)}")


def _adapted(name: str, agent: AgentSettings, adapters: tuple[str, ...]) -> AgentSettings:
    if not isinstance(agent, ChatAgent):
        raise ConfigError(f"agent {name!r}: only an agent of the kind 'chat' can have adapters, found {agent.kind!r}")
    return _served_here(name, agent.model_copy(update={"adapters": agent.adapters + adapters}))


def _served_here(name: str, agent: AgentSettings) -> AgentSettings:
    """The agent as it is. Raises ConfigError where it names adapters that nothing here would load."""
    if isinstance(agent, ChatAgent) and agent.adapters:
        if agent.engine is None:
            raise ConfigError(f'agent {name!r}: adapters need a model that is served here: `engine = "embedded"`')
        for adapter in agent.adapters:
            if not adapter:
                raise ConfigError(f"agent {name!r}: expected AGENT+ADAPTER, found no adapter's name after a '+'")
            if agent.adapters.count(adapter) > 1:
                raise ConfigError(f"agent {name!r}: found the adapter {adapter!r} twice")
    return agent


def user_settings(name: str, config: Config) -> UserSettings:
    """The user called `name`: one of `[tool.agentkit.users]`, or `scripted` or `templated[:style]`, which are always
    there.

    Raises:
        ConfigError: there is no such user, with the nearest name.
    """
    if name in config.users:
        return config.users[name]
    kind, _, style = name.partition(":")
    if name == "scripted":
        return ScriptedUser(kind="scripted")
    if kind == "templated":
        try:
            return TemplatedUser.model_validate({"kind": kind, "style": style or None})
        except ValidationError as error:
            expected = error.errors(include_url=False)[0]["ctx"]["expected"]
            raise ConfigError(f"user {name!r}: found the style {style!r}, expected {expected}") from None
    known = [*config.users, "scripted", "templated"]
    raise ConfigError(f"no user is called {name!r} in [tool.agentkit.users]{near_match(name, known)}")


def secret(variable: str | None, user: str) -> str | None:
    """The value of the environment variable that `user` (named in the error) keeps a secret in."""
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"{user}: the environment variable {variable} is not set")
    return value
