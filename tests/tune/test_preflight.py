from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from agentkit.errors import NotJudged, UsageError
from agentkit.grade import load_rubric
from agentkit.serve import Endpoint
from agentkit.tune.preflight import Preferences, Sample, Samples, decide, figures_of, sample
from agentkit.tune.prompt import Prompt
from agentkit.tune.serving import sample_served
from tests.llm.conftest import Server
from tests.tune.compiled import ROOT, chat_agent, compiled


def samples(*rights: int, of: int = 8, partial: float = 0.0) -> Samples:
    """Groups with so many right answers; wrong ones get `partial` reward."""
    return Samples(
        tuple(tuple(Sample("", k < right, 1.0 if k < right else partial) for k in range(of)) for right in rights)
    )


@pytest.mark.parametrize(
    ("found", "preferences", "method", "words"),
    [
        (samples(8, 8, 8), None, "none", "Nothing to train: all 8 answers at each of 3 prompts are right"),
        (samples(0, 0, 0), None, "sft+grpo", "No answer at any of 3 prompts is right in 8 tries"),
        (samples(2, 1, 3, 0), None, "grpo", "19% of the answers are right"),
        (samples(2, 0, 0, 0, 0, 0, 0, 0), None, "sft+grpo", "Only 1 of 8 groups of 8 differ within"),
        (samples(2, 1), Preferences(pairs=5), "dpo", "5 pairs of a better and a worse answer"),
        (samples(2, 1), Preferences(thumbs=5, liked=2), "kto", "2 liked and 3 disliked answers and no pairs"),
        (samples(8, 8), Preferences(pairs=5), "none", "Nothing to train"),
    ],
)
def test_what_the_model_can_do_decides_how_it_is_taught(
    found: Samples, preferences: Preferences | None, method: str, words: str
) -> None:
    decision = decide(found, preferences)
    assert decision.method == decision.advised == method
    assert words in decision.why


def test_a_choice_of_the_users_own_is_taken_and_told() -> None:
    decision = decide(samples(0, 0), override="grpo")
    assert (decision.method, decision.advised) == ("grpo", "sft+grpo")
    assert decision.why.startswith("Asked for; the figures advise sft+grpo. No answer")
    assert decide(samples(1, 1), override="grpo").why.startswith("Asked for, and advised.")
    assert "advise not to train" in decide(samples(8), override="sft").why
    with pytest.raises(UsageError, match=r"--method: found 'gpro', expected one of .*did you mean 'grpo'"):
        decide(samples(1), override="gpro")
    with pytest.raises(UsageError, match="--method dpo: there are no pairs"):
        decide(samples(1), override="dpo")
    with pytest.raises(UsageError, match="found 3 liked and 0 disliked"):
        decide(samples(1), Preferences(thumbs=3, liked=3), override="kto")


def test_figures_are_those_of_the_groups() -> None:
    found = figures_of(samples(8, 4, 0, 0))
    assert (found.groups, found.samples, found.all_right, found.all_wrong) == (4, 8, 1, 2)
    assert (found.flat, found.varied) == (3, 1)
    assert found.pass_rate == pytest.approx(12 / 32)
    assert found.low < found.pass_rate < found.high
    assert found.pass_at[0] == pytest.approx(12 / 32)
    assert found.pass_at[-1] == pytest.approx(0.5)
    assert len(found.pass_at) == 4
    assert found.mean_reward == pytest.approx(12 / 32)
    assert json.loads(json.dumps(decide(samples(8, 4)).document()))["figures"]["varied"] == 1


def test_without_samples_nothing_is_decided() -> None:
    with pytest.raises(NotJudged, match="at least 2 answers at each prompt"):
        decide(Samples(()))
    with pytest.raises(NotJudged, match="at least 2 answers at each prompt"):
        decide(samples(1, of=1))


async def test_answers_are_graded_by_the_grader_of_the_run_and_scored_by_the_rubric() -> None:
    data = await compiled()
    asked: list[tuple[int, int, int]] = []

    async def sampler(prompts: Sequence[Prompt], n: int, seed: int) -> list[list[str]]:
        asked.append((len(prompts), n, seed))
        return [[prompt.golden or "", '{"action": "reply", "arguments": {"text": "No."}}', "{"] for prompt in prompts]

    found = await sample(data.prompts, sampler, 3, 11, load_rubric("tool_call", ROOT / "rewards"))
    assert asked == [(6, 3, 11)]
    assert found.prompts == tuple(prompt.id for prompt in data.prompts)
    assert [[it.right for it in group] for group in found.groups] == [[True, False, False]] * 6
    assert [[it.reward for it in group] for group in found.groups] == [[1.0, 0.0, 0.0]] * 6
    assert decide(found).method == "grpo"


async def test_a_sampler_that_gives_too_few_answers_is_an_error() -> None:
    data = await compiled()

    async def sampler(prompts: Sequence[Prompt], n: int, seed: int) -> list[list[str]]:
        return [["one"] for _ in prompts]

    with pytest.raises(UsageError, match=r"expected 4 answers to each of 6 prompts, found 6 × \[1\]"):
        await sample(data.prompts, sampler, 4, 0)
    with pytest.raises(UsageError, match="found 1, expected at least 2"):
        await sample(data.prompts, sampler, 1, 0)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
async def test_the_server_is_asked_for_each_answer_with_a_seed_of_its_own(temperature: float) -> None:
    """Requests that share a seed are given one answer, which would count as many."""
    agent = chat_agent()
    agent = replace(agent, sampling=agent.sampling.model_copy(update={"temperature": temperature}))
    prompts = (await compiled(agent=agent)).prompts[:2]
    assert all(("seed" in it.request) is (temperature > 0) for it in prompts)

    async def asked(seed: int) -> list[dict[str, Any]]:
        async with Server.listening() as server:
            answers = await sample_served(Endpoint(server.url, "tiny", "key"), prompts, 4, seed)
        assert answers == [["Hi."] * 4] * 2
        return sorted((it.body for it in server.received), key=lambda it: json.dumps(it, sort_keys=True))

    sent = await asked(1)
    assert len({it["seed"] for it in sent}) == 8
    assert all(it["temperature"] == 1.0 for it in sent)
    for prompt in prompts:
        same = [it for it in sent if it["messages"] == prompt.request["messages"]]
        assert len(same) == 4
        assert all({**it, "seed": None} == {**same[0], "seed": None} for it in same), "they differ in nothing else"
    assert await asked(1) == sent
    assert not {it["seed"] for it in await asked(2)} & {it["seed"] for it in sent}
