"""Trials whose replies are graded by rewards: played, and graded again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.config import ScriptedAgent as Settings
from agentkit.ingest import record
from agentkit.ingest.otel import read_otel
from agentkit.llm import Budget
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.regrade_run import regrade_run
from agentkit.play.session import RunSettings, open_session, play_session
from agentkit.records import Party, Run, Status, StepGrade
from agentkit.scenario import load
from agentkit.store import Store
from tests.play.conftest import SHOP

REWARDS = """
from agentkit.grade import reward

@reward
def names_the_item(step):
    return None if "item" not in step.variables else step.variables["item"] in step.reply and "ship" in step.tools

@reward
def answers(step):
    return bool(step.reply)

@reward
def is_shipped(step):
    return None if step.world is None else all(it["status"] == "shipped" for it in step.world["orders"].values())
"""
OUTCOME = (
    "outcome:\n  - id: is_shipped\n",
    "outcome:\n  - id: rewarded\n    reply: {reward: REWARD}\n  - id: is_shipped\n",
)

STEP = ("reply: {mentions: [shipped]}", "reply: {mentions: [shipped], reward: REWARD}")
ASKS = ("reply: {asks: true}", "reply: {asks: true, reward: REWARD}")
ANSWER = ('    return "shipped"', '    return "on its way"')
DEED = ('["status"] = "shipped"', '["status"] = "SHIPPED"')


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tests' suite, to be changed, in a project with rewards."""
    (tmp_path / "pyproject.toml").write_text("[tool.agentkit]\n")
    (tmp_path / "rewards").mkdir()
    (tmp_path / "rewards" / "till.py").write_text(REWARDS)
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(SHOP, tmp_path / "shop"))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/rewarded.db") as opened:
        yield opened


def change(file: Path, pair: tuple[str, str], reward: str = "") -> None:
    text = file.read_text()
    assert text.count(pair[0]) == 1
    file.write_text(text.replace(pair[0], pair[1].replace("REWARD", f'"{reward}"')))


async def played(store: Store, folder: Path, accuracy: float = 1.0, trials: int = 1) -> Run:
    agent = ScriptedAgent("scripted", accuracy)
    settings = RunSettings(
        paths=(str(folder),),
        agent="scripted",
        agent_settings=Settings(kind="scripted"),
        variants=(("shop/five", "golden"),),
        trials=trials,
    )
    session = open_session(settings, load([folder]), agent, store)
    return await play_session(
        session, agent, judge=None, budget=Budget(), trace_folder=folder / "traces", listener=lambda progress: None
    )


def grades(store: Store, run: Run, step: str) -> list[StepGrade]:
    return [it for trial in store.trials(run.id) for it in (*trial.steps, *trial.outcome) if it.step == step]


async def test_an_outcomes_reward_is_told_the_variables_when_played_and_when_graded_again(
    db: Store, suite: Path
) -> None:
    change(suite / "five.yaml", OUTCOME, "till:names_the_item,answers")
    run = await played(db, suite)
    (grade,) = grades(db, run, "rewarded")
    assert grade.status is Status.PASSED
    assert "names_the_item 1" in grade.reason
    found = await regrade_run(run, load([suite]), db)
    assert found.changes == ()
    assert grades(db, found.run, "rewarded") == [grade]


@pytest.mark.parametrize("imported", [False, True], ids=["recorded", "imported"])
async def test_a_steps_reward_sees_the_world_when_it_is_graded_again(db: Store, suite: Path, imported: bool) -> None:
    change(suite / "five.yaml", STEP, "till:is_shipped,answers")
    run = await played(db, suite, accuracy=0.5, trials=6)
    before = [it.status for it in grades(db, run, "says_shipped")]
    assert {*before} == {Status.PASSED, Status.FAILED}
    if imported:
        (traced,) = read_otel(suite / "traces")
        run = db.run(record(traced, db).run)
    found = await regrade_run(run, load([suite]), db)
    assert found.changes == ()
    assert [it.status for it in grades(db, found.run, "says_shipped")] == before


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (ANSWER, 'ship answered "shipped" when it was recorded'),
        (DEED, "leave another world than the recording ends with"),
    ],
    ids=["answers otherwise", "does otherwise"],
)
async def test_where_the_world_is_not_known_a_reward_says_nothing(
    db: Store, suite: Path, now: tuple[str, str], why: str
) -> None:
    change(suite / "five.yaml", STEP, "till:is_shipped,answers")
    run = await played(db, suite)
    change(suite / "world.py", now)
    found = await regrade_run(run, load([suite]), db)
    (grade,) = grades(db, found.run, "says_shipped")
    assert (grade.status, grade.check, grade.fault) == (Status.UNGRADED, "reply.reward", Party.HARNESS)
    assert why in grade.reason


async def test_what_fails_without_the_world_being_asked_has_failed(db: Store, suite: Path) -> None:
    change(suite / "five.yaml", ASKS, "till:is_shipped,answers")
    run = await played(db, suite)
    change(suite / "world.py", ANSWER)
    change(suite / "five.yaml", ("reply: {asks: true, ", "reply: {asks: true, mentions: [nobody], "))
    found = await regrade_run(run, load([suite]), db)
    (grade,) = grades(db, found.run, "offers_help")
    assert (grade.status, grade.check) == (Status.FAILED, "reply.mentions")
    assert grade.expected == {"mentions": ["nobody"], "asks": True, "reward": "till:is_shipped,answers"}


async def test_an_outcomes_reward_says_nothing_where_the_end_is_not_known(db: Store, suite: Path) -> None:
    change(suite / "five.yaml", OUTCOME, "till:is_shipped,answers")
    await played(db, suite)
    (traced,) = read_otel(suite / "traces")
    run = db.run(record(traced, db).run)
    change(suite / "world.py", ANSWER)
    found = await regrade_run(run, load([suite]), db)
    (grade,) = grades(db, found.run, "rewarded")
    assert (grade.status, grade.check, grade.fault) == (Status.UNGRADED, "reply.reward", Party.HARNESS)
