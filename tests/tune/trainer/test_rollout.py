"""Completions that cannot be scored are left out: they are no zeros."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentkit.grade import load_rubric
from agentkit.tune.phase import Phase
from tests.tune.trainer.tiny import REWARDS, prompt, write_rewards

pytestmark = pytest.mark.slow  # it loads torch

PAINTED = {n: prompt(n).golden for n in range(4)}
REPLY = '{"action": "reply", "arguments": {"text": "yes"}}'


class Scripted:
    """Stands for model and tokenizer: says what it is told to, group by group; a completion is the text's number."""

    def __init__(self, *groups: Sequence[str]) -> None:
        self.groups = list(groups)
        self._texts: list[str] = []
        self.asked: list[tuple[Sequence[Sequence[int]], int, int]] = []

    @contextmanager
    def as_served(self) -> Iterator[Any]:
        yield self._write

    def _write(self, prompts: Sequence[Sequence[int]], schemas: Any, samples: int, decoding: Any, seed: int) -> Any:
        from agentkit.tune.trainer.generate import Completion

        self.asked.append((prompts, samples, seed))
        found = []
        for _ in prompts:
            texts = self.groups.pop(0)
            assert len(texts) == samples
            numbers = range(len(self._texts), len(self._texts) + samples)
            self._texts += texts
            found.append([Completion((number,), (True,), (-1.0,), True) for number in numbers])
        return found

    def text(self, ids: Sequence[int]) -> str:
        return self._texts[ids[0]]


def rollouts(folder: Path, trainee: Scripted, rubric: str = "painting:coloured", **settings: Any) -> Any:
    from agentkit.tune.trainer.progress import Progress
    from agentkit.tune.trainer.rollout import Rollouts

    values: Mapping[str, Any] = {
        "method": "grpo",
        "model": "m",
        "prompts": "p",
        "rubric": rubric,
        "learning_rate": 1,
        "group": 2,
    }
    prompts = {prompt(n).id: prompt(n) for n in range(4)}
    return Rollouts(
        phase=Phase.model_validate(values | settings),
        trainee=trainee,  # type: ignore[arg-type]
        writing=lambda step: trainee.as_served(),
        prompts=prompts,
        ids={name: [place] for place, name in enumerate(prompts)},
        rubric=load_rubric(rubric, write_rewards(folder / "rewards", REWARDS)),
        progress=Progress(folder / "progress.jsonl"),
        file=folder / "completions.jsonl",
    )


def names(*numbers: int) -> list[str]:
    """As TRL gives them: each prompt as often as it has completions."""
    return [prompt(n).id for n in numbers for _ in range(2)]


def right(number: int) -> str:
    return str(PAINTED[number])


def test_a_part_that_does_not_apply_is_none_for_trl_and_missing_from_the_mean(tmp_path: Path) -> None:
    it = rollouts(tmp_path, Scripted([right(0), right(1)], [right(1), REPLY]), resample=0)
    found = it(names(0, 1), 0)
    assert found["score:coloured"] == [1.0, 0.0, 1.0, None]
    assert it.totals == [pytest.approx(2 / 3)], "not 2 of 4"
    assert [row["total"] for row in lines(tmp_path)] == [1.0, 0.0, 1.0, None]
    assert found["prompt_ids"] == [[0], [0], [1], [1]]


def test_an_update_in_which_nothing_can_be_scored_has_no_mean_reward(tmp_path: Path) -> None:
    it = rollouts(tmp_path, Scripted([REPLY, REPLY]), resample=0)
    assert it(names(0), 0)["score:coloured"] == [None, None]
    assert it.totals == []


@pytest.mark.parametrize("flat", [[REPLY, REPLY], [REPLY, right(0)], [right(0), right(0)]])
def test_a_group_without_two_different_scores_teaches_nothing_and_is_replaced(tmp_path: Path, flat: list[str]) -> None:
    scripted = Scripted(flat)
    it = rollouts(tmp_path, scripted)
    other = next(name for name in it._others(0, 1) if name != prompt(0).id)
    number = int(other.rpartition("@")[2])
    scripted.groups.append([right(number), right(0)])
    found = it(names(0), 0)
    assert it.replaced == 1
    assert found["prompt_ids"] == [[number]] * 2
    assert found["score:coloured"] == [1.0, 0.0]
    assert {row["prompt"] for row in lines(tmp_path)} == {other}
    assert [row["attempt"] for row in lines(tmp_path)] == [1, 1]
    assert scripted.asked[0][2] != scripted.asked[1][2], "drawn with another seed"


def test_a_replacement_without_spread_is_not_taken(tmp_path: Path) -> None:
    it = rollouts(tmp_path, Scripted([REPLY, REPLY], [REPLY, REPLY]))
    it(names(0), 0)
    assert it.replaced == 0
    assert {row["prompt"] for row in lines(tmp_path)} == {prompt(0).id}


def test_taken_up_it_knows_what_came_before_and_forgets_what_came_after(tmp_path: Path) -> None:
    groups = ([right(0), right(1)], [REPLY, REPLY], [right(0), REPLY], [right(1), right(2)], [right(0), right(0)])
    first = rollouts(tmp_path, Scripted(*groups), resample=0)
    for step in range(4):
        first(names(0), step)
    assert first.totals == [0.5, 1.0, 0.0]
    with (tmp_path / "completions.jsonl").open("ab") as stream:
        stream.write(b'{"step": 3, "att')
    again = rollouts(tmp_path, Scripted([right(0), right(1)]), resample=0)
    again.take_up(3)
    assert again.totals == [0.5, 1.0]
    assert [row["step"] for row in lines(tmp_path)] == [0, 0, 1, 1, 2, 2]
    again(names(0), 3)
    assert again.totals == [0.5, 1.0, 0.5]
    again.take_up(0)
    assert lines(tmp_path) == []


def test_prompts_come_in_turn_and_every_update_has_different_ones() -> None:
    from agentkit.tune.trainer.rollout import schedule

    values = {"method": "grpo", "model": "m", "prompts": "p", "rubric": "r", "learning_rate": 1, "steps": 7, "seed": 3}
    phase = Phase.model_validate(values)
    places = schedule(5, 2, phase)
    assert len(places) == 14
    assert all(len(set(places[at : at + 2])) == 2 for at in range(0, 14, 2))
    assert all(len(set(places[at : at + 4])) == 4 for at in range(0, 12, 4)), "none again before it is the others' turn"
    assert set(places) == set(range(5))
    assert places[:4] != places[4:8]
    longer = phase.model_copy(update={"steps": 9})
    assert schedule(5, 2, longer)[:14] == places
    assert schedule(5, 2, phase.model_copy(update={"seed": 4})) != places


def lines(folder: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in (folder / "completions.jsonl").read_bytes().splitlines()]
