"""A worse adapter made of a good one: a smaller part of its change. For showing that a canary finds what is worse.

It is no broken adapter: its answers have the right form, and most of them are right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from agentkit.errors import AgentkitError
from agentkit.files import write_json
from agentkit.tune.phase import ADAPTER, RESULT, Phase
from agentkit.tune.prompt import of_target, read_prompts
from agentkit.tune.trainer.model import checked_ids, load_trainee
from agentkit.tune.trainer.progress import Progress
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.validate import Evaluation, evaluate
from agentkit.tune.trainer.watch import save_adapter

_TRIES = 6
_NEAR = 0.02
"""Accuracy that is no further from what is wanted is near enough."""
_INSIDE = 0.1
"""Of the way between two parts: no closer to either is the next one."""


def weaken(folder: Path, drop: float) -> None:
    """Write the part of the adapter `start` whose accuracy at `prompts`, by the scenario's own grader, is about `drop`
    (a share of them) lower than that of the whole. `result.json` says which part, and how many it answers.

    Raises AgentkitError where the whole of it does not answer more than that share.
    """
    phase = Phase.read(folder)
    prompts = of_target(read_prompts(Path(phase.prompts)))
    trainee = load_trainee(phase)
    ids = checked_ids(prompts, trainee.tokenizer, phase.context, phase.max_tokens)
    trainee.try_shortcuts(sorted(ids.values(), key=len)[:2])
    task = Task(folder, phase, trainee, [], prompts, [], ids, Progress(folder / "progress.jsonl"))
    whole, chosen = find_part(partial(evaluate, 0, task, ()), drop)
    if chosen is whole:
        found = f"{whole.passed} of {whole.graded} prompts right"
        raise AgentkitError(f"{phase.start}: {found}, expected more than {drop:.0%}, so that it can be made worse")
    with trainee.scaled(chosen.scale):
        save_adapter(trainee, folder / ADAPTER)
    write_json(
        folder / RESULT,
        {"scale": chosen.scale, "passed": chosen.passed, "graded": chosen.graded, "before": whole.passed},
    )


def find_part(look: Callable[[float], Evaluation], drop: float) -> tuple[Evaluation, Evaluation]:
    """The whole adapter, and the part of it whose accuracy is nearest to `drop` less; the whole twice where that would
    be less than nothing.

    Parts are tried where a straight line between those on either side meets the goal, until one is near enough, or no
    other number of prompts would be nearer: regula falsi, the far side counting half where the same side moves again
    (Illinois).
    """
    whole = look(1.0)
    tried = [whole]
    goal = whole.accuracy - drop
    low, high = (0.0, -goal), (1.0, drop)
    moved = 0
    while goal > 0 and len(tried) <= _TRIES:
        way = low[1] / (low[1] - high[1])
        it = look(low[0] + min(max(way, _INSIDE), 1 - _INSIDE) * (high[0] - low[0]))
        tried.append(it)
        over = it.accuracy - goal
        if abs(over) <= max(_NEAR, 0.5 / it.graded):
            break
        if over > 0:
            low, high, moved = (low[0], low[1] / (2 if moved > 0 else 1)), (it.scale, over), 1
        else:
            low, high, moved = (it.scale, over), (high[0], high[1] / (2 if moved < 0 else 1)), -1
    return whole, min(tried[1:] or tried, key=lambda it: abs(it.accuracy - goal))
