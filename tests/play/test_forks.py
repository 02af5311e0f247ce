"""One turn at a time, from a right history."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from agentkit.config import Sampling
from agentkit.llm import Budget
from agentkit.llm.openai import OpenAIChat
from agentkit.measure.propagation import propagation
from agentkit.play.agent import Moment
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.agents.function import FunctionAgent
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.play.conversation import build_conversation
from agentkit.play.forks.golden import Histories
from agentkit.play.session import fork_plan, open_session, play_session, resume_session
from agentkit.records import Effect, ForkKind, Message, Party, Status, ToolCall, Verdict
from agentkit.scenario import Loaded, load
from agentkit.store import Store
from tests.llm.conftest import Server
from tests.play.conftest import SHOP, Play, session_of
from tests.play.fork_runs import Counting, Forked, forked, play_forks

OWN = ("golden", "second_thoughts")


@pytest.fixture
def fork(shop: tuple[Loaded, ...], store: Store, tmp_path: Path) -> Any:
    """Plays forks of the shop."""

    async def played(agent: Any, **told: Any) -> Forked:
        return await play_forks(agent, shop, store, tmp_path / "traces", **told)

    return played


async def test_every_turn_is_sampled_once_and_graded_alone(fork: Any) -> None:
    found = await fork(ScriptedAgent("s"), trials=2)
    assert found.run.planned == len(found.trials) == 6
    first = [trial for trial in found.trials if trial.key.instance == found.trials[0].key.instance]
    assert [trial.key.variant for trial in first] == ["golden/1", "golden/2", "golden/3"]
    for trial in first:
        assert trial.fork is not None
        assert trial.verdict is Verdict.OPEN
        assert trial.outcome == ()
        graded = [grade for grade in trial.steps if grade.status is not Status.NOT_REACHED]
        assert {grade.turn for grade in graded} == {trial.fork.turn}
        assert all(grade.status is Status.PASSED for grade in graded)
        assert [grade.step for grade in trial.steps] == ["look_up", "names_item", "ship", "says_shipped", "offers_help"]
        given, own = trial.messages[: trial.fork.given], trial.messages[trial.fork.given :]
        assert given[-1].role == "user"
        assert {message.turn for message in own} == {trial.fork.turn}


async def test_the_world_is_as_a_right_history_left_it(fork: Any) -> None:
    found = await fork(ScriptedAgent("nobody", 0.0))
    (thanks,) = found.of("golden", 2)
    (order,) = thanks.final_state["orders"].values()
    assert order["status"] == "shipped"  # by the golden agent: this one never would
    (asks,) = found.of("golden", 0)
    (order,) = asks.final_state["orders"].values()
    assert order["status"] == "open"


@pytest.mark.slow
async def test_planted_accuracies_are_found_again(fork: Any) -> None:
    planted = {"look_up": 0.95, "names_item": 0.8, "ship": 0.9, "says_shipped": 0.7, "offers_help": 0.85}
    found = await fork(ScriptedAgent("s", steps=planted), trials=150)
    assert {it.step: it.reached for it in found.summary.steps} == dict.fromkeys(planted, 150)
    for it in found.summary.steps:
        assert it.low < planted[it.step] < it.high
        assert it.effective == 150
    compounded = found.summary.golden.compounded
    assert compounded.low is not None
    assert compounded.high is not None
    assert compounded.low < 0.95 * 0.8 * 0.9 * 0.7 * 0.85 < compounded.high


async def test_nothing_whole_is_observed(fork: Any) -> None:
    group = (await fork(ScriptedAgent("s"), trials=3)).summary.document()["all"]
    assert group["compounded"]["estimate"] == 1
    for name in ("observed", "all_steps_passed", "gap"):
        assert group[name]["estimate"] is None
        assert group[name]["reason"] == "forks play no whole conversation"
    assert group["gap"]["p_value"] is None
    assert group["pass_hat"] is group["pass_at"] is None


@pytest.mark.slow
async def test_what_is_equal_is_sampled_once_and_counts_for_all(fork: Any) -> None:
    found = await fork(ScriptedAgent("s", 0.6), trials=20, variants=OWN)
    kinds = [(trial.fork.variant, trial.fork.turn, trial.fork.kind, trial.fork.serves) for trial in found.trials[:5]]
    assert kinds == [
        ("second_thoughts", 1, ForkKind.DETOUR, ("second_thoughts",)),
        ("golden", 0, ForkKind.GOLDEN, OWN),
        ("golden", 1, ForkKind.GOLDEN, ("golden",)),
        ("golden", 2, ForkKind.GOLDEN, ("golden",)),
        ("second_thoughts", 2, ForkKind.AFTER, ("second_thoughts",)),
    ]
    steps = {(it.variant, it.step): it for it in found.summary.steps}
    assert {it.reached for it in steps.values()} == {20}
    assert steps["golden", "look_up"].passed == steps["second_thoughts", "look_up"].passed
    assert ("second_thoughts", "ship") not in steps


@pytest.mark.slow
async def test_what_follows_several_detours_is_sampled_once_for_all_of_them(fork: Any) -> None:
    variants = ("golden", *(f"user:{name}@1" for name in ("side_question", "off_topic", "repeats", "claims_authority")))
    pooled = await fork(ScriptedAgent("s", 0.6), trials=12, variants=variants)
    each = await fork(ScriptedAgent("s", 0.6), trials=12, variants=variants, after="each")
    after = [trial for trial in pooled.trials if trial.fork.kind is ForkKind.AFTER]
    assert len({trial.fork.variant for trial in after}) > 1
    assert max(len(trial.fork.serves) for trial in after) > 1
    assert len(pooled.trials) < len(each.trials)
    for found in (pooled, each):
        assert {it.reached for it in found.summary.steps} == {12}


@pytest.mark.slow
async def test_what_counts_in_several_variants_widens_the_interval_of_their_mean(fork: Any) -> None:
    few = (await fork(ScriptedAgent("s", 0.7), trials=30, variants=OWN)).summary
    quadrature = (few.golden.compounded, few.off_path.compounded)
    alone = sum(((it.high or 0) - (it.low or 0)) ** 2 / 4 for it in quadrature) ** 0.5
    together = few.all.compounded
    assert (together.high or 0) - (together.low or 0) > alone


async def test_branches_of_one_history_do_not_touch_each_other(fork: Any) -> None:
    async def ship_once(moment: Moment) -> Any:
        order = moment.messages[0].content.split()[-1].rstrip("?")
        if moment.turn == 1 and moment.seed % 2:
            await moment.call_tool(ToolCall("c", "ship", {"order_id": order}))
        return "shipped?"

    found = await fork(FunctionAgent("f", ship_once), trials=4, repeats=4)
    forks = found.of("golden", 1)
    shipped = {any(m.role == "tool" and m.turn == 1 for m in trial.messages) for trial in forks}
    assert shipped == {True, False}
    for trial in forks:
        (order,) = trial.final_state["orders"].values()
        assert (order["status"] == "shipped") is any(m.role == "tool" and m.turn == 1 for m in trial.messages)


@pytest.mark.slow
async def test_what_earlier_errors_cost_later_steps(fork: Any, play: Play, store: Store) -> None:
    """An agent that, once it has got one thing wrong, gets all that follows wrong."""

    def right(moment: Moment) -> bool:
        own = [m for m in moment.messages if m.role == "assistant" and m.turn < moment.turn]
        slipped = any("cannot say" in m.content for m in own)
        return not slipped and (moment.turn > 0 or moment.seed % 3 > 0)

    async def act(moment: Moment) -> Any:
        if right(moment):
            return await ScriptedAgent("golden").act(moment)
        return Message("assistant", "I cannot say.", moment.turn)

    agent = FunctionAgent("spiral", act)
    whole, _ = await play(agent, trials=60)
    cost = propagation((await fork(agent, trials=60)).summary, forked(whole, store).summary)
    steps = {it.given.step: it for it in cost.steps}
    for name in ("ship", "says_shipped", "offers_help"):
        it = steps[name]
        assert it.given.accuracy == 1
        assert it.cost is not None
        assert it.cost.low > 0.1
    assert steps["look_up"].cost is not None
    assert steps["look_up"].cost.low < 0 < steps["look_up"].cost.high
    golden = cost.groups["golden"]
    assert golden.cost is not None
    assert golden.cost.low > 0
    assert golden.observed.estimate == steps["look_up"].played.accuracy


@pytest.mark.slow
async def test_an_agent_that_carries_nothing_over_pays_nothing(fork: Any, play: Play, store: Store) -> None:
    agent = ScriptedAgent("s", 0.8)
    whole, _ = await play(agent, trials=80)
    cost = propagation((await fork(agent, trials=80)).summary, forked(whole, store).summary)
    assert all(it.cost is not None and it.cost.low < 0 < it.cost.high for it in cost.steps)


async def test_a_tool_fault_strikes_in_the_sampled_turn_and_nowhere_before(fork: Any) -> None:
    found = await fork(ScriptedAgent("s"), variants=("golden", "tool:error@1"), trials=3)
    own = [trial for trial in found.trials if trial.fork.kind is ForkKind.DETOUR]
    assert {trial.fork.turn for trial in own} == {0, 1}  # a right agent calls no tool in the last turn
    for trial in own:
        assert not any(message.planted for message in trial.messages[: trial.fork.given])
        assert any(message.planted == "tool:error" for message in trial.messages[trial.fork.given :])
        assert [it.effect for it in trial.disturbances] == [Effect.TRIGGERED]
    (thanks,) = {trial.fork.serves for trial in found.of("golden", 2)}
    assert thanks == ("golden", "tool:error@1")
    assert {it.reached for it in found.summary.steps if it.step == "offers_help"} == {3}


async def test_a_moment_that_was_met_before_is_not_asked_about_again(fork: Any) -> None:
    agent = Counting(ScriptedAgent("s"))
    found = await fork(agent, variants=("golden", "tool:error@1"), trials=5)
    shared = sum(trial.fork.shared for trial in found.trials)
    made = sum(message.role == "assistant" for trial in found.trials for message in trial.messages[trial.fork.given :])
    assert shared == 2 * 5  # the call that fails is golden's own, in two turns
    assert sum(agent.moves.values()) == made - shared


async def test_agents_that_drive_their_own_tools_share_nothing(fork: Any) -> None:
    async def act(moment: Moment) -> str:
        result = await moment.call_tool(ToolCall("c", "look_up", {"order_id": moment.messages[0].content[-6:-1]}))
        return result.content

    found = await fork(FunctionAgent("f", act), variants=("golden", "tool:error@1"), trials=2)
    assert sum(trial.fork.shared for trial in found.trials) == 0
    assert all(any(m.role == "tool" for m in trial.messages[trial.fork.given :]) for trial in found.trials)


@pytest.mark.slow
async def test_a_model_fault_reaches_an_agent_behind_our_own_client_alone(fork: Any) -> None:
    scripted = await fork(ScriptedAgent("s"), variants=("golden", "model:rate_limit@1"))
    assert {trial.fork.kind for trial in scripted.trials} == {ForkKind.GOLDEN}
    async with Server.listening() as server:
        model = ChatAgent("chat", OpenAIChat(server.url, "tiny"), Sampling(temperature=0))
        hosted = await fork(model, variants=("golden", "model:rate_limit@1"))
    struck = [trial for trial in hosted.trials if trial.fork.kind is ForkKind.DETOUR]
    assert [trial.fork.turn for trial in struck] == [0, 1, 2]
    for trial in struck:
        assert [it.effect for it in trial.disturbances] == [Effect.TRIGGERED]
        assert all("rate_limit" in m.call.failures for m in trial.messages if m.call and m.call.failures is not None)


def without_ids(found: Forked) -> list[Any]:
    return [
        (
            trial.index,
            trial.key,
            trial.verdict,
            trial.fork,
            [(m.role, m.content, m.tool_calls, m.planted) for m in trial.messages],
            [(g.step, g.status, g.reason) for g in trial.steps],
            trial.final_state,
        )
        for trial in found.trials
    ]


@pytest.mark.slow
async def test_equal_seeds_give_equal_forks_whatever_the_concurrency(fork: Any) -> None:
    told: dict[str, Any] = {"variants": (*OWN, "user:side_question@1", "user:off_topic@0.3"), "trials": 8, "seed": 5}
    one = await fork(ScriptedAgent("s", 0.6), concurrency=1, **told)
    many = await fork(ScriptedAgent("s", 0.6), concurrency=16, **told)
    assert without_ids(one) == without_ids(many)
    other = await fork(ScriptedAgent("s", 0.6), **{**told, "seed": 6})
    assert without_ids(other) != without_ids(one)


async def test_a_run_that_hit_its_limit_goes_on_where_it_stopped(
    shop: tuple[Loaded, ...], store: Store, tmp_path: Path
) -> None:
    async def polite(moment: Moment) -> str:
        return "Is that right?"

    def agent(budget: Budget) -> FunctionAgent:
        return FunctionAgent("f", polite, budget=budget)

    stopped = await play_forks(
        agent(budget := Budget(7)), shop, store, tmp_path / "traces", trials=5, budget=budget, concurrency=2
    )
    assert stopped.run.status == "stopped"
    assert len(stopped.trials) == 7
    budget = Budget()
    settings = session_of(agent(budget), shop, store, 5, 1, 0, ("golden",), None, 2).settings
    plan = await fork_plan(settings.model_copy(update={"fork": "pooled"}), shop, agent(budget))
    run = store.run(stopped.run.id)
    session = resume_session(run, shop, agent(budget), store, plan)
    done = await play_session(
        session, agent(budget), judge=None, budget=budget, trace_folder=tmp_path / "more", listener=lambda _: None
    )
    assert done.status == "finished"
    assert len(forked(done, store).trials) == 15
    assert budget.totals.calls == 8


@pytest.mark.slow
async def test_samples_of_one_instance_count_as_a_cluster(fork: Any) -> None:
    found = await fork(ScriptedAgent("s", 0.7, deterministic=True), trials=10, repeats=4)
    for it in found.summary.steps:
        assert it.reached == 40
        assert it.effective == 10


async def test_without_a_right_history_a_fork_is_invalid(fork: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.play.forks.golden.ScriptedAgent", lambda name: ScriptedAgent(name, 0.0))
    found = await fork(ScriptedAgent("s"))
    verdicts = [(trial.verdict, trial.fault) for trial in found.trials]
    assert verdicts == [(Verdict.OPEN, None), (Verdict.INVALID, Party.HARNESS), (Verdict.INVALID, Party.HARNESS)]
    assert "no right history: the golden play fails look_up" in found.trials[1].reason
    compounded = found.summary.golden.compounded
    assert compounded.estimate is None
    assert "ship" in (compounded.reason or "")


async def test_what_is_not_sampled_yet_leaves_the_product_unknown(fork: Any) -> None:
    async def polite(moment: Moment) -> str:
        return "Is that right?"

    budget = Budget(1)
    found = await fork(FunctionAgent("f", polite, budget=budget), budget=budget, concurrency=1)
    assert len(found.trials) == 1
    assert found.summary.golden.compounded.estimate is None


async def test_histories_are_checkpoints_of_the_golden_play(shop: tuple[Loaded, ...]) -> None:
    conversation = build_conversation()
    histories = Histories(conversation)
    history = await histories.of(shop[0], "golden", 3)
    await histories.close()
    assert [state["turn"] for state in history.starts] == [0, 1, 2]
    assert [state["messages"][-1].role for state in history.starts] == ["user"] * 3
    before, after = (pickle.loads(history.starts[turn]["world"]) for turn in (1, 2))
    assert [order["status"] for order in before["orders"].values()] == ["open"]
    assert [order["status"] for order in after["orders"].values()] == ["shipped"]
    assert [[call.name for call in calls] for calls in history.calls] == [["look_up"], ["ship"], []]
    assert conversation.checkpointer is not None
    assert not list(conversation.checkpointer.list(None))  # type: ignore[union-attr]


async def test_a_fork_survives_the_store(fork: Any, store: Store) -> None:
    found = await fork(ScriptedAgent("s"), variants=OWN)
    again = store.trial(found.run.id, "shop/five/golden/2#0")
    assert again.fork == found.of("golden", 1)[0].fork
    assert again.verdict is Verdict.OPEN


async def test_an_instance_without_a_place_is_one_invalid_fork(store: Store, tmp_path: Path) -> None:
    shutil.copytree(SHOP, tmp_path / "shop")
    file = tmp_path / "shop" / "five.yaml"
    file.write_text(file.read_text().replace("Do you know {{ order_id }}?", "Where is my order?"))
    suite, variant = load([tmp_path / "shop"]), "user:wrong_identifier@1"
    found = await play_forks(ScriptedAgent("s"), suite, store, tmp_path / "traces", variants=(variant,), trials=8)
    nowhere = {trial.key.instance for trial in found.trials if trial.verdict is Verdict.INVALID}
    assert 0 < len(nowhere) < len({trial.key.instance for trial in found.trials}) == 8
    for trial in found.trials:
        if trial.key.instance in nowhere:
            assert (trial.fault, trial.messages) == (Party.HARNESS, ())
            assert "no turn names an identifier" in trial.reason
    assert sum(trial.key.instance in nowhere for trial in found.trials) == len(nowhere)
    (measured,) = found.summary.scenarios
    assert measured.invalid == len(nowhere)


async def test_plans_are_equal_however_often_they_are_made(shop: tuple[Loaded, ...], store: Store) -> None:
    agent = ScriptedAgent("s")
    variants = (*OWN, "tool:error@0.5", "user:off_topic@1+tool:timeout@1")
    settings = session_of(agent, shop, store, 4, 2, 0, variants, None, 2).settings.model_copy(update={"fork": "each"})
    first, second = await fork_plan(settings, shop, agent), await fork_plan(settings, shop, agent)
    assert first == second
    assert first is not None
    assert len({planned.key for planned in first}) == len(first)
    assert open_session(settings, shop, agent, store, first).run.planned == len(first)
