"""The model that a configuration names: embedded, a folder, or one of a hub."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from agentkit.config import EngineOptions, parse_config
from agentkit.errors import ConfigError, EngineError
from agentkit.serve import embedded
from agentkit.serve.drafter import LOOKUP
from agentkit.serve.model import model_name, playing_settings, served_model
from tests.tune.small_lora import write_base


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("embedded", "smollm2-135m-instruct"),
        ("./models/mine", "mine"),
        ("acme/clerk-7b", "clerk-7b"),
        ("acme/clerk-7b@0a1b2c", "clerk-7b"),
    ],
)
def test_what_requests_call_it(model: str, name: str) -> None:
    assert model_name(model) == name


def test_the_embedded_one_is_made(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "embedded_model", lambda **_: base)
    assert served_model("embedded").folder == base


def test_a_folder_is_taken_as_it_is(base: Path) -> None:
    found = served_model(str(base))
    assert (found.name, found.folder) == (base.name, base)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"expected config\.json and \*\.safetensors"):
        served_model(str(tmp_path))
    for missing in (f"{tmp_path}/none", "./none", "models/of/mine"):
        with pytest.raises(EngineError, match=f"model {missing}: there is no such folder"):
            served_model(missing)


HUB = """
import sys
from pathlib import Path
from typing import Literal
from agentkit.errors import EngineError
from agentkit.serve.model import served_model
try:
    print(served_model(sys.argv[1]).folder)
except EngineError as error:
    print(error)
"""


def asked_of_the_hub(model: str, cache: Path) -> str:
    """What a process says that has a hub's cache and no network."""
    environment = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin", "AGENTKIT_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", HUB, model], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_a_hub_s_model_is_found_in_its_cache(base: Path, tmp_path: Path) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "cache" / "models--acme--clerk"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(revision)
    (cached / "snapshots").mkdir()
    base.rename(cached / "snapshots" / revision)
    for model in ("acme/clerk", f"acme/clerk@{revision}"):
        assert asked_of_the_hub(model, tmp_path / "cache") == str(cached / "snapshots" / revision)
    said = asked_of_the_hub("acme/cleric", tmp_path / "cache")
    assert said.startswith("model acme/cleric: it is neither a folder here nor to be had from the hub: ")
    assert "Traceback" not in said


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(EngineError, match=r"there is no such folder \(did you mean 'embedded'"):
        served_model("embeded")
    table = {"agents": {"mine": {"kind": "chat", "engine": "embeded"}}}
    with pytest.raises(ConfigError, match=r"found 'embeded', expected `embedded`, a folder .*did you mean 'embedded'"):
        parse_config(table, "pyproject.toml")
    parse_config({"agents": {"mine": {"kind": "chat", "engine": "acme/clerk-7b"}}}, "pyproject.toml")


def test_whoever_plays_loads_no_adapters_at_run_time() -> None:
    settings = playing_settings(EngineOptions(max_model_len=1234, arguments=("--seed", "1")))
    assert (settings.max_loras, settings.max_cpu_loras) == (0, 0)
    assert (settings.max_model_len, settings.arguments) == (1234, ("--seed", "1"))


@pytest.mark.parametrize(
    ("turbo", "possible", "wanted"), [("on", True, True), ("on", False, False), ("auto", True, False)]
)
def test_whoever_plays_speculates_only_where_that_is_on(
    turbo: Literal["on", "auto"], possible: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentkit.serve.model.can_speculate", lambda: possible)
    told: list[str] = []
    assert playing_settings(EngineOptions(turbo=turbo), told.append).speculative == (LOOKUP if wanted else None)
    assert [it.partition(":")[0] for it in told] == ([] if possible else ["speculation stays off"])
