"""GRPO's completions: written as the server would, scored by the rubric, and kept for reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import orjson
import torch

from agentkit.files import write_whole
from agentkit.grade.rubric import Rubric
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Prompt
from agentkit.tune.trainer.generate import Completion, Decoding, Write
from agentkit.tune.trainer.model import Trainee
from agentkit.tune.trainer.progress import Progress
from agentkit.tune.trainer.ranks import ALONE, Ranks

SCORE = "score:"
"""Prefix of the columns in which the parts' values travel to TRL."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One completion and what it is worth."""

    prompt: Prompt
    completion: Completion
    text: str
    parts: Mapping[str, float]
    """Part → its value; without those that do not apply."""
    total: float | None
    """None where no part applies: neither good nor bad, and no lesson."""
    attempt: int
    """0: at a prompt that was due; later: at one that took the place of a prompt without spread."""

    def line(self, step: int) -> dict[str, Any]:
        """As it is kept for reading."""
        return {
            "step": step,
            "attempt": self.attempt,
            "prompt": self.prompt.id,
            "completion": self.text,
            "parts": dict(self.parts),
            "total": self.total,
        }


@dataclass(slots=True)
class Rollouts:
    """Writes and scores the completions of every update."""

    phase: Phase
    trainee: Trainee
    writing: Callable[[int], AbstractContextManager[Write]]
    """Updates so far → what writes as the model then does."""
    prompts: Mapping[str, Prompt]
    ids: Mapping[str, Sequence[int]]
    rubric: Rubric
    progress: Progress
    file: Path
    ranks: Ranks = ALONE
    totals: list[float] = field(default_factory=list)
    """Mean total reward of each update in which a completion could be scored."""
    replaced: int = 0
    """Groups that were replaced for want of spread."""

    def __call__(self, names: Sequence[str], step: int) -> dict[str, Any]:
        """What TRL wants to know of the completions of an update. `names`: prompt ids, each as often as it has
        completions, side by side."""
        chosen = list(dict.fromkeys(names))
        groups = self._groups(chosen, step, 0)
        for attempt in range(1, self.phase.resample + 1):
            flat = [place for place, group in enumerate(groups) if not _spread(group)]
            others = [name for name in self._others(step, attempt) if name not in chosen]
            others = others[self.ranks.rank :: self.ranks.size][: len(flat)]
            if not others:
                break
            for place, group in zip(flat, self._groups(others, step, attempt), strict=False):
                if _spread(group):
                    groups[place] = group
        rows = [row for group in groups for row in group]
        lines = self.ranks.joined([row.line(step) for row in rows])
        if self.ranks.first:
            with self.file.open("ab") as stream:
                stream.writelines(orjson.dumps(line) + b"\n" for line in lines)
        self._count(lines)
        return {
            "prompt_ids": [list(self.ids[row.prompt.id]) for row in rows],
            "completion_ids": [list(row.completion.ids) for row in rows],
            "logprobs": None,
            "env_mask": [[int(free) for free in row.completion.free] for row in rows],
            **{f"{SCORE}{part.name}": [row.parts.get(part.name) for row in rows] for part in self.rubric.parts},
        }

    def take_up(self, step: int) -> None:
        """Know again what came of the first `step` updates, and forget what was written after them."""
        if not self.file.is_file():
            return
        updates: dict[int, list[Mapping[str, Any]]] = {}
        for line in self.file.read_bytes().splitlines():
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:  # cut off when training was killed
                break
            if row["step"] >= step:
                break
            updates.setdefault(row["step"], []).append(row)
        for rows in updates.values():
            self._count(rows)
        if self.ranks.first:
            write_whole(self.file, b"".join(orjson.dumps(row) + b"\n" for rows in updates.values() for row in rows))

    def _count(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """What came of an update."""
        self.replaced += len({line["prompt"] for line in lines if line["attempt"]})
        if known := [line["total"] for line in lines if line["total"] is not None]:
            self.totals.append(fmean(known))

    def _groups(self, names: Sequence[str], step: int, attempt: int) -> list[list[Scored]]:
        prompts = [self.prompts[name] for name in names]
        limit = self.phase.rollout_tokens or self.phase.max_tokens
        with self.progress.timed("generation"), self.writing(step) as write:
            written = write(
                [self.ids[name] for name in names],
                [prompt.schema_ for prompt in prompts],
                self.phase.group,
                Decoding(self.phase.temperature, limit, self.phase.frequency_penalty),
                _seed(self.phase.seed, step, attempt, self.ranks.rank),
            )
        with self.progress.timed("reward"):
            return [
                [self._score(prompt, completion, attempt) for completion in group]
                for prompt, group in zip(prompts, written, strict=True)
            ]

    def _score(self, prompt: Prompt, completion: Completion, attempt: int) -> Scored:
        text = self.trainee.text(completion.ids)
        scored = self.rubric.score(prompt.reward_step(text, len(completion.ids)))
        return Scored(prompt, completion, text, scored.parts, scored.total, attempt)

    def _others(self, step: int, attempt: int) -> list[str]:
        """All prompts in an order that the seed and the step decide."""
        return sorted(
            self.prompts,
            key=lambda name: hashlib.sha256(f"{self.phase.seed}/{step}/{attempt}/{name}".encode()).digest(),
        )


def schedule(prompts: int, batch: int, phase: Phase) -> list[int]:
    """Places of the prompts of all updates, `batch` for each, in one list: every prompt once, in an order that the seed
    decides, then all again in another. What is left over at the end of an order, too little for an update, is left out
    of it. The same as TRL's own order, which begins anew, however, where a training is taken up."""
    draw = torch.Generator().manual_seed(phase.seed)
    places: list[int] = []
    while len(places) < phase.steps * batch:
        places += torch.randperm(prompts, generator=draw).tolist()[: prompts // batch * batch]
    return places[: phase.steps * batch]


def _spread(group: Sequence[Scored]) -> bool:
    """Whether a group teaches anything: its completions, as far as they can be scored, are not all worth the same."""
    return len({row.total for row in group if row.total is not None}) > 1


def _seed(seed: int, step: int, attempt: int, rank: int) -> int:
    known = f"{seed}/{step}/{attempt}" + (f"/{rank}" if rank else "")
    return int.from_bytes(hashlib.blake2b(known.encode(), digest_size=4).digest(), "big")
