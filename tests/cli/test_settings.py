"""`agentkit settings`: what can be set, said once and shown everywhere."""

from __future__ import annotations

import re
import tomllib
from math import inf
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

import agentkit.config
from agentkit.cli import app
from agentkit.cli.settings import sections, written
from agentkit.config import parse_config
from agentkit.errors import ConfigError, UsageError


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.agentkit]\n")
    monkeypatch.chdir(tmp_path)


def test_the_readme_holds_all_of_them() -> None:
    readme = Path(agentkit.config.__file__).with_name("README.md").read_text(encoding="utf-8")
    _, _, block = readme.partition("```toml\n")
    assert block == f"{written(sections())}\n```\n", "write what `agentkit settings` prints in an empty project there"


def test_each_says_what_it_means() -> None:
    silent = [f"{it.name}.{setting.name}" for it in sections() for setting in it.settings if not setting.meaning]
    assert {it.rpartition(".")[2] for it in silent} == {"kind"}
    assert all(it.title for it in sections())


def test_each_table_can_be_taken_as_it_is_printed() -> None:
    filled_in = set()
    for section in sections():
        table = tomllib.loads(written([section]))["tool"]["agentkit"]
        try:
            parse_config(table, section.name)
        except ConfigError as error:
            filled_in |= set(re.findall(r"\.(\w+): is missing", str(error))) or {str(error)}
    assert filled_in == {"graph", "function", "url", "model"}, "only what must be set has to be filled in first"


def test_what_the_project_sets_is_shown(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.agentkit]\nstore = "postgresql://me:hunter2hunter2@host/db"\n[tool.agentkit.loop]\ngoal = 0.8\n'
        'tune = { held_out = 40 }\n[tool.agentkit.gate]\nlatency = true\nsafety = { "a b" = 0.05 }\n'
    )
    said = CliRunner().invoke(app, ["settings"], standalone_mode=False).output
    for line in ("goal = 0.8", "held_out = 40", "latency = true", 'safety = {"a b" = 0.05}', "min_effect = 0.02"):
        assert f"\n{line}\n" in said
    assert "hunter2" not in said


def test_false_is_the_word_for_none(tmp_path: Path) -> None:
    limits = {"tokens": False, "seconds": False, "tool_seconds": False}
    user = {"kind": "llm", "model": "m", "max_tokens": False}
    found = parse_config({"limits": limits, "users": {"ann": user}, "collect": {"retention_days": False}}, "f")
    assert (found.limits.tokens, found.limits.seconds, found.limits.tool_seconds) == (None, None, None)
    assert (found.collect.retention_days, found.users["ann"].model_dump()["max_tokens"]) == (None, None)
    (tmp_path / "pyproject.toml").write_text("[tool.agentkit.collect]\nretention_days = false\n")
    assert "\nretention_days = false\n" in CliRunner().invoke(app, ["settings"], standalone_mode=False).output


@pytest.mark.parametrize(
    ("found", "expected"), [(True, "a number, or false"), (0, "greater than 0"), (inf, "equal to 365000")]
)
def test_days_without_end_are_no_number(found: float, expected: str) -> None:
    with pytest.raises(ConfigError, match=f"collect.retention_days: found {found}, expected: .*{expected}"):
        parse_config({"collect": {"retention_days": found}}, "f")


def test_what_a_new_project_is_offered_can_be_taken(new_project: Path) -> None:
    written = (new_project / "pyproject.toml").read_text(encoding="utf-8")
    offered = re.sub(r"^# (?=\[|\w+ = )", "", written, flags=re.MULTILINE)
    agents = parse_config(tomllib.loads(offered)["tool"]["agentkit"], "pyproject.toml").agents
    assert {it.kind for it in agents.values()} == {"function", "chat", "langgraph", "http"}


def test_a_part_of_them() -> None:
    run = CliRunner()
    said = run.invoke(app, ["settings", "serve.canary", "--json", "-"], standalone_mode=False).output
    (section,) = orjson.loads(said)
    (margin,) = [it for it in section["settings"] if it["name"] == "margin"]
    assert (section["name"], margin["default"], margin["value"]) == ("serve.canary", 0.1, None)
    assert margin["kind"] == "number above 0 and below 1"
    whole = run.invoke(app, ["settings", "tool.agentkit.serve"], standalone_mode=False).output
    assert [line for line in whole.splitlines() if line.startswith("[")] == [
        f"[tool.agentkit.serve.{it}]" for it in ("engines", "router", "canary")
    ]
    wrong = run.invoke(app, ["settings", "serve.roter"], standalone_mode=False).exception
    assert isinstance(wrong, UsageError)
    assert "did you mean 'serve.router'" in str(wrong)
