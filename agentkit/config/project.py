"""The whole table, read from the project's file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from agentkit.config.gate import GateOptions
from agentkit.config.players import (
    AgentSettings,
    ChatAgent,
    FunctionAgent,
    GraphAgent,
    HttpAgent,
    JudgeSettings,
    Limits,
    LlmUser,
    ScriptedAgent,
    ScriptedUser,
    TemplatedUser,
    UserSettings,
)
from agentkit.config.serving import CollectSettings, LabelSettings, LoopSettings, ServeSettings, UpstreamSettings
from agentkit.config.settings import Settings
from agentkit.errors import ConfigError, near_match

FILE = "pyproject.toml"
DEFAULT_STORE = "sqlite:///.agentkit/agentkit.db"
STORE_VARIABLE = "AGENTKIT_STORE"
"""Environment variable whose value takes the place of the setting `store`."""
DEFAULT_ADAPTERS = ".agentkit/adapters"


class Config(Settings):
    """Where things are, what models cost, and what does not count for a while."""

    scenarios: str = "scenarios"
    """Folder of the suites."""
    rewards: str = "rewards"
    """Folder of the reward functions."""
    store: str = DEFAULT_STORE
    """SQLAlchemy URL of where runs, traffic and the registry are kept; AGENTKIT_STORE and `--store` win over it."""
    adapters: str = DEFAULT_ADAPTERS
    """Folder of the trained adapters."""
    agents: dict[str, AgentSettings] = {}
    """Agents under test."""
    users: dict[str, UserSettings] = {}
    """Simulated users."""
    judge: JudgeSettings | None = None
    prices: dict[str, Any] = {}
    """Model (a pattern with `*` may be used) → US dollars per million tokens:
    `"some-model" = { input = 0.15, output = 0.60, cached = 0.075 }`."""
    limits: Limits = Limits()
    gate: GateOptions = GateOptions()
    upstreams: dict[str, UpstreamSettings] = {}
    """Models that are served elsewhere, by the names that routes give them."""
    serve: ServeSettings = ServeSettings()
    collect: CollectSettings = CollectSettings()
    label: LabelSettings = LabelSettings()
    loop: LoopSettings = LoopSettings()
    quarantine: tuple[Any, ...] = ()
    """Steps that are set aside for a while, each a table with `step` (`scenario/variant#step`), `owner`, `reason` and
    `expires` (a date)."""


def load_config(folder: Path | None = None) -> Config:
    """The configuration of the project that `folder` (default: the working folder) belongs to.

    Looks for the nearest `pyproject.toml` with a `[tool.agentkit]` table, upwards; none means all defaults.

    Raises:
        ConfigError: the file is not TOML, or a setting is unknown or of the wrong type.
    """
    found = _find(folder)
    return Config() if found is None else parse_config(found[1], str(found[0]))


def store_url(config: Config) -> str:
    """Where runs are recorded, as the environment or the project's configuration says."""
    return os.environ.get(STORE_VARIABLE) or config.store


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
        owner = kinds[place[2]] if len(place) > 3 and kinds else _owner(place)
        return f"{'.'.join(place)}: unknown key{near_match(place[-1], owner.model_fields)}"
    if detail["type"].startswith("union_tag"):
        kind = found.get("kind") if isinstance(found, Mapping) else found
        what = place[0].removesuffix("s")
        return f"{'.'.join(place)}.kind: found {kind!r}, expected a kind of {what}{near_match(str(kind), kinds)}"
    if detail["type"] == "missing":
        return f"{'.'.join(place)}: is missing"
    return f"{'.'.join(place)}: found {found!r}, expected: {detail['msg']}"


def _owner(place: list[str]) -> type[BaseModel]:
    """The settings that hold the last key of `place`, as far as they can be followed."""
    owner: type[BaseModel] = Config
    for key in place[:-1]:
        field = owner.model_fields.get(key)
        inner = [field.annotation, *get_args(field.annotation)] if field else []
        owner = next((it for it in inner if isinstance(it, type) and issubclass(it, BaseModel)), owner)
    return owner


_KINDS: Mapping[str, tuple[type[BaseModel], ...]] = {
    "agents": (ChatAgent, GraphAgent, FunctionAgent, HttpAgent, ScriptedAgent),
    "users": (ScriptedUser, TemplatedUser, LlmUser),
}


def _kind_names(settings: type[BaseModel]) -> tuple[str, ...]:
    names: tuple[str, ...] = settings.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
    return names
