"""`[tool.agentkit]` of `pyproject.toml`: the agents under test, the judge, prices, limits and where things are.

Secrets are never written here: a setting names the environment variable that holds one.
"""

from agentkit.config.gate import GateOptions
from agentkit.config.named import agent_settings, secret, user_settings
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
from agentkit.config.project import (
    DEFAULT_ADAPTERS,
    DEFAULT_STORE,
    FILE,
    Config,
    load_config,
    parse_config,
    rewards_folder,
    store_url,
)
from agentkit.config.serving import (
    CanarySettings,
    CollectSettings,
    EngineOptions,
    LabelSettings,
    LoopSettings,
    RouterSettings,
    ServeSettings,
    UpstreamSettings,
)
from agentkit.config.settings import EMBEDDED, Endpoint, Sampling, Settings

__all__ = [
    "DEFAULT_ADAPTERS",
    "DEFAULT_STORE",
    "EMBEDDED",
    "FILE",
    "AgentSettings",
    "CanarySettings",
    "ChatAgent",
    "CollectSettings",
    "Config",
    "Endpoint",
    "EngineOptions",
    "FunctionAgent",
    "GateOptions",
    "GraphAgent",
    "HttpAgent",
    "JudgeSettings",
    "LabelSettings",
    "Limits",
    "LlmUser",
    "LoopSettings",
    "RouterSettings",
    "Sampling",
    "ScriptedAgent",
    "ScriptedUser",
    "ServeSettings",
    "Settings",
    "TemplatedUser",
    "UpstreamSettings",
    "UserSettings",
    "agent_settings",
    "load_config",
    "parse_config",
    "rewards_folder",
    "secret",
    "store_url",
    "user_settings",
]
