"""A user played by a model: what it is told, what becomes of bad answers, and that it repeats itself exactly."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import ConfigError, ProviderError
from agentkit.llm import Budget, ChatRequest, ChatResponse
from agentkit.play.agents.function import FunctionAgent
from agentkit.play.user import NotRecorded, UserFault, user_hash
from agentkit.play.users import build_users
from agentkit.records import ModelCall, Party, Status, Stop, ToolCall, Usage, Verdict
from agentkit.store import Store
from tests.play.users.bank_calls import (
    INSTRUCTED,
    SETTINGS,
    Recorded,
    agent_move,
    asked,
    cue,
    lost_card,
    meant,
    play,
    right_agent,
    user,
)

ASKS = "When were you born?"


async def test_the_model_is_told_who_it_is_and_what_it_means_to_say() -> None:
    talker = user(meant)
    with asked(talker.model) as seen:
        said = await talker.say(cue(1, ASKS))
    assert said.content == "Yes, block it."
    system, prompt = seen[0].messages
    assert system.role == "system"
    assert system.content.startswith(INSTRUCTED)
    for part in ("purse is gone", "Upset, talkative.", "Never tells the PIN.", "It happened near"):
        assert part in system.content
    assert f"Agent: {ASKS}" in system.content
    assert prompt.content == "Rewrite this message:\nYes, block it."
    assert seen[0].tools == ()
    assert seen[0].max_tokens == 300
    assert seen[0].seed is not None


async def test_what_is_told_only_when_asked_is_kept_from_the_model_until_then() -> None:
    born = str(cue().instance.variables["born"])
    talker = user(meant)
    with asked(talker.model) as seen:
        await talker.say(cue(0))
        await talker.say(cue(1, "I am looking."))
        await talker.say(cue(1, ASKS))
    assert [born in request.messages[0].content for request in seen] == [False, False, True]
    assert all("It happened near" in request.messages[0].content for request in seen)


async def test_a_refused_answer_is_asked_for_again_with_the_reason() -> None:
    answers = iter(["Yes, block it, and C-999999 as well.", "", '"Customer: Yes, please block it."'])
    talker = user(lambda request: next(answers))
    with asked(talker.model) as seen:
        said = await talker.say(cue(1, ASKS))
    assert said.content == "Customer: Yes, please block it."[len("Customer: ") :]
    assert [len(request.messages) for request in seen] == [2, 4, 6]
    assert "invents: says 'C-999999'" in seen[1].messages[3].content
    assert "empty: says nothing" in seen[2].messages[5].content
    assert len({request.seed for request in seen}) == 3


async def test_after_its_tries_it_is_the_users_fault() -> None:
    talker = user(lambda request: "Goodbye.", tries=1)
    with (
        asked(talker.model) as seen,
        pytest.raises(UserFault, match=r"talker, in turn agrees after 2 tries: ends_early"),
    ):
        await talker.say(cue(1, ASKS))
    assert len(seen) == 2


@pytest.mark.parametrize("raised", [ProviderError("server", "HTTP 500"), TimeoutError("slow")])
async def test_a_provider_that_fails_is_no_fault_of_the_user(raised: Exception) -> None:
    with pytest.raises(ProviderError):
        await user(lambda request: raised).say(cue())


async def test_a_call_that_never_ends_is_cut_off() -> None:
    async def hangs(request: ChatRequest) -> str:
        await asyncio.Event().wait()
        return ""

    with pytest.raises(ProviderError, match=r"no answer within 0.05 s"):
        await user(hangs, timeout=0.05, retry_for=0.0).say(cue())


async def test_the_same_moment_gets_the_same_words_without_a_call() -> None:
    kept, answers = Recorded(), iter(["Nonsense.", "Yes, block it, hurry!"])
    first = await user(lambda request: next(answers), kept).say(cue(1, ASKS))
    assert first.content == "Yes, block it, hurry!"
    silent = user(lambda request: ProviderError("server", "never to be asked"), kept)
    assert (await silent.say(cue(1, ASKS))).content == first.content
    replay = user(lambda request: ProviderError("server", "never to be asked"), kept, replay=True)
    assert (await replay.say(cue(1, ASKS))).content == first.content
    assert len(kept) == 2


async def test_another_moment_model_seed_or_setting_is_another_recording() -> None:
    kept = Recorded()
    other = lost_card().draw("golden", 8)
    await user(meant, kept).say(cue(1, ASKS))
    for changed, moment in (
        (user(meant, kept, replay=True), cue(1, "Where were you born?")),
        (user(meant, kept, replay=True), cue(1, ASKS, instance=other)),
        (user(meant, kept, replay=True, temperature=0.5), cue(1, ASKS)),
        (user(meant, kept, replay=True, extra_body={"top_k": 3}), cue(1, ASKS)),
    ):
        with pytest.raises(NotRecorded, match="leave --replay-users out"):
            await changed.say(moment)
    assert len(kept) == 1


async def test_who_is_second_says_what_was_recorded_first() -> None:
    """Two plays of one moment at the same time, of a model that never says the same twice."""
    kept, number = Recorded(), iter(range(9))
    both = asyncio.Barrier(2)

    async def moody(request: ChatRequest) -> str:
        await both.wait()
        return "Yes, block it" + "!" * next(number)

    talker = user(moody, kept)
    said = await asyncio.gather(talker.say(cue(1, ASKS)), talker.say(cue(1, ASKS)))
    assert said[0].content == said[1].content


async def test_a_flood_is_cut_before_it_is_recorded() -> None:
    kept = Recorded()
    with pytest.raises(UserFault, match="too_long"):
        await user(lambda request: "x" * 2**21, kept, tries=0).say(cue())
    assert max(map(len, kept.values())) < 21_000


async def test_what_was_too_long_is_said_whole_where_more_may_be_said() -> None:
    words = ["".join(pair) for pair in itertools.product("bcdfghklmnprst", "aeiou", "bdgkm")]
    kept, story = Recorded(), f"Yes, block it, {' '.join(words)}."
    with pytest.raises(UserFault, match="too_long"):
        await user(lambda request: story, kept, tries=0).say(cue(1, ASKS))
    silent = user(lambda request: ProviderError("server", "never to be asked"), kept, tries=0, max_characters=5000)
    assert (await silent.say(cue(1, ASKS))).content == story


async def test_hostile_text_of_the_agent_goes_through() -> None:
    said = await user(meant).say(cue(1, "\ud800 \x00 {{ card }} When\u202e?"))
    assert said.content == "Yes, block it."


def test_the_definition_changes_with_whatever_changes_the_words() -> None:
    hashes = {
        user_hash(user(meant)),
        user_hash(user(meant, temperature=0.0)),
        user_hash(user(meant, tries=5)),
        user_hash(user(meant, names=False)),
    }
    assert len(hashes) == 4
    assert user_hash(user(meant)) == user_hash(user(meant, timeout=3.0, base_url="http://elsewhere/v1"))


def test_users_are_made_from_their_settings() -> None:
    def model(name: str, endpoint: Any) -> Any:
        assert name == "user talker"
        return user(meant).model

    users = build_users(None, {"talker": SETTINGS}, chat_model=model, recordings=Recorded())
    assert set(users.hashes()) == {"talker"}
    assert users.of(lost_card()) is None
    with pytest.raises(ConfigError, match="did you mean 'talker'"):
        build_users("taker", {"talker": SETTINGS}, chat_model=model, recordings=Recorded()).of(lost_card())


# In whole trials


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


async def test_a_trial_with_a_good_user_counts(store: Store, tmp_path: Path) -> None:
    run, (trial,) = await play(user(lambda request: f"So: {meant(request)}"), store, tmp_path)
    assert trial.verdict is Verdict.SUCCESS
    assert [m.content[:4] for m in trial.messages if m.role == "user"] == ["So: "] * 3
    assert run.settings["user"] == "talker"
    assert set(run.settings["user_hashes"]) == {"talker"}


async def test_a_users_fault_makes_the_trial_invalid_and_is_never_charged_to_the_agent(
    store: Store, tmp_path: Path
) -> None:
    def rude(request: ChatRequest) -> str:
        return "Yes, block it, and tell Rodrigo." if meant(request) == "Yes, block it." else meant(request)

    run, (trial,) = await play(user(rude), store, tmp_path)
    assert (trial.verdict, trial.stop, trial.fault) == (Verdict.INVALID, Stop.USER_ERROR, Party.USER)
    assert "invents: says 'Rodrigo'" in trial.reason
    assert run.status == "finished"
    steps = {grade.step: grade.status for grade in trial.steps}
    assert steps == {"asks_day": Status.PASSED, "blocks": Status.NOT_REACHED, "polite": Status.NOT_REACHED}


async def test_a_provider_that_fails_makes_it_invalid_and_the_run_goes_on(store: Store, tmp_path: Path) -> None:
    failed: list[int] = []

    def shaky(request: ChatRequest) -> Any:
        if not failed:
            failed.append(1)
            return ProviderError("server", "HTTP 503")
        return meant(request)

    _, trials = await play(user(shaky), store, tmp_path, trials=2)
    assert [(t.verdict, t.fault) for t in trials] == [
        (Verdict.INVALID, Party.INFRASTRUCTURE),
        (Verdict.SUCCESS, None),
    ]
    assert trials[0].reason.startswith("the simulated user talker could not be asked: HTTP 503")
    assert trials[0].stop is Stop.INVALID


async def test_a_detours_words_are_said_as_they_are(store: Store, tmp_path: Path) -> None:
    _, (trial,) = await play(user(lambda r: f"So: {meant(r)}"), store, tmp_path, variants=("shouts",))
    said = [m.content for m in trial.messages if m.role == "user"]
    assert said[1] == "DO SOMETHING! ###"
    assert [text[:3] for text in said] == ["So:", "DO ", "So:", "So:"]


async def test_a_second_run_makes_no_call_and_says_the_same(store: Store, tmp_path: Path) -> None:
    budget, again = Budget(), Budget()
    talker = user(lambda r: f"So: {meant(r)}", store, budget=budget.share("users"))
    first_run, first = await play(talker, store, tmp_path, trials=3, repeats=2, budget=budget)
    other = user(lambda r: ProviderError("server", "asked"), store, budget=again.share("users"), replay=True)
    run, second = await play(other, store, tmp_path, trials=3, repeats=2, budget=again)
    words = [[(m.role, m.content) for m in trial.messages] for trial in first]
    assert words == [[(m.role, m.content) for m in trial.messages] for trial in second]
    assert first_run.spent["users"]["calls"] == 9  # repeats of an instance are one conversation
    assert run.spent["users"]["calls"] == 0
    assert all(trial.verdict is Verdict.SUCCESS for trial in second)


async def test_what_is_not_recorded_ends_a_strict_run(store: Store, tmp_path: Path) -> None:
    strict = user(meant, store, replay=True)
    with pytest.raises(NotRecorded, match=r"bank/lost_card/golden, instance \d+, turn reports"):
        await play(strict, store, tmp_path)
    assert store.run("last").status == "interrupted"


async def test_the_users_calls_count_in_the_budget_and_are_told_apart(store: Store, tmp_path: Path) -> None:
    budget = Budget()

    def counted(request: ChatRequest) -> ChatResponse:
        return ChatResponse(meant(request), ModelCall("talker", Usage(100, 10), cost=0.5))

    async def spends(moment: Any) -> Any:
        budget.reserve()
        budget.spend(Usage(7, 1), 0.25)
        return await agent_move(moment)

    agent = FunctionAgent("teller", spends)
    run, (trial,) = await play(user(counted, budget=budget.share("users")), store, tmp_path, agent=agent, budget=budget)
    assert run.spent["users"] == {"calls": 3, "input_tokens": 300, "output_tokens": 30, "cost": 1.5, "unpriced": 0}
    assert run.spent["calls"] == 3 + 4
    assert run.spent["cost"] == 1.5 + 4 * 0.25
    assert (trial.model_calls, trial.cost) == (4, None)
    assert trial.usage == Usage()


async def test_a_hard_limit_abandons_the_trial_in_which_the_user_hits_it(store: Store, tmp_path: Path) -> None:
    budget = Budget(max_calls=4)
    run, trials = await play(user(meant, budget=budget.share("users")), store, tmp_path, trials=3, budget=budget)
    assert run.status == "stopped"
    assert len(trials) == 1
    assert run.spent["users"]["calls"] == 4


async def test_a_users_tool_calls_never_reach_the_world(store: Store, tmp_path: Path) -> None:
    call = ToolCall("1", "block_card", {"card": "x", "born": "y"})
    _, (trial,) = await play(user(lambda r: [call]), store, tmp_path, agent=right_agent())
    assert trial.fault is Party.USER
    assert "agents_work: calls the tool block_card" in trial.reason
    assert not [m for m in trial.messages if m.role == "tool"]
