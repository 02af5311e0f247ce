"""What people say of production reaches the jobs of its step: as rows, and as a word against rewards that differ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.grade import Part, Rubric
from agentkit.records import FeedbackKind, Source
from agentkit.store import Store
from agentkit.tune.exchange import write_preferences
from agentkit.tune.preferred import ENOUGH, against_people, preferred
from agentkit.tune.prompt import Prompt, Split, of_target
from agentkit.tune.trainer.preference_rows import read_preferences
from tests.collect.feedback.talks import exchange, said
from tests.tune.compiled import SMALL, a_run, compiled, target

WRONG = {"role": "assistant", "content": '{"action": "reply", "arguments": {"text": "no"}}'}
CALLS = Part("calls", 1.0, lambda step: float(bool(step.calls)), "", "here.py:1")
TALKS = Part("talks", 1.0, lambda step: float(not step.calls), "", "here.py:2")


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    wanted = SMALL.model_copy(update={"train": ENOUGH})
    return list(of_target(asyncio.run(compiled(settings=wanted)).prompts))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        opened.create_run(a_run())
        yield opened


def correct(store: Store, prompts: list[Prompt], step: str = "refund") -> None:
    """Experts say of production requests, which are these prompts word for word, what would have been right."""
    store.add_exchanges(
        [
            exchange(f"r{n}", f"c{n}", step, agent="demo", request=it.request, response=WRONG)
            for n, it in enumerate(prompts)
        ]
    )
    for n, it in enumerate(prompts):
        better = {"role": "assistant", "content": it.golden}
        store.add_feedback(
            said(f"c{n}", 0.0, response=f"r{n}", source=Source.EXPERT, kind=FeedbackKind.CORRECTION, answer=better)
        )


def test_corrections_of_production_become_pairs_that_a_job_learns_from(
    store: Store, prompts: list[Prompt], tmp_path: Path
) -> None:
    correct(store, prompts)
    train = [it for it in prompts if it.split is Split.TRAIN]
    assert len(train) < len(prompts), "people judged validation prompts, too"
    found = preferred(store, a_run(), target(), prompts)
    assert [(it.prompt, it.chosen, it.rejected) for it in found.pairs] == [
        (it.id, it.golden, WRONG["content"]) for it in train
    ]
    assert found.counted(None).pairs == found.counted("dpo").pairs == len(train) == ENOUGH
    assert found.counted("kto").thumbs == 2 * len(train)
    assert list(found.rows("dpo")) == list(found.pairs)
    for method, rows in (("dpo", len(train)), ("kto", 2 * len(train))):
        file = tmp_path / f"{method}.jsonl"
        write_preferences(found.rows(method), file)
        read = read_preferences(file, method, {it.id for it in train})
        assert len(read) == rows, "the training program knows each prompt"
    assert not found.rows("grpo")
    elsewhere = preferred(store, a_run(), target("find_sale"), prompts)
    assert (elsewhere.pairs, elsewhere.thumbs) == ((), ())


def test_a_few_words_change_no_method_unless_it_is_asked_for(store: Store, prompts: list[Prompt]) -> None:
    correct(store, prompts[: ENOUGH - 1])
    found = preferred(store, a_run(), target(), prompts)
    assert found.counted(None).pairs == found.counted(None).thumbs == 0
    assert found.counted("dpo").pairs == ENOUGH - 1


def test_rewards_that_prefer_what_people_judged_worse_stop_the_job(store: Store, prompts: list[Prompt]) -> None:
    nothing, none = against_people(store, a_run(), target(), prompts, Rubric("talks", (TALKS,), "0" * 64))
    assert (nothing, none) == (None, ())
    correct(store, prompts)
    good, fine = against_people(store, a_run(), target(), prompts, Rubric("calls", (CALLS,), "0" * 64))
    assert good is not None
    assert (good.ordered, fine) == (len(prompts), ())
    bad, (finding,) = against_people(store, a_run(), target(), prompts, Rubric("talks", (TALKS,), "0" * 64))
    assert bad is not None
    assert (len(bad.misordered), finding.code, finding.stops) == (len(prompts), "against_people", True)
    assert f"in {len(prompts)} the worse one gets more" in str(finding)
