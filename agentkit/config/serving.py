"""What serves in production: upstream models, the engines, the router, and what it keeps of its traffic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agentkit.config.settings import Endpoint, Settings


class UpstreamSettings(Endpoint):
    """A model that is served elsewhere, which routes can name."""


class EngineOptions(Settings):
    """`[tool.agentkit.serve.engines]`: the model servers that are started here."""


class RouterSettings(Settings):
    """`[tool.agentkit.serve.router]`: limits and objectives of the door in front of them."""

    agents: tuple[str, ...] = ()
    """Agents that may be named beside those of the route table; empty: any, answered by the routes of `*`."""
    max_body: Annotated[int, Field(ge=1024)] = 2**20
    """Bytes of a request's body."""
    max_depth: Annotated[int, Field(ge=8, le=500)] = 64
    """How deep a request's JSON may be nested."""
    max_messages: Annotated[int, Field(ge=1)] = 2000
    max_headers: Annotated[int, Field(ge=1024)] = 32 * 2**10
    """Bytes of a request's first line and headers."""
    read_time: Annotated[float, Field(gt=0)] = 20.0
    """Seconds that a caller may take to send its headers, and again its body."""
    write_time: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that a caller may take to read a piece of an answer."""
    connect_time: Annotated[float, Field(gt=0)] = 2.0
    """Seconds to connect to an upstream."""
    idle_time: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between two pieces of a streamed answer."""
    max_answer: Annotated[int, Field(ge=1024)] = 16 * 2**20
    """Bytes of an upstream's answer."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 4
    """Upstreams that one request may be sent to, the first included, as long as nothing was answered."""
    retry_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Retries for each request, on average; so that trouble is not multiplied."""
    in_flight: Annotated[int, Field(ge=1)] = 64
    """Requests at one upstream at the same time; further ones queue here."""
    queue: Annotated[int, Field(ge=0)] = 256
    """Requests that may wait; further ones are turned away with 429."""
    queue_time: Annotated[float, Field(ge=0)] = 10.0
    """Seconds that a request may wait for an upstream."""
    eject_after: Annotated[int, Field(ge=1)] = 3
    """Failures in a row after which an upstream is left alone for a while."""
    eject_time: Annotated[float, Field(gt=0)] = 0.5
    """Seconds of the first such while; it doubles with each that follows."""
    eject_longest: Annotated[float, Field(gt=0)] = 30.0
    drain_time: Annotated[float, Field(ge=0)] = 30.0
    """Seconds that running requests have when the router is told to end."""
    availability: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Objective: share of requests that are answered, neither failed nor turned away for want of room."""
    latency: Annotated[float, Field(gt=0)] = 10.0
    """Objective: seconds within which an answer is there, or the first piece of one that is streamed …"""
    latency_share: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """… in this share of requests."""
    window: Annotated[int, Field(ge=60)] = 3600
    """Seconds over which the objectives are judged."""


class CanarySettings(Settings):
    """`[tool.agentkit.serve.canary]`: when a canary is clean, and when it is thrown out."""


class ServeSettings(Settings):
    """`[tool.agentkit.serve]`."""

    engines: EngineOptions = EngineOptions()
    router: RouterSettings = RouterSettings()
    canary: CanarySettings = CanarySettings()


class CollectSettings(Settings):
    """`[tool.agentkit.collect]`: what is kept of the traffic, and for how long."""

    folder: str = ".agentkit/collect"
    """Holds the spill files, the exported data sets, and the secret that pseudonyms are made with."""
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of conversations that are kept; a conversation is kept whole or not at all."""
    consent: Literal["assumed", "required"] = "assumed"
    """Of users whose requests do not say (`metadata.consent`); one who refused is never kept."""
    retention_days: Annotated[float, Field(gt=0)] | None = 90.0
    """Days after which an exchange is deleted; none: never."""
    queue: Annotated[int, Field(ge=1)] = 2000
    """Exchanges that may wait in memory; further ones are dropped and counted."""
    queue_mb: Annotated[float, Field(gt=0)] = 64.0
    """Megabytes that they may hold."""
    spill_mb: Annotated[float, Field(gt=0)] = 1024.0
    """Megabytes of spill files that may wait for the store."""
    segment_mb: Annotated[float, Field(gt=0)] = 4.0
    """Megabytes of one spill file."""
    kinds: tuple[Literal["email", "phone", "card"], ...] = ("email", "phone", "card")
    """What is taken out of texts, beside keys and `patterns`."""
    phone_regions: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = ("US",)
    """Countries (ISO 3166) whose phone numbers are known without their `+`; with it, every country's is."""
    patterns: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,31}$")], str] = {}
    """Kind → regular expression of what else is taken out: `{patient = "P-[0-9]{6}"}` leaves `[patient 4821]`."""


class LabelSettings(Settings):
    """`[tool.agentkit.label]`: who judges conversations, and which."""

    experts: tuple[str, ...] = ()
    """Names of those who may judge at the label page; empty: whoever gives a name."""
    second_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of the answers, drawn by lot, that two experts judge, each without seeing what the other said."""
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
    window: Annotated[int, Field(ge=10)] = 30
    """Answers in each of the windows in which the judge is held against the experts."""


class LoopSettings(Settings):
    """`[tool.agentkit.loop]`: what a turn may spend, and where a person must agree."""
