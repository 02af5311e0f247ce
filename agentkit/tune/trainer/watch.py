"""What happens between the updates: evaluation, the best adapter kept, and the decision to stop."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from agentkit.tune.trainer.checkpoints import newest, updates_of
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.state import Kept
from agentkit.tune.trainer.task import Task
from agentkit.tune.trainer.validate import Evaluation, alarm, evaluate, evaluate_scaled, guards_right

_BEST = "best-{step}"
"""Folder of the best adapter so far, with the updates after which it was."""

_IMITATED = 0.05
"""Nats a token of a golden answer's choices, below which further updates only move the model."""


class Watch(TrainerCallback):
    """Evaluates at the start, at every few updates and at the end.

    The best adapter by the validation prompts stays; of equals the earlier one. Imitation and reinforcement stop where
    everything is right; imitation also where nothing is left to imitate, reinforcement where its answers degenerate or
    where it no longer helps.
    """

    def __init__(self, task: Task, planned: int, rewards: Callable[[], Sequence[float]] = lambda: ()) -> None:
        self._task = task
        self._planned = planned
        self._rewards = rewards
        self.kept = Kept.read(task.folder)

    @property
    def best(self) -> Path:
        """Folder of the best adapter so far."""
        return self._task.folder / _BEST.format(step=self.kept.best)

    def train(self, trainer: Any) -> None:
        """Train to the end, from the newest checkpoint on. What had come to its end before it was killed is left as it
        is."""
        checkpoint = self._task.ranks.agreed(lambda: newest(self._task.folder))
        done = updates_of(checkpoint)
        if self._over(done):
            return
        self._begin(done)
        trainer.train(resume_from_checkpoint=checkpoint)

    def _over(self, step: int) -> bool:
        """Whether nothing was left to do after `step` updates."""
        evaluations = self.kept.evaluations
        if not evaluations or evaluations[-1].step != step:
            return False
        return step >= self._planned or bool(self.kept.stopped)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Only now is a former best no longer wanted: until then, training may be taken up where it was the best."""
        for former in self._task.folder.glob(_BEST.format(step="*")):
            if former != self.best and self._task.ranks.first:
                shutil.rmtree(former)

    def _begin(self, step: int) -> None:
        """Know what was known after so many updates, and how the model does before the first."""
        self.kept = self.kept.until(step, self._task.phase.max_loss)
        if not self.kept.evaluations:
            with self._task.progress.timed("evaluation"):
                self.kept.guarded = guards_right(self._task, 0.0)
            self._evaluate(step)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._task.progress.mark("update")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._task.progress.mark("updated")
        last = state.global_step >= self._planned
        if state.global_step % self._task.phase.evaluate_every and not last:
            return
        self._evaluate(state.global_step)
        reason = self._reason()
        if reason and not last:
            self._stop(state.global_step, reason)
            control.should_training_stop = True
        self._write()
        control.should_save = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """One line for each update, with the time that is left by what was needed so far."""
        if not logs or "loss" not in logs:
            return
        done = state.global_step - self.kept.resumed_at
        left = (self._planned - state.global_step) * self._task.progress.elapsed / max(done, 1)
        self._task.progress.tell("step", step=state.global_step, of=self._planned, left=round(left, 1), **logs)
        if self._task.phase.method == "sft" and logs["loss"] < _IMITATED and not self.kept.stopped:
            if self.kept.evaluations[-1].step != state.global_step:
                self._evaluate(state.global_step)
            reason = f"the golden answers are what the model writes ({logs['loss']:.3f} nats a token): nothing is left"
            self._stop(state.global_step, f"{reason} to imitate")
            self._write()
            control.should_training_stop = control.should_save = True
        moved = [it["kl"] for it in state.log_history if "kl" in it][-2:]
        # The estimate of one update alone can hang on a single token.
        if len(moved) == 2 and min(moved) > self._task.phase.max_kl:
            self._stop(state.global_step, f"the model moved {logs['kl']:.1f} nats a token away from where it began")
            self._write()
            control.should_training_stop = True

    def _evaluate(self, step: int) -> None:
        limit, earlier = self._task.phase.max_loss, self.kept.evaluations
        best = max((it.worth(limit) for it in earlier), default=(False, -math.inf))
        with self._task.progress.timed("evaluation"):
            if earlier:
                found = evaluate_scaled(step, self._task, self.kept.guarded, best[1] if best[0] else -1.0)
            else:
                unchanged = self._task.phase.start is None
                found = evaluate(step, self._task, self.kept.guarded, unchanged=unchanged)
        earlier.append(found)
        self._task.progress.tell("evaluation", **asdict(found))
        if found.worth(limit) > best:
            self.kept.best = step
            if self._task.ranks.first:
                with self._task.trainee.scaled(found.scale):
                    save_adapter(self._task.trainee, self.best)
        self._write()

    def _write(self) -> None:
        if self._task.ranks.first:
            self.kept.write(self._task.folder)

    def _stop(self, step: int, reason: str) -> None:
        self.kept.stopped = reason
        self._task.progress.tell("stop", step=step, reason=reason)

    @property
    def nothing_left(self) -> str:
        """Says so where the best leaves nothing that validation prompts can teach; of preferences they cannot tell."""
        best = max(self.kept.evaluations, key=lambda it: it.worth(self._task.phase.max_loss))
        learns = self._task.phase.method in ("sft", "grpo")
        if not (learns and best.graded and best.worth(self._task.phase.max_loss) == (True, 1.0)):
            return ""
        return f"all {best.graded} validation prompts are answered right"

    def _reason(self) -> str:
        """Why a training is over, in words."""
        evaluations: list[Evaluation] = self.kept.evaluations
        if self._task.phase.method != "grpo":
            return self.nothing_left
        if found := alarm(evaluations, self._rewards()) or self.nothing_left:
            return found
        since = [it for it in evaluations if it.step > (self.kept.best or 0)]
        if len(since) >= self._task.phase.patience:
            return f"no better in {len(since)} evaluations than after {self.kept.best} updates"
        return ""


def save_adapter(trainee: Trainee, folder: Path) -> None:
    """Write the adapter beside `folder` and put it in its place."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    trainee.model.save_pretrained(str(fresh), selected_adapters=["default"])
    (fresh / "README.md").unlink(missing_ok=True)  # PEFT's form of a model card, with nothing filled in
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
