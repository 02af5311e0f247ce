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


class JudgeSettings(Endpoint, Sampling):
    """The LLM that judges rubrics."""


class Limits(Settings):
    """An agent that hits one of these failed the trial."""

    moves_per_turn: Annotated[int, Field(gt=0)] = 8
    """Answers and rounds of tool calls until the user must have a reply."""
    tokens: Annotated[int, Field(gt=0)] | None = 200_000
    """Per trial, input and output."""
    seconds: Annotated[float, Field(gt=0)] | None = 600.0
    """Per trial, on the agent's side; failed attempts at a provider and the pauses after them are not counted."""


class Config(Settings):
    """The whole of `[tool.agentkit]`."""

    scenarios: str = "scenarios"
    rewards: str = "rewards"
    store: str = DEFAULT_STORE
    agents: dict[str, AgentSettings] = {}
    judge: JudgeSettings | None = None
    prices: dict[str, Any] = {}
    """Model (a pattern with `*` may be used) → US dollars per million tokens; read by `agentkit.llm.Prices`."""
    limits: Limits = Limits()


def load_config(folder: Path | None = None) -> Config:
    """The configuration of the project that `folder` (default: the working folder) belongs to.

    Looks for the nearest `pyproject.toml` with a `[tool.agentkit]` table, upwards; none means all defaults.

    Raises:
        ConfigError: the file is not TOML, or a setting is unknown or of the wrong type.
    """
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
            return parse_config(table, str(file))
    return Config()


def parse_config(table: Mapping[str, Any], file: str) -> Config:
    """Validate the table; `file` is named in errors."""
    try:
        return Config.model_validate(table)
    except ValidationError as error:
        lines = [f"{file}: [tool.agentkit]: {_explain(detail)}" for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None


def _explain(detail: Any) -> str:
    place = [str(part) for part in detail["loc"]]
    kinds = {kind: settings for settings in _KINDS for kind in _kind_names(settings)}
    found = detail["input"]
    if detail["type"] == "extra_forbidden":
        owner: type[BaseModel] = Config
        if place[0] == "agents" and len(place) > 3:
            owner = kinds[place[2]]
        elif place[0] == "limits":
            owner = Limits
        elif place[0] == "judge":
            owner = JudgeSettings
        return f"{'.'.join(place)}: unknown key{near_match(place[-1], owner.model_fields)}"
    if detail["type"].startswith("union_tag"):
        kind = found.get("kind") if isinstance(found, Mapping) else found
        return f"{'.'.join(place)}.kind: found {kind!r}, expected a kind of agent{near_match(str(kind), kinds)}"
    if detail["type"] == "missing":
        return f"{'.'.join(place)}: is missing"
    return f"{'.'.join(place)}: found {found!r}, expected: {detail['msg']}"


_KINDS: tuple[type[BaseModel], ...] = (ChatAgent, GraphAgent, FunctionAgent, HttpAgent, ScriptedAgent)


def _kind_names(settings: type[BaseModel]) -> tuple[str, ...]:
    names: tuple[str, ...] = settings.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
    return names


def agent_settings(name: str, config: Config) -> AgentSettings:
    """The agent called `name`: one of `[tool.agentkit.agents]`, or `scripted[:accuracy]`, which is always there.

    Raises:
        ConfigError: there is no such agent, with the nearest name.
    """
    if name in config.agents:
        return config.agents[name]
    kind, _, accuracy = name.partition(":")
    if kind == "scripted":
        try:
            return ScriptedAgent(kind="scripted", accuracy=float(accuracy or 1.0))
        except ValueError:
            raise ConfigError(f"agent {name!r}: expected `scripted:P` with P from 0 to 1, found {accuracy!r}") from None
    known = [*config.agents, "scripted"]
    raise ConfigError(f"no agent is called {name!r} in [tool.agentkit.agents]{near_match(name, known)}")


def secret(variable: str | None, user: str) -> str | None:
    """The value of the environment variable that `user` (named in the error) keeps a secret in."""
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"{user}: the environment variable {variable} is not set")
    return value
