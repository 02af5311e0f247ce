"""What serves in production: upstream models, the engines, the router, and what it keeps of its traffic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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

    experts: tuple[str, ...] = ()
    """Names of those who may judge at the label page; empty: whoever gives a name."""
    second_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of the items that two experts judge, each without seeing what the other said."""
    days: Annotated[int, Field(gt=0)] = 30
    """How far back conversations are offered for judgement."""
    rubric: str = (
        "The answer is right for this moment of the conversation: it does what was asked, calls the right tool with the "
        "right arguments where one is due, and claims nothing that the conversation does not bear out."
    )
    """What an LLM judge holds a captured answer against."""
    rubrics: dict[str, str] = {}
    """Step → the rubric of that step, where it has one of its own."""
    judge_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of captured conversations that the judge of `[tool.agentkit.judge]` reads."""
    judge_votes: Annotated[int, Field(ge=1, le=9)] = 1
    """How often the judge reads an answer, in words that differ; the share of its votes is how sure it is."""
    window: Annotated[int, Field(ge=10)] = 50
    """Labels in each of the windows in which the judge is held against the experts."""


class LoopSettings(Settings):
    """`[tool.agentkit.loop]`: what a turn may spend, and where a person must agree."""
