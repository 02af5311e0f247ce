"""What serves in production: upstream models, the engines, the router, and what it keeps of its traffic."""

from __future__ import annotations

from agentkit.config.settings import Endpoint, Settings


class UpstreamSettings(Endpoint):
    """A model that is served elsewhere, which routes can name."""


class EngineOptions(Settings):
    """`[tool.agentkit.serve.engines]`: the model servers that are started here."""


class RouterSettings(Settings):
    """`[tool.agentkit.serve.router]`: limits and objectives of the door in front of them."""


class CanarySettings(Settings):
    """`[tool.agentkit.serve.canary]`: when a canary is clean, and when it is thrown out."""


class ServeSettings(Settings):
    """`[tool.agentkit.serve]`."""

    engines: EngineOptions = EngineOptions()
    router: RouterSettings = RouterSettings()
    canary: CanarySettings = CanarySettings()


class CollectSettings(Settings):
    """`[tool.agentkit.collect]`: what is kept of the traffic, and for how long."""


class LabelSettings(Settings):
    """`[tool.agentkit.label]`: who judges conversations, and which."""


class LoopSettings(Settings):
    """`[tool.agentkit.loop]`: what a turn may spend, and where a person must agree."""
