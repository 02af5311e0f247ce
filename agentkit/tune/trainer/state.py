"""What a training knows of itself beside TRL's checkpoints: its evaluations, its best, why it stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from agentkit.files import write_json
from agentkit.tune.trainer.validate import Evaluation

FILE = "state.json"


@dataclass(slots=True)
class Kept:
    """Written at once after each evaluation, so that a killed training goes on where its checkpoint stands."""

    evaluations: list[Evaluation] = field(default_factory=list)
    guarded: frozenset[str] = frozenset()
    """Guards that the base model gets right."""
    best: int | None = None
    """Update after which the best adapter was kept."""
    stopped: str = ""
    """Why it ended before its time, in words."""
    resumed_at: int = 0
    """Updates done before this sitting."""

    @classmethod
    def read(cls, folder: Path) -> Kept:
        """What is known in a folder; nothing where training never evaluated there."""
        try:
            found = orjson.loads((folder / FILE).read_bytes())
        except FileNotFoundError:
            return cls()
        evaluations = [Evaluation(**it) for it in found["evaluations"]]
        return cls(evaluations, frozenset(found["guarded"]), found["best"], found["stopped"])

    def write(self, folder: Path) -> None:
        evaluations = [asdict(it) for it in self.evaluations]
        known = {"evaluations": evaluations, "guarded": sorted(self.guarded), "best": self.best}
        write_json(folder / FILE, {**known, "stopped": self.stopped})

    def until(self, step: int, max_loss: float) -> Kept:
        """As it was after `step` updates, where a checkpoint is taken up."""
        evaluations = [it for it in self.evaluations if it.step <= step]
        best = max(evaluations, key=lambda it: (it.worth(max_loss), -it.step)).step if evaluations else None
        return Kept(evaluations, self.guarded if evaluations else frozenset(), best, "", step)
