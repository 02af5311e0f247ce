"""Which variants a run plays."""

from __future__ import annotations

from itertools import combinations
from math import prod
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.play.variants import choose_variants, cover_pairs
from agentkit.records import GOLDEN
from agentkit.scenario import Loaded, load
from agentkit.scenario.detours import CATALOGUE, parse_variant, select, variant_name
from tests.scenario.scenario_files import write_suite

SUITES = Path(__file__).parents[2] / "scenarios"


@pytest.fixture(scope="module")
def shipped() -> tuple[Loaded, ...]:
    return load([SUITES / "point_of_sale"])


def test_words_of_a_scenario_and_of_the_catalogue_go_together(shipped: tuple[Loaded, ...]) -> None:
    chosen = choose_variants(shipped, ["french_poem", "tool:error@0.3", "model:cut"])
    played = {scenario: [v for s, v in chosen.cells if s == scenario] for scenario, _ in chosen.cells}
    assert played["point_of_sale/refund"] == [GOLDEN, "french_poem", "tool:error@0.3", "model:cut@1"]
    assert played["point_of_sale/exchange"] == [GOLDEN, "tool:error@0.3", "model:cut@1"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("tool:eror", r"no detour is called 'tool:eror' \(did you mean 'tool:error'\?\)"),
        ("french_pom", r"did you mean 'french_poem'\?"),
        ("tool:error@2", "found the intensity '2', expected a number from 0 to 1"),
        ("tool:error@", "found the intensity ''"),
        ("user@nan", "found the intensity 'nan'"),
    ],
)
def test_words_that_name_nothing(shipped: tuple[Loaded, ...], word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose_variants(shipped, [word])


def test_names_say_what_is_played() -> None:
    for base in (GOLDEN, "changes_mind"):
        detours = (*select("tool:error@0.25"), *select("model:cut"))
        name = variant_name(detours, base)
        assert parse_variant(name) == (base, detours)
    assert variant_name([]) == GOLDEN
    assert len(select("all")) == len(CATALOGUE)
    with pytest.raises(UsageError, match="two ways through the scenario"):
        parse_variant("one+two")


def test_every_pair_meets_in_fewer_trials(shipped: tuple[Loaded, ...]) -> None:
    single = choose_variants(shipped, ["user", "tool", "model"])
    covered = cover_pairs(single)
    places = {cell for cell in single.cells if ":" in cell[1]}
    met: set[frozenset[str]] = set()
    for scenario, variant in covered.cells:
        detours = [] if variant == GOLDEN else variant.split("+")
        assert all((scenario, detour) in places for detour in detours)
        assert len({detour.partition(":")[0] for detour in detours}) == len(detours)
        met |= {frozenset(pair) for pair in combinations([scenario, *detours], 2)}
    assert {frozenset(place) for place in places} <= met
    variants = {variant for _, variant in places}
    for one, other in combinations(sorted(variants), 2):
        meets = any({(s, one), (s, other)} <= places for s, _ in places)
        if meets and one.partition(":")[0] != other.partition(":")[0]:
            assert {one, other} in met, (one, other)
    levels = [1 + sum(v.startswith(party) for v in variants) for party in ("user", "tool", "model")]
    assert len(covered.cells) < len(shipped) * prod(levels) / 2
    assert cover_pairs(single) == covered


def test_nothing_to_combine(shipped: tuple[Loaded, ...]) -> None:
    with pytest.raises(UsageError, match="at least two of user, tool and model"):
        cover_pairs(choose_variants(shipped, ["tool"]))


def test_a_scenario_without_a_place_is_told(tmp_path: Path) -> None:
    scenarios = load([write_suite(tmp_path / "shop")])
    chosen = choose_variants(scenarios, ["all"])
    told = {(scenario, detour) for scenario, detour, _ in chosen.without_place}
    played = {(scenario, parse_variant(variant)[1][0].id) for scenario, variant in chosen.cells if ":" in variant}
    assert told | played == {(scenarios[0].id, id) for id in CATALOGUE}
    assert not told & played
    assert chosen.nowhere == ()


def test_a_word_without_any_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("title: A shop without tools\n")
    (tmp_path / "one.yaml").write_text(
        "title: A greeting\nturns: [{id: greet, user: Hi!, steps: [{id: answer, reply: {mentions: [hello]}}]}]\n"
        "outcome: [{id: polite, reply: {mentions: [hello]}}]\n"
    )
    chosen = choose_variants(load([tmp_path]), ["own", "all", "tool@0.5", "tool:error", "user"])
    assert chosen.nowhere == ("tool@0.5", "tool:error")


async def test_an_instance_without_a_place_is_an_invalid_trial_and_the_run_goes_on(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentkit.play.agents.scripted import ScriptedAgent
    from agentkit.scenario.detours import NotApplicable
    from agentkit.scenario.detours.user.vague import Vague

    def nowhere(*_: object) -> None:
        raise NotApplicable("nobody says anything here")

    monkeypatch.setattr(Vague, "apply", nowhere)
    _, trials = await play(ScriptedAgent("scripted"), variants=("golden", "user:vague@1"))
    told = {trial.key.variant: (trial.verdict, trial.fault, trial.reason) for trial in trials}
    assert told["golden"][0] == "success"
    assert told["user:vague@1"][:2] == ("invalid", "harness")
    assert told["user:vague@1"][2].endswith("user:vague@1: nobody says anything here")


def test_two_users_in_one_are_refused(shipped: tuple[Loaded, ...]) -> None:
    with pytest.raises(UsageError, match="user:vague and user:rude in one conversation; expected one"):
        shipped[0].draw("user:vague@1+user:rude@1", 0)
