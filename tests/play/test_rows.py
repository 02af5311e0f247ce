"""Rows that are played in order: runs, forks and gates meet them one after the other."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.gate import match
from agentkit.gate.rows import recorded
from agentkit.llm import Budget
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.plan import instance_seed, plan
from agentkit.play.session import fork_plan, open_session, play_session, resume_session
from agentkit.records import Run, Trial, Verdict
from agentkit.scenario import Loaded, load
from agentkit.store import Store
from tests.play.conftest import SHOP, session_of

ITEMS = ["kettle", "lamp", "jacket", "mug", "chair", "shelf", "clock"]


@pytest.fixture
def suite(tmp_path: Path) -> tuple[Loaded, ...]:
    """The shop, whose scenario `shop/five` draws its item, and `shop/listed` takes it from rows in order."""
    folder = Path(shutil.copytree(SHOP, tmp_path / "shop"))
    drawn = "  item: {choice: [kettle, lamp, jacket]}\n"
    text = (folder / "five.yaml").read_text()
    assert drawn in text
    (folder / "listed.yaml").write_text(text.replace(drawn, "rows: {file: items.jsonl, order: sequential}\n"))
    (folder / "items.jsonl").write_text("".join(json.dumps({"item": item}) + "\n" for item in ITEMS))
    return load([folder])


async def play(
    suite: tuple[Loaded, ...],
    store: Store,
    folder: Path,
    planned: Any = None,
    *,
    trials: int = 10,
    repeats: int = 1,
    seed: int = 0,
) -> tuple[Run, list[Trial]]:
    agent, variants = ScriptedAgent("s", 1.0), ("golden", "second_thoughts")
    settings = session_of(agent, suite, store, trials, repeats, seed, variants, None, 4).settings
    session = open_session(settings, suite, agent, store, planned)
    run = await play_session(
        session, agent, judge=None, budget=Budget(), trace_folder=folder / "traces", listener=lambda _: None
    )
    return run, list(store.trials(run.id))


@pytest.mark.parametrize("seed", [0, 1, 2**40])
async def test_instance_n_of_a_run_plays_row_n(
    suite: tuple[Loaded, ...], store: Store, tmp_path: Path, seed: int
) -> None:
    _, trials = await play(suite, store, tmp_path, seed=seed, repeats=2)
    assert {trial.verdict for trial in trials} == {Verdict.SUCCESS}
    for variant in ("golden", "second_thoughts"):
        ours = [it for it in trials if (it.key.scenario, it.key.variant) == ("shop/listed", variant)]
        in_order = sorted(ours, key=lambda it: it.index)[::2]
        assert [it.variables["item"] for it in in_order] == (ITEMS + ITEMS)[:10]
        assert len({it.variables["order_id"] for it in in_order}) == 10  # what is drawn beside the row differs
    (listed,) = (loaded for loaded in suite if loaded.id == "shop/listed")
    assert all(listed.draw(it.key.variant, it.key.instance).variables == it.variables for it in ours)


def test_the_seeds_of_all_other_scenarios_are_as_ever(suite: tuple[Loaded, ...]) -> None:
    keys = [it.key for it in plan(suite, trials=3, repeats=1, seed=7, variants=[(it.id, "golden") for it in suite])]
    five = [key.instance for key in keys if key.scenario == "shop/five"]
    assert five == [instance_seed(7, number) for number in range(3)]
    assert instance_seed(0, 0) == 131_978_767_253_905
    assert all(instance_seed(7, n, cycle) < 2**48 for n in range(50) for cycle in (1, 2, 7, 1000, 2**20))


async def test_forks_play_the_rows_in_order_too(suite: tuple[Loaded, ...], store: Store) -> None:
    agent = ScriptedAgent("s", 1.0)
    settings = session_of(agent, suite, store, 9, 1, 0, ("golden",), None, 1).settings
    planned = await fork_plan(settings.model_copy(update={"fork": "pooled"}), suite, agent)
    assert planned is not None
    listed = dict.fromkeys(it.key.instance for it in planned if it.key.scenario == "shop/listed")
    assert [seed % len(ITEMS) for seed in listed] == [number % len(ITEMS) for number in range(9)]


async def test_all_scenarios_take_turns_in_what_a_gate_looks_at(
    suite: tuple[Loaded, ...], store: Store, tmp_path: Path
) -> None:
    side = recorded(*await play(suite, store, tmp_path, trials=4))
    assert [cell.order.tolist() for cell in match(side, side)] == [[0, 1, 2, 3]] * 4


async def test_a_run_of_instances_that_are_drawn_otherwise_now_is_not_resumed(
    suite: tuple[Loaded, ...], store: Store, tmp_path: Path
) -> None:
    cells = [("shop/listed", "golden")]
    now = plan(suite, trials=2, repeats=1, seed=0, variants=cells)
    run, _ = await play(suite, store, tmp_path, now, trials=2)
    assert len(resume_session(run, suite, ScriptedAgent("s", 1.0), store).trials) == 8
    of_old = plan(
        [it for it in suite if it.id == "shop/five"], trials=2, repeats=1, seed=0, variants=[("shop/five", "golden")]
    )
    before = tuple(replace(it, key=replace(it.key, scenario="shop/listed")) for it in of_old)
    run, _ = await play(suite, store, tmp_path, before, trials=2)
    with pytest.raises(UsageError, match="2 of its trials are not among those that its settings now plan"):
        resume_session(run, suite, ScriptedAgent("s", 1.0), store)
