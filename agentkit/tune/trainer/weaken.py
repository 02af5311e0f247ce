"""A worse adapter made of a good one: a smaller part of its change. For showing that a canary finds what is worse.

It is no broken adapter: its answers have the right form, and most of them are right.
"""

from __future__ import annotations

from pathlib import Path

from agentkit.tune.files import write_json
from agentkit.tune.phase import ADAPTER, RESULT, Phase
from agentkit.tune.prompt import of_target, read_prompts
from agentkit.tune.trainer.model import checked_ids, load_trainee
from agentkit.tune.trainer.progress import Progress
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.validate import Evaluation, evaluate
from agentkit.tune.trainer.watch import save_adapter

_HALVINGS = 6


def weaken(folder: Path, goal: float) -> None:
    """Write the part of the adapter `start` that answers about the share `goal` of the job's prompts rightly: found by
    halving, by the scenario's own grader, until no other number of prompts would be nearer. `result.json` says which
    part, and how many it answers."""
    phase = Phase.read(folder)
    prompts = of_target(read_prompts(Path(phase.prompts)))
    trainee = load_trainee(phase)
    ids = checked_ids(prompts, trainee.tokenizer, phase.context, phase.max_tokens)
    task = Task(folder, phase, trainee, [], prompts, [], ids, Progress(folder / "progress.jsonl"))

    def missed(it: Evaluation) -> float:
        return abs(it.accuracy - goal)

    low, high = 0.0, 1.0
    tried = [evaluate(0, task, (), high)]
    while len(tried) <= _HALVINGS and 2 * min(map(missed, tried)) * len(prompts) > 1:
        tried.append(evaluate(0, task, (), (low + high) / 2))
        low, high = (low, tried[-1].scale) if tried[-1].accuracy > goal else (tried[-1].scale, high)
    chosen = min(tried, key=missed)
    with trainee.scaled(chosen.scale):
        save_adapter(trainee, folder / ADAPTER)
    write_json(
        folder / RESULT,
        {"scale": chosen.scale, "passed": chosen.passed, "graded": chosen.graded, "before": tried[0].passed},
    )
