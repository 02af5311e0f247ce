"""Whether speculation pays: by numbers that are given, and on stand-ins for servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from agentkit.config import Config
from agentkit.errors import EngineError
from agentkit.serve import EngineSettings
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.turbo import LOOKUP, Sample, Turbo, decide, speculation
from agentkit.serve.turbo.measure import Speed, Timed, speed
from agentkit.serve.turbo.payoff import at_least
from agentkit.store import Store
from tests.serve.fleet.conftest import Park

SAMPLES = (
    Sample({"messages": [{"role": "user", "content": "Hello"}]}, "Good day to you"),
    Sample({"messages": [{"role": "user", "content": "Bye"}]}, "Farewell"),
)


def took(*seconds: float) -> Speed:
    return Speed(tuple(Timed(10, it, it / 2) for it in seconds))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[bool, Speed]:
    """What servers without and with speculation are found to do; each is asked for once."""
    found: dict[bool, Speed] = {}

    async def fake(
        model: Path,
        name: str,
        settings: EngineSettings,
        samples: Sequence[Sample],
        adapter: AdapterFolder | None,
        *,
        earlier: Sequence[Sample],
    ) -> Speed:
        return found.pop(settings.speculative is not None)

    monkeypatch.setattr("agentkit.serve.turbo.payoff.speed", fake)
    return found


def test_speed_counts_prompts_and_writing_does_not() -> None:
    assert took(1.0, 3.0).tokens_per_second == pytest.approx(20 / 4)
    assert took(1.0, 3.0).writing == pytest.approx(18 / 2)


def test_the_least_ratio_is_that_of_the_worst_draws() -> None:
    assert at_least(took(2, 4, 6), took(1, 2, 3)) == pytest.approx(2)
    assert 0.5 <= at_least(took(2, 2, 2, 2), took(1, 1, 1, 4)) < 8 / 7


async def test_it_pays_and_that_is_remembered(measured: dict[bool, Speed], cache: Path, base: Path) -> None:
    measured |= {False: took(2, 4), True: took(1, 2)}
    settings = EngineSettings()
    found = await decide(base, "tiny", settings, SAMPLES, "recorded traffic")
    assert found.pays
    assert found.ratio == pytest.approx(2)
    assert found.sentence == (
        "speculation pays: 7 tokens a second with it, 3 without, 2.00 times as many (at least 2.00), on 2 "
        "requests of recorded traffic"
    )
    assert await decide(base, "tiny", settings, SAMPLES, "recorded traffic") == found
    measured |= {False: took(1, 1), True: took(2, 0.9)}
    other: Turbo = await decide(base, "tiny", settings, SAMPLES[:1] * 2, "recorded traffic")
    assert not other.pays
    assert "does not pay" in other.sentence


async def test_every_answer_is_written_with_and_without(
    park: Park, base: Path, make_adapter: Callable[..., AdapterFolder]
) -> None:
    adapter = make_adapter()
    first = Sample({"messages": [{"role": "user", "content": "Good morning"}]}, "Morning")
    found = await speed(base, "tiny", EngineSettings(max_loras=1), SAMPLES, adapter, park.make, earlier=[first])
    assert [it.tokens for it in found.requests] == [4, 1]
    assert found.tokens_per_second > 0
    assert park.control.events[1:] == [
        f"tiny write {adapter.name} [5] Good day to you",
        f"tiny write {adapter.name} [12] Morning",
        f"tiny write {adapter.name} [5] Good day to you",
        f"tiny write {adapter.name} [3] Farewell",
    ]


async def test_a_server_that_does_not_come_up_is_an_error(park: Park, base: Path) -> None:
    park.control.die = True
    with pytest.raises(EngineError, match="not enough memory"):
        await speed(base, "tiny", EngineSettings(), SAMPLES, None, park.make)


async def test_a_server_that_goes_away_is_an_error(park: Park, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(talk: object, request: object) -> None:
        raise httpx.ReadError("")

    monkeypatch.setattr("agentkit.serve.turbo.measure.tokens_of", gone)
    with pytest.raises(EngineError, match="does not answer: ReadError"):
        await speed(base, "tiny", EngineSettings(), SAMPLES, None, park.make)
    assert park.servers[0].fake is None, "it is stopped"


async def test_no_more_is_asked_for_than_there_is_room_for(park: Park, base: Path) -> None:
    park.control.room = 100
    found = await speed(base, "tiny", EngineSettings(max_model_len=100), SAMPLES, None, park.make)
    assert [it.tokens for it in found.requests] == [4, 1]
    with pytest.raises(EngineError, match="too long"):
        await speed(base, "tiny", EngineSettings(), SAMPLES, None, park.make)


async def test_what_cannot_be_measured_keeps_nothing_from_starting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def traffic(*_: object) -> tuple[tuple[Sample, ...], str]:
        return SAMPLES, "recorded traffic"

    async def refused(*_: object, **__: object) -> Turbo:
        raise EngineError("http://127.0.0.1:1/tokenize: 400: too long")

    monkeypatch.setattr("agentkit.serve.command.is_cpu_build", lambda: False)
    monkeypatch.setattr("agentkit.serve.turbo.choose._traffic", traffic)
    monkeypatch.setattr("agentkit.serve.turbo.choose.measured", refused)
    said = list[str]()
    assert await speculation(Config(), store, "auto", tell=said.append) is None
    assert said == ["speculation stays off: it could not be measured: http://127.0.0.1:1/tokenize: 400: too long"]


async def test_on_off_and_nothing_to_measure_on(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.serve.command.is_cpu_build", lambda: False)
    config, said = Config(scenarios=str(tmp_path / "nowhere")), list[str]()
    assert await speculation(config, store, "on") == LOOKUP
    assert await speculation(config, store, "off") is None
    assert await speculation(config, store, "auto", tell=said.append) is None
    assert said == ["speculation stays off: there is neither recorded traffic nor a scenario with tools to measure on"]


async def test_it_stays_off_without_the_library_that_it_needs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.serve.command.is_cpu_build", lambda: True)
    monkeypatch.setattr("agentkit.serve.command.intel_openmp", lambda: None)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for mode in ("on", "auto"):
        said: list[str] = []
        assert await speculation(Config(), store, mode, tell=said.append) is None
        assert "without Intel's OpenMP library" in said[0]
