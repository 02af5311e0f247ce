"""A worse adapter made of a good one: a smaller part of its change. For showing that a canary finds what is worse.

It is no broken adapter: its answers have the right form, and most of them are right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agentkit.files import write_json
from agentkit.tune.phase import ADAPTER, RESULT, Phase
from agentkit.tune.prompt import of_target, read_prompts
from agentkit.tune.trainer.model import checked_ids, load_trainee
from agentkit.tune.trainer.progress import Progress
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.validate import Evaluation, evaluate
from agentkit.tune.trainer.watch import save_adapter

_TRIES = 6
_NEAR = 0.03
"""Accuracy that is no further from what is wanted is near enough."""
_SURE = 3.0
"""Log-odds of the whole, 95 %, and the other way round of nothing."""
_INSIDE = 0.1
"""Of the way between two parts: no closer to either is the next one."""


def weaken(folder: Path, drop: float) -> None:
    """Write the part of the adapter `start` that answers all but a share of about `drop` of `prompts` rightly, by the
    scenario's own grader; the whole of it was right at all of them. `result.json` says which part, and how many it
    answers."""
    phase = Phase.read(folder)
    prompts = of_target(read_prompts(Path(phase.prompts)))
    trainee = load_trainee(phase)
    ids = checked_ids(prompts, trainee.tokenizer, phase.context, phase.max_tokens)
    trainee.try_shortcuts(sorted(ids.values(), key=len)[:2])
    task = Task(folder, phase, trainee, [], prompts, [], ids, Progress(folder / "progress.jsonl"))
    chosen = find_part(partial(evaluate, 0, task, ()), drop)
    with trainee.scaled(chosen.scale):
        save_adapter(trainee, folder / ADAPTER)
    write_json(folder / RESULT, {"scale": chosen.scale, "passed": chosen.passed, "graded": chosen.graded})


def find_part(look: Callable[[float], Evaluation], drop: float) -> Evaluation:
    """The part of an adapter whose accuracy is nearest to `1 - drop`, where that of the whole is nearly 1, and that of
    nothing nearly 0.

    Accuracy grows with the part about as a logistic curve does: parts are tried where a straight line of log-odds
    between those on either side meets the goal, until one is near enough, or no other number of prompts would be
    nearer: regula falsi, the far side counting half where the same side moves again (Illinois).
    """
    tried: list[Evaluation] = []
    goal = 1 - drop
    low, high = (0.0, -_SURE - _log_odds(goal)), (1.0, _SURE - _log_odds(goal))
    moved = 0
    while len(tried) < _TRIES:
        way = low[1] / (low[1] - high[1])
        it = look(low[0] + min(max(way, _INSIDE), 1 - _INSIDE) * (high[0] - low[0]))
        tried.append(it)
        if abs(it.accuracy - goal) <= max(_NEAR, 0.5 / it.graded):
            break
        over = _log_odds((it.passed + 0.5) / (it.graded + 1)) - _log_odds(goal)
        if it.accuracy > goal:
            low, high, moved = (low[0], low[1] / (2 if moved > 0 else 1)), (it.scale, over), 1
        else:
            low, high, moved = (it.scale, over), (high[0], high[1] / (2 if moved < 0 else 1)), -1
    return min(tried, key=lambda it: abs(it.accuracy - goal))


def _log_odds(accuracy: float) -> float:
    return math.log(accuracy / (1 - accuracy))
