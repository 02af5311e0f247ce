"""Who plays where an agent has adapters: verified first, served with merged weights, and part of what the agent is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import Config, agent_settings, parse_config
from agentkit.errors import AdapterError, ConfigError
from agentkit.llm import Budget
from agentkit.play.agent import agent_hash
from agentkit.play.session import RunSettings, open_session
from agentkit.redact import redact
from agentkit.serve import embedded, model
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.engine import Endpoint
from agentkit.serve.players import players
from agentkit.store import Store
from agentkit.tune import publish
from agentkit.tune.registry import register
from tests.tune.small_lora import make_card, write_base, write_lora

TABLE: dict[str, Any] = {
    "agents": {
        "demo": {"kind": "chat", "engine": "embedded", "temperature": 0},
        "remote": {"kind": "chat", "model": "big"},
        "mine": {"kind": "function", "function": "a:b"},
        "odd+name": {"kind": "scripted"},
    },
    "users": {"small": {"kind": "llm", "engine": "embedded"}},
}
CONFIG = parse_config(TABLE, "pyproject.toml")


def test_an_agent_with_adapters_is_the_agent_with_other_weights() -> None:
    plain, adapted = agent_settings("demo", CONFIG), agent_settings("demo+a-v1-0000+b-v2-1111", CONFIG)
    assert adapted == plain.model_copy(update={"adapters": ("a-v1-0000", "b-v2-1111")})
    assert plain == CONFIG.agents["demo"]
    assert agent_settings("odd+name", CONFIG) == CONFIG.agents["odd+name"]
    assert agent_settings("scripted:1e+0", CONFIG).kind == "scripted"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("demoo+a-v1-0000", r"no agent is called 'demoo' in .* \(did you mean 'demo'\?\)"),
        ("remote+a-v1-0000", r"adapters need a model that is served here: `engine = \"…\"`"),
        ("mine+a-v1-0000", "only an agent of the kind 'chat' can have adapters, found 'function'"),
        ("demo+", r"expected AGENT\+ADAPTER, found no adapter's name after a '\+'"),
        ("demo+a-v1-0000+a-v1-0000", "found the adapter 'a-v1-0000' twice"),
    ],
)
def test_an_agent_that_cannot_have_adapters_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        agent_settings(name, CONFIG)


def test_adapters_may_stand_in_the_configuration() -> None:
    table = {"agents": {"better": {"kind": "chat", "engine": "embedded", "adapters": ["a-v1-0000"]}}}
    better = parse_config(table, "pyproject.toml")
    assert agent_settings("better+b-v1-0000", better).model_dump()["adapters"] == ("a-v1-0000", "b-v1-0000")
    del table["agents"]["better"]["engine"]
    with pytest.raises(ConfigError, match="adapters need a model that is served here"):
        agent_settings("better", parse_config(table, "pyproject.toml"))


class Engines:
    """In place of vLLM: what was to be served, by name."""

    def __init__(self) -> None:
        self.served: dict[str, Path] = {}
        self.running = 0

    def __call__(self, folder: Path, *, name: str, **_: Any) -> Any:
        engines = self

        class Engine:
            def __enter__(self) -> Endpoint:
                engines.served[name] = folder
                engines.running += 1
                return Endpoint("http://127.0.0.1:1/v1", name, f"a-key-for-{name}", {"precision": "float32"})

            def __exit__(self, *_: object) -> None:
                engines.running -= 1

        return Engine()


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    folder = write_base(tmp_path / "base")
    monkeypatch.setattr(embedded, "embedded_model", lambda **_: folder)
    return folder


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    found = Engines()
    monkeypatch.setattr(model, "Engine", found)
    monkeypatch.setattr(model, "merged_model", lambda folder, adapters, **_: folder / adapters[0].name)
    return found


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> AdapterFolder:
    return publish(write_lora(tmp_path / "trained"), tmp_path / "adapters", make_card(base))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def cast(store: Store, agent: str, folder: Path, config: Config = CONFIG, **changes: Any) -> Any:
    settings = RunSettings(
        paths=(), agent=agent, agent_settings=agent_settings(agent, config), variants=(), trials=1, **changes
    )
    project = config.model_copy(update={"adapters": str(folder)})
    return players(settings, (), project, Budget(), store, on_progress=lambda _: None)


async def test_the_merged_model_is_served_and_the_agent_says_so(
    base: Path, adapter: AdapterFolder, engines: Engines, store: Store
) -> None:
    hashes = []
    for name in ("demo", f"demo+{adapter.name}"):
        with cast(store, name, adapter.path.parent) as playing:
            hashes.append(agent_hash(playing.agent))
            told = playing.agent.definition()
            await playing.agent.close()
    assert engines.served == {
        "smollm2-135m-instruct": base,
        f"smollm2-135m-instruct+{adapter.name}": base / adapter.name,
    }
    assert told["model"] == f"smollm2-135m-instruct+{adapter.name}"
    assert told["adapters"] == {adapter.name: adapter.manifest.hash}
    assert hashes[0] != hashes[1]
    assert engines.running == 0


async def test_how_the_agent_s_model_is_computed_is_recorded_and_makes_no_other_agent(
    base: Path, engines: Engines, store: Store, tmp_path: Path
) -> None:
    with cast(store, "demo", tmp_path) as playing:
        settings = RunSettings(
            paths=(), agent="demo", agent_settings=agent_settings("demo", CONFIG), variants=(), trials=1
        )
        run = open_session(settings, (), playing.agent, store).run
        elsewhere = replace(playing.agent, computing={"precision": "bfloat16"})
        await playing.agent.close()
    assert store.run(run.id).versions["precision"] == "float32"
    assert run.agent_hash == agent_hash(elsewhere)


async def test_a_further_cast_may_take_the_server_that_is_up(
    base: Path, engines: Engines, store: Store, tmp_path: Path
) -> None:
    settings = RunSettings(paths=(), agent="demo", agent_settings=agent_settings("demo", CONFIG), variants=(), trials=1)
    with cast(store, "demo", tmp_path) as first:
        with players(settings, (), CONFIG, Budget(), store, served=first.served) as further:
            assert engines.running == 1
            assert further.served == first.served
            assert agent_hash(further.agent) == agent_hash(first.agent)
            await further.agent.close()
        assert engines.running == 1
        await first.agent.close()
    with cast(store, "remote", tmp_path) as elsewhere:
        assert elsewhere.served is None
        await elsewhere.agent.close()


async def test_a_simulated_user_keeps_the_model_as_it_is(
    base: Path, adapter: AdapterFolder, engines: Engines, store: Store
) -> None:
    name = f"demo+{adapter.name}"
    with cast(store, name, adapter.path.parent, user="small", users={"small": CONFIG.users["small"]}) as playing:
        assert engines.served == {
            "smollm2-135m-instruct": base,
            f"smollm2-135m-instruct+{adapter.name}": base / adapter.name,
        }
        keys = {name: value for name, value in os.environ.items() if value.startswith("a-key-for-")}
        assert sorted(keys) == ["AGENTKIT_ENGINE_1_KEY", "AGENTKIT_ENGINE_2_KEY"]
        assert not [value for value in keys.values() if value in redact(f"it said {value}, then")]
        await playing.agent.close()
        await playing.users.close()
    assert not [value for value in os.environ.values() if value.startswith("a-key-for-")]


def test_a_missing_adapter_is_said_before_anything_starts(
    adapter: AdapterFolder, engines: Engines, store: Store
) -> None:
    with (
        pytest.raises(AdapterError, match=rf"no adapter is called '{adapter.name}0' \(did you mean '{adapter.name}'"),
        cast(store, f"demo+{adapter.name}0", adapter.path.parent),
    ):
        pass
    assert engines.served == {}


def test_a_changed_byte_is_said_before_anything_starts(adapter: AdapterFolder, engines: Engines, store: Store) -> None:
    weights = adapter.path / "adapter_model.safetensors"
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with (
        pytest.raises(AdapterError, match=r"adapter_model\.safetensors: was changed"),
        cast(store, f"demo+{adapter.name}", adapter.path.parent),
    ):
        pass
    assert engines.served == {}


def test_a_registered_adapter_is_held_against_the_registry(
    adapter: AdapterFolder, engines: Engines, store: Store, tmp_path: Path
) -> None:
    register(store, adapter.path)
    name = f"demo+{adapter.name}"
    with cast(store, name, tmp_path / "elsewhere"):
        assert len(engines.served) == 1, "the registry knows where it is"
    manifest = adapter.path / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace('"job-1"', '"job-2"'))
    with pytest.raises(AdapterError, match=r"manifest\.json: its hash is"), cast(store, name, tmp_path / "elsewhere"):
        pass
