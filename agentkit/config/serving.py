"""What serves in production: upstream models, the engines, the router, and what it keeps of its traffic."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from agentkit.config.settings import EMBEDDED, FALSE_IS_NONE, Endpoint, Settings


class UpstreamSettings(Endpoint):
    """A model that is served elsewhere, which routes can name."""


class EngineOptions(Settings):
    """`[tool.agentkit.serve.engines]`: the model servers that are started here."""

    model: str = EMBEDDED
    """`embedded`, the small model that comes with the demo; or a model's folder, or its name in a model hub. Where
    servers are only named by `urls`, any name."""
    name: str | None = None
    """What the servers call it; left out, the embedded model's name or the last part of `model`."""
    replicas: Annotated[int, Field(ge=0, le=64)] = 1
    """Servers that are started here."""
    urls: tuple[str, ...] = ()
    """Base URLs (they end in `/v1`) of servers of that model that run already and are never started or stopped here."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key of those."""
    live_adapters: Annotated[int, Field(ge=0, le=256)] = 3
    """Adapters that may be served at once; there is room for one more, so that a new version is loaded before an old
    one goes. 0: none, and the servers need no room for them."""
    max_lora_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = 32
    """Greatest rank of an adapter that can be loaded. One that was trained on top of another (`agentkit tune`, each
    turn of the loop) has the rank of both together, cut to this where it is more: of the usual rank of 16, 32 holds one
    such repair on top of another uncut, and 64 three. Servers keep this much room for each adapter, and a CPU computes
    as much for each of its tokens, however small its own rank is; adapters that are merged need no room."""
    merge: Literal["auto", "never", "always"] = "auto"
    """Whether what is promoted gets a replica with the adapter in its weights. `auto`: where vLLM's CPU build is used,
    on which an adapter that is applied to each request costs several times the time. `always`: canaries, too, which
    takes a replica for each; a canary begins once that is up."""
    turbo: Literal["auto", "on", "off"] = "off"
    """Speculation by look-up; `auto`: `agentkit serve` measures whether it pays on recorded traffic. `on`: also where
    an agent is played against a server of this machine."""
    max_model_len: Annotated[int, Field(gt=0)] = 4096
    """Longest conversation, in tokens, answer included."""
    max_num_seqs: Annotated[int, Field(gt=0)] = 16
    """Requests that a server answers at the same time; further ones wait."""
    kv_cache_gib: Annotated[int, Field(gt=0)] = 2
    """Memory of a server for the keys and values of running conversations on a CPU; a GPU takes what is free."""
    start_timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds after which a server that does not answer is given up and started again."""
    drain_time: Annotated[float, Field(ge=0)] = 60.0
    """Seconds that running requests have before the replica or adapter that answers them is taken away."""
    arguments: tuple[str, ...] = ()
    """Further arguments of `vllm serve`; they win over the others."""


class RouterSettings(Settings):
    """`[tool.agentkit.serve.router]`: limits and objectives of the door in front of them."""

    agents: tuple[str, ...] = ()
    """Agents that may be named beside those of the route table; empty: any, answered by the routes of `*`."""
    processes: Annotated[int, Field(ge=1)] = 1
    """Routers on this store that have the same callers; each allows its share of what a key may do."""
    max_body: Annotated[int, Field(ge=1024)] = 2**20
    """Bytes of a request's body."""
    max_depth: Annotated[int, Field(ge=8, le=500)] = 64
    """How deep a request's JSON may be nested."""
    max_messages: Annotated[int, Field(ge=1)] = 2000
    """Of a request's conversation."""
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
    """Times that one request may be sent to an upstream, the first included, as long as nothing was answered."""
    retry_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Retries for each request, on average; so that trouble is not multiplied."""
    in_flight: Annotated[int, Field(ge=1)] = 64
    """Requests at one upstream at the same time; further ones queue here."""
    queue: Annotated[int, Field(ge=0)] = 1000
    """Requests that may wait for one target; further ones are turned away with 429."""
    queue_time: Annotated[float, Field(ge=0)] = 10.0
    """Seconds that a request may wait for an upstream that has room."""
    load_time: Annotated[float, Field(ge=0)] = 30.0
    """Seconds that it may wait for one that is only just starting, or loading an adapter."""
    eject_after: Annotated[int, Field(ge=1)] = 3
    """Failures in a row after which an upstream is left alone for a while."""
    eject_time: Annotated[float, Field(gt=0)] = 0.5
    """Seconds of the first such while; it doubles with each that follows."""
    eject_longest: Annotated[float, Field(gt=0)] = 30.0
    """Seconds of the longest such while."""
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

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Chance that a canary which is no worse is thrown out, over all criteria and however often one looks; and the
    chance that one which is worse by the margin is called clean."""
    min_graded: Annotated[int, Field(ge=1)] = 50
    """Conversations on either side that were judged before a canary can be clean."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.10
    """A drop of the rate of good conversations that must be ruled out before a canary is clean; 0.10 is ten points."""
    wrong_labels: Annotated[float, Field(ge=0, lt=0.5)] = 0.10
    """Share of judgements that may be the wrong way round. They shrink every difference, and so the margin is shrunk by
    as much."""
    min_drop: Annotated[float, Field(ge=0, lt=1)] = 0.02
    """A drop of the rate of good conversations up to which a canary is never thrown out."""
    min_errors: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """The same for the share of failed requests."""
    min_slow: Annotated[float, Field(ge=0, lt=1)] = 0.10
    """The same for the share of slow requests."""
    slow_seconds: Annotated[float, Field(gt=0)] | None = None
    """A request that takes longer is slow; where it is not set, what takes `slow_factor` times as long as nine of ten
    of the first requests beside the canary."""
    slow_factor: Annotated[float, Field(ge=1)] = 2.0
    """See `slow_seconds`."""
    every: Annotated[float, Field(gt=0)] = 2.0
    """Seconds between two looks."""


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
    retention_days: Annotated[Annotated[float, Field(gt=0, le=365_000)] | None, FALSE_IS_NONE] = 90.0
    """Days after which an exchange is deleted; `false`: never."""
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
        "The answer is right for this moment of the conversation: it does what was asked, calls the right tool with "
        "the right arguments where one is due, and claims nothing that the conversation does not bear out."
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

    agent: str | None = None
    """The agent whose traffic is looked at, and which is played; it may be left out where the project has one only."""
    scenarios: tuple[str, ...] = ()
    """Files or folders that are played to find failures; empty: all of the project's."""
    detours: str = "own"
    """Which variants of them, as `agentkit run --detours` takes it."""
    trials: Annotated[int, Field(gt=0)] = 5
    """Of each variant."""
    min_judged: Annotated[int, Field(gt=0)] = 30
    """Judged conversations before a step is called failing."""
    goal: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Accuracy of a step that needs no repair; one whose interval ends below it does."""
    drafts: str = ".agentkit/drafts"
    """Folder of the scenario drafts."""
    max_drafts: Annotated[int, Field(ge=0)] = 5
    """Conversations that are drafted in a turn."""
    tune: dict[str, Any] = {}
    """Settings of the training job that are not the defaults (`agentkit tune --set`)."""
    approve: bool = True
    """Whether a person must agree (`agentkit loop approve`) before a certified adapter meets users."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Of the conversations, that the canary answers."""
    show_scenarios: tuple[str, ...] = ()
    """What the simulated users of `agentkit loop show` want; empty: `scenarios`."""
    show_user: str = "templated"
    """How they speak: one of the simulated users."""
    canary_hours: Annotated[float, Field(gt=0)] = 72.0
    """Hours after which a canary that is not clean is taken back."""
