"""The run as a whole: what is recorded, and what happens when it cannot be."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentkit.config import ChatAgent, Config, Limits
from agentkit.errors import StoreError
from agentkit.llm import Budget
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.session import find_played, new_session, play_session, recorded_settings
from agentkit.records import Trial
from agentkit.scenario import Loaded
from agentkit.store import Store
from agentkit.tracing import Tracing
from tests.play.conftest import Play, session_of


@pytest.mark.slow
async def test_trials_are_recorded_whatever_the_concurrency(play: Play) -> None:
    one = (await play(ScriptedAgent("s", 0.7), trials=30, concurrency=1))[1]
    many = (await play(ScriptedAgent("s", 0.7), trials=30, concurrency=16))[1]
    assert [trial.key for trial in one] == [trial.key for trial in many]
    assert [trial.verdict for trial in one] == [trial.verdict for trial in many]
    assert [[m.content for m in t.messages] for t in one] == [[m.content for m in t.messages] for t in many]


async def test_a_store_that_fails_ends_the_run_and_keeps_what_was_recorded(
    shop: tuple[Loaded, ...], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = ScriptedAgent("s", 0.7)
    session = session_of(agent, shop, store, 100, 1, 0, ("golden",), None, 8)
    add_trials, recorded = store.add_trials, 0

    def full_disk(batch: Sequence[Trial]) -> int:
        nonlocal recorded
        if recorded >= 20:
            raise StoreError("the disk is full")
        recorded += add_trials(batch)
        return recorded

    monkeypatch.setattr(store, "add_trials", full_disk)
    with pytest.raises(StoreError, match="the disk is full"):
        async with asyncio.timeout(60):
            await play_session(
                session, agent, judge=None, budget=Budget(), trace_folder=tmp_path, listener=lambda progress: None
            )
    assert store.run("last").status == "interrupted"
    assert len(list(store.trials(session.run.id))) == recorded >= 20


async def test_where_the_store_fails_to_the_last_all_else_is_closed(
    shop: tuple[Loaded, ...], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, closed = ScriptedAgent("s", 0.7), list[str]()
    session = session_of(agent, shop, store, 1, 1, 0, ("golden",), None, 1)

    async def close(_: ScriptedAgent) -> None:
        closed.append("agent")

    def full_disk(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(ScriptedAgent, "close", close)
    monkeypatch.setattr(Tracing, "close", lambda _: closed.append("tracing"))
    monkeypatch.setattr(store, "add_trials", full_disk)
    monkeypatch.setattr(store, "update_run", full_disk)
    with pytest.raises(StoreError, match="the disk is full"):
        await play_session(
            session, agent, judge=None, budget=Budget(), trace_folder=tmp_path, listener=lambda progress: None
        )
    assert closed == ["agent", "tracing"]


async def test_repeats_play_one_instance_again(play: Play) -> None:
    _, trials = await play(ScriptedAgent("s", 0.5), trials=5, repeats=3)
    assert len(trials) == 15
    assert len({trial.key.instance for trial in trials}) == 5
    assert {trial.key.repeat for trial in trials} == {0, 1, 2}
    first = [t for t in trials if t.key.instance == trials[0].key.instance]
    assert {str(t.variables) for t in first} == {str(trials[0].variables)}


def test_an_agent_whose_instructions_were_redacted_is_taken_from_the_project(
    shop: tuple[Loaded, ...], store: Store
) -> None:
    told = ChatAgent(kind="chat", model="m", base_url="http://h/v1", system="For a lost password: refer to the desk.")
    scripted = ScriptedAgent("s", 0.7)
    session = session_of(scripted, shop, store, 1, 1, 0, ("golden",), None, 1)
    settings = session.settings.model_copy(update={"agent_settings": told})
    run = new_session(settings, shop, scripted, store).run
    assert "[redacted]" in str(run.settings)
    assert recorded_settings(run, Config(agents={"s": told})).agent_settings == told
    other = told.model_copy(update={"temperature": 0.0})
    for project in (None, Config(), Config(agents={"s": other})):
        assert "[redacted]" in str(recorded_settings(run, project).agent_settings)


async def test_a_run_that_was_played_before_is_found_only_where_it_would_be_the_same(
    play: Play, shop: tuple[Loaded, ...], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = ScriptedAgent("s", 0.7, deterministic=True)
    run, _ = await play(agent, trials=2, concurrency=1)
    known = recorded_settings(run)

    def found(agent: ScriptedAgent = agent, **changes: object) -> str | None:
        same = find_played(new_session(known.model_copy(update=changes), shop, agent, store))
        return same.id if same else None

    assert found() == found(concurrency=9) == run.id
    assert found(ScriptedAgent("s", 0.7)) is None, "it may answer otherwise the next time"
    assert found(ScriptedAgent("s", 0.8, deterministic=True)) is None
    assert found(trials=3) is None
    assert found(limits=Limits(moves_per_turn=3)) is None
    assert find_played(new_session(known, shop, agent, store, ())) is None, "other trials"
    with monkeypatch.context() as patch:
        patch.setattr("agentkit.play.session.versions", lambda: {"python": "4.0"})
        assert found() is None
    store.update_run(run.id, status="interrupted", spent={})
    assert found() is None
