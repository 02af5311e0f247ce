"""The fleet that a configuration asks for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import Config, EngineOptions, UpstreamSettings
from agentkit.errors import ConfigError
from agentkit.records import Target, TargetKind
from agentkit.serve.fleet import fleet_of
from agentkit.serve.fleet.build import upstream
from agentkit.serve.model import engine_settings


def config(engines: dict[str, Any], **more: Any) -> Config:
    return Config.model_validate({"serve": {"engines": engines}, **more})


def test_there_is_room_for_one_adapter_more_than_are_live() -> None:
    settings = engine_settings(EngineOptions(live_adapters=2, max_lora_rank=8), 1)
    assert (settings.max_loras, settings.max_cpu_loras, settings.max_lora_rank) == (3, 3, 8)
    assert engine_settings(EngineOptions(live_adapters=0), 1).max_loras == 0


def test_several_servers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert [engine_settings(EngineOptions(), count).threads for count in (1, 2, 3, 16)] == [None, 4, 2, 1]


async def test_servers_by_url_and_models_elsewhere(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_KEY", "k1")
    monkeypatch.setenv("BIG_KEY", "k2")
    engines = {"model": str(base), "urls": ["http://127.0.0.1:1/v1/"], "api_key_env": "ENGINE_KEY"}
    big = {"model": "big-1", "base_url": "https://models.example/v1/", "api_key_env": "BIG_KEY", "timeout": 5}
    fleet = fleet_of(config(engines, upstreams={"big": big}), replicas=0)
    assert [it.name for it in fleet.replicas] == ["existing-0"]
    assert fleet.known(Target(TargetKind.BASE))
    assert fleet.known(Target(TargetKind.UPSTREAM, "big"))
    found = upstream("big", UpstreamSettings.model_validate(big))
    assert (found.base_url, found.model, found.api_key) == ("https://models.example/v1", "big-1", "k2")
    assert found.timeout == 5
    assert "k2" not in repr(found)


def test_what_is_wrong_is_said(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(ConfigError, match="urls: found 'ftp://x', expected a URL that ends in /v1"):
        fleet_of(config({"model": str(base), "replicas": 0, "urls": ["ftp://x"]}))
    with pytest.raises(ConfigError, match=r"upstreams\.big.*NO_KEY is not set"):
        fleet_of(
            config({"model": str(base), "replicas": 0}, upstreams={"big": {"model": "b", "api_key_env": "NO_KEY"}})
        )
