"""Regression scenarios: what is pinned, that it is the same conversation, and that nothing is overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from agentkit.errors import UsageError
from agentkit.scenario import Loaded, load
from agentkit.tune.regress import Mended, keep, mended, pinned
from tests.gate.gate_records import played, record
from tests.tune.proof_records import Plays, recorded_plays

SHIPPED = Path(__file__).parents[2] / "scenarios" / "point_of_sale"
STEPS = ("shop/refund/golden#refund", "shop/refund/poem#refund", "shop/refund/cash#refund")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED, tmp_path / "point_of_sale", ignore=shutil.ignore_patterns("__pycache__"))


def refund(suite: Path) -> Loaded:
    (found,) = load([suite / "refund.yaml"])
    return found


def failure(variant: str = "french_poem", instance: int = 1017) -> Mended:
    return Mended(0, instance, "point_of_sale/refund", variant, "refund")


def test_a_mended_failure_is_one_that_failed_before_and_passes_now():
    before = record(played([[0], [0], [1], [1]], steps=("refund",)))
    after = record(played([[1], [0], [1], [0]], steps=("refund",)), agent="tuned")
    assert [it.instance for it in mended(before, after, ["shop/refund/golden#refund"])] == [0]
    assert mended(before, after, ["shop/refund/golden#other"]) == ()


def test_variants_take_turns_and_conversations_that_succeed_now_come_first():
    before, after = recorded_plays("base", Plays()), recorded_plays("tuned", Plays({"refund": 0.8}))
    found = mended(before, after, STEPS)
    assert [it.variant for it in found[:3]] == ["golden", "cash", "poem"]
    assert [it.rank for it in found] == sorted(it.rank for it in found)
    assert found[0].rank == 0
    assert len(found) == 3 * sum(1 for it in found if it.variant == "golden")


@pytest.mark.parametrize("variant", ["golden", "french_poem", "wrong_number", "exchange_instead"])
def test_the_file_plays_the_very_conversation_that_failed_whatever_the_seed(suite: Path, variant: str):
    loaded = refund(suite)
    kept = keep([failure(variant)], [loaded])
    assert [file.name for file in kept.files] == [f"refund_{variant}_refund_1017.yaml"]
    (again,) = load(kept.files)
    assert again.id == f"point_of_sale/regressions/refund_{variant}_refund_1017"
    assert again.variants == (("golden",) if variant == "golden" else ("golden", variant))
    assert "regression" in again.scenario.tags
    was = loaded.draw(variant, 1017)
    for seed in (0, 1, 99):
        now = again.draw(variant, seed)
        assert (now.variables, now.world, now.turns, now.outcome) == (
            was.variables,
            was.world,
            was.turns,
            was.outcome,
        )


def test_the_whole_suite_still_loads_beside_its_regressions(suite: Path):
    loaded = load([suite])
    kept = keep([failure("golden", n) for n in range(5)], loaded)
    assert len(kept.files) == 3
    assert {it.id for it in load([suite])} == {it.id for it in loaded} | {
        f"point_of_sale/regressions/refund_golden_refund_{n}" for n in range(3)
    }


def test_nothing_is_overwritten_and_what_is_there_already_counts(suite: Path):
    loaded = refund(suite)
    first = keep([failure()], [loaded])
    (file,) = first.files
    stamp = file.stat().st_mtime_ns
    assert keep([failure()], [loaded]).files == first.files
    assert file.stat().st_mtime_ns == stamp
    file.write_text("title: mine\n")
    again = keep([failure()], [loaded])
    assert again.files == ()
    assert "is there already and says something else" in again.left_out[0]
    assert file.read_text() == "title: mine\n"


def test_a_detour_of_the_catalogue_is_left_out_with_a_word(suite: Path):
    kept = keep([failure("tool:timeout@0.5"), failure("golden")], [refund(suite)])
    assert len(kept.files) == 1
    assert kept.left_out == (
        "point_of_sale/refund/tool:timeout@0.5: a detour of the catalogue cannot be written into a scenario",
    )


def test_a_folder_outside_of_the_suite_is_refused_and_leaves_no_file(suite: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    with pytest.raises(UsageError):
        keep([failure()], [refund(suite)], elsewhere)
    assert list(elsewhere.glob("*")) == []


def test_an_unknown_scenario_is_an_error(suite: Path):
    with pytest.raises(UsageError, match="shop/refund: a failure of it was mended"):
        keep([Mended(0, 1, "shop/refund", "golden", "refund")], [refund(suite)])


@pytest.mark.slow
def test_values_that_look_like_numbers_or_templates_stay_what_they_are(suite: Path):
    file = suite / "odd.yaml"
    text = (suite / "refund.yaml").read_text()
    text = text.replace('last_four: {pattern: "[0-9]{4}"}', 'last_four: {choice: ["0012"]}')
    text = text.replace("item: {choice: [rain jacket, wool scarf,", "item: {choice: ['{{ sale }} & <b>', '1e55',")
    file.write_text(text)
    (loaded,) = load([file])
    for instance in range(12):
        it = Mended(0, instance, loaded.id, "golden", "refund")
        (written,) = keep([it], [loaded]).files
        (again,) = load([written])
        assert again.draw("golden", 5).variables == loaded.draw("golden", instance).variables
        assert yaml.safe_load(pinned(loaded, it))["variables"]["last_four"] == {"value": "0012"}
