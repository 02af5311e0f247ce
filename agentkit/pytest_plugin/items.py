"""Collecting scenarios: one item for a scenario and variant, known from a quick look at the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentkit.errors import AgentkitError
from agentkit.pytest_plugin.player import Broken, player_of

GOLDEN = "golden"
_NOT_IN_A_NAME = str.maketrans(dict.fromkeys(" -./:", "_"))


class ScenarioFile(pytest.File):
    """One file of scenarios."""

    def collect(self) -> Iterator[pytest.Item]:
        player = player_of(self.config)
        player.announce(self.path)
        for scenario, outline in _outlines(self.path):
            tags = {*_tags(outline), *_tags(_read(_suite(self.path)))}
            for variant in player.words.variants(_own(outline) if outline else None):
                name = variant if scenario is None else f"{scenario}::{variant}"
                item = ScenarioItem.from_parent(self, name=name)
                item.scenario, item.variant = scenario, variant
                item.add_marker(pytest.mark.agentkit)
                for tag in sorted(tags):
                    item.extra_keyword_matches.add(tag)
                    _mark(item, tag)
                yield item


class ScenarioItem(pytest.Item):
    """Plays one scenario in one variant, n trials of it."""

    scenario: str | None = None
    """Its id, where the file holds several."""
    variant: str = GOLDEN

    def runtest(self) -> None:
        player = player_of(self.config)
        player.words.refuse_unknown()
        without_place = player.without_place(self.path, self.scenario, self.variant)
        if without_place is not None:
            pytest.skip(f"not played, for want of a place to disturb: {without_place}")
        result = player.play(self.path, self.scenario, self.variant)
        for name, value in result.properties().items():
            self.user_properties.append((name, value))
        verdict = player.judge(result)
        self.user_properties += [("note", note) for note in verdict.notes]
        if verdict.notes:
            self.add_report_section("call", "agentkit", "\n".join(verdict.notes))
        if not verdict.passed:
            raise Broken(result, verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        error = excinfo.value
        if isinstance(error, Broken):
            return error.report()
        if isinstance(error, AgentkitError):
            from agentkit.grade.text import inert

            return "\n".join(map(inert, f"could not judge {self.name}: {error}".split("\n")))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.parent.name}/{self.path.stem}::{self.name}"


def _outlines(path: Path) -> Iterable[tuple[str | None, Mapping[str, Any]]]:
    """(id where it is not the file's own, outline) of each scenario of a file. A broken file has one that says nothing:
    what is wrong with it is told when it is to be played."""
    if path.suffix == ".py":
        from agentkit.scenario import load

        try:
            return [(it.id, it.scenario.model_dump(include={"tags", "detours"})) for it in load([path])]
        except AgentkitError:
            return [(None, {})]
    return [(None, _read(path))]


def _read(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        found = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _suite(path: Path) -> Path | None:
    return next((folder / "suite.yaml" for folder in path.parents if (folder / "suite.yaml").is_file()), None)


def _tags(outline: Mapping[str, Any]) -> list[str]:
    tags = outline.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _own(outline: Mapping[str, Any]) -> list[str]:
    """Ids of the scenario's own detours."""
    detours = outline.get("detours")
    found = detours if isinstance(detours, list) else []
    return [it["id"] for it in found if isinstance(it, Mapping) and isinstance(it.get("id"), str)]


def _mark(item: ScenarioItem, tag: str) -> None:
    """A marker named as the tag, for `-m`; tags are nobody's typing errors, so each is registered. pytest knows no
    marker that begins with `_`."""
    name = tag.translate(_NOT_IN_A_NAME)
    taken = ("skip", "skipif", "xfail", "usefixtures", "parametrize", "agentkit")
    if name.isidentifier() and not name.startswith("_") and name not in taken:
        item.config.addinivalue_line("markers", f"{name}: an agentkit tag")
        item.add_marker(getattr(pytest.mark, name))
