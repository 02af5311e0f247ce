"""Reinforcement with TRL's GRPO; completions and rewards are ours, the loss and the optimizer are TRL's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from agentkit.grade import Rubric, load_rubric
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Prompt
from agentkit.tune.trainer.checkpoints import arguments, newest, updates_of
from agentkit.tune.trainer.generate import Write
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.rollout import SCORE, Rollouts, schedule
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.watch import Watch

COMPLETIONS = "completions.jsonl"
_LONGER = 1.5
"""Length of the longest completion, in lengths of the longest right one."""


def train_grpo(task: Task) -> tuple[Watch, Mapping[str, Any]]:
    """Train, and say what happened. Raises RewardError where a reward does not do what a reward must."""
    with _writing(task) as writing:
        return _train(task, writing)


def _train(task: Task, writing: Callable[[int], AbstractContextManager[Write]]) -> tuple[Watch, Mapping[str, Any]]:
    folder, phase, trainee, train, ids = task.folder, task.phase, task.trainee, task.train, task.ids
    assert phase.rubric is not None, "checked when the phase was read"
    rubric = load_rubric(phase.rubric, Path(phase.rewards) if phase.rewards else None)
    limit = phase.rollout_tokens or _limit(phase, trainee, train)
    rollouts = Rollouts(
        phase=phase.model_copy(update={"rollout_tokens": limit}),
        trainee=trainee,
        writing=writing,
        prompts={prompt.id: prompt for prompt in train},
        ids=ids,
        rubric=rubric,
        progress=task.progress,
        file=folder / COMPLETIONS,
        ranks=task.ranks,
    )
    rollouts.take_up(updates_of(task.ranks.agreed(lambda: newest(folder))))
    watch = Watch(task, phase.steps, lambda: rollouts.totals)
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"  # of `rollout_func`
    batch = min(phase.batch, len(train))
    trainer = GRPOTrainer(
        model=trainee.model,
        reward_funcs=[_reward(part.name) for part in rubric.parts],
        args=GRPOConfig(
            **arguments(folder, phase),
            max_steps=phase.steps,
            per_device_train_batch_size=task.ranks.share(batch, "grpo_prompts") * phase.group,
            num_generations=phase.group,
            steps_per_generation=1,
            max_completion_length=limit,
            temperature=phase.temperature,
            beta=phase.beta,
            loss_type="dr_grpo",
            reward_weights=[part.points / sum(it.points for it in rubric.parts) for part in rubric.parts],
            multi_objective_aggregation="normalize_then_sum",
            shuffle_dataset=False,  # it is in order
        ),
        train_dataset=Dataset.from_list([{"prompt": train[place].id} for place in schedule(len(train), batch, phase)]),
        processing_class=trainee.tokenizer,
        rollout_func=lambda names, trainer: rollouts(names, trainer.state.global_step),
        callbacks=[watch],
    )
    with _playing_on(task, rubric):
        watch.train(trainer)
    return watch, {"rollout_tokens": limit, "groups_replaced": rollouts.replaced, "rewards": rollouts.totals}


@contextmanager
def _writing(task: Task) -> Iterator[Callable[[int], AbstractContextManager[Write]]]:
    """Who writes completions after so many updates: this program, or a server that the environment names."""
    if task.phase.generation == "trainer":
        yield lambda step: task.trainee.as_served()
        return
    from agentkit.tune.trainer.served import Server  # it loads what talks to servers

    with Server.of_environment(task.trainee, task.folder, task.ranks) as server:
        yield server.after


def _playing_on(task: Task, rubric: Rubric) -> AbstractContextManager[None]:
    """Where a reward asks what follows a completion, somebody who plays on."""
    if not rubric.plays_on:
        return nullcontext()
    from agentkit.tune.counterfactual import playing_on, same_scenarios  # it loads what plays conversations

    return playing_on(task.train, lambda: same_scenarios(task.phase.scenarios))


def _reward(name: str) -> Callable[..., list[float | None]]:
    """A reward function as TRL calls it: the values are there already, scored with the completions."""

    def values(**columns: Any) -> list[float | None]:
        found: list[float | None] = columns[f"{SCORE}{name}"]
        return found

    values.__name__ = name
    return values


def _limit(phase: Phase, trainee: Trainee, train: Sequence[Prompt]) -> int:
    """Tokens of a completion: what takes much longer than a right answer is none."""
    lengths = [
        len(trainee.tokenizer(prompt.golden, add_special_tokens=False)["input_ids"])
        for prompt in train
        if prompt.golden is not None
    ]
    return min(phase.max_tokens, int(max(lengths) * _LONGER) + 1) if lengths else phase.max_tokens
