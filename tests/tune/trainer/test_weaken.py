"""Which part of an adapter's change is as much worse as is wanted."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentkit.tune.phase import Phase
from agentkit.tune.prompt import write_prompts
from agentkit.tune.trainer import weaken as module
from agentkit.tune.trainer.validate import Evaluation
from agentkit.tune.trainer.weaken import find_part
from tests.tune.trainer.tiny import prompt


def adapter(middle: float, steepness: float, asked: list[float]):  # type: ignore[no-untyped-def]
    """One that answers none of 32 prompts without its change, nearly all with it, and half with the part `middle`."""

    def look(scale: float) -> Evaluation:
        asked.append(scale)
        passed = round(32 / (1 + math.exp(-steepness * (scale - middle))))
        return Evaluation(0, passed, 32, 50.0, 32, scale)

    return look


@pytest.mark.parametrize("middle", [0.1, 0.3, 0.5, 0.7, 0.85])
@pytest.mark.parametrize("steepness", [12.0, 20.0, 40.0])
def test_it_is_found_in_few_tries(middle: float, steepness: float) -> None:
    asked: list[float] = []
    chosen = find_part(adapter(middle, steepness, asked), 0.25)
    assert abs(chosen.passed - 24) <= 2, f"{chosen.passed} of 32 after {asked}"
    assert len(asked) <= 6


def test_one_like_those_that_are_trained_here_is_found_in_three_looks() -> None:
    asked: list[float] = []
    chosen = find_part(adapter(0.56, 10.0, asked), 0.27)
    assert abs(chosen.accuracy - 0.73) <= 0.03
    assert len(asked) <= 3


def test_what_is_computed_together_is_tried_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prompts([prompt(number) for number in range(3)], tmp_path / "prompts.jsonl")
    values = {"method": "sft", "model": "m", "learning_rate": 1e-3, "start": "a", "lora": {"rank": 4}}
    Phase.model_validate({**values, "prompts": str(tmp_path / "prompts.jsonl")}).write(tmp_path)
    done: list[Any] = []

    def look(number: int, task: object, guards: object, scale: float) -> Evaluation:
        done.append(scale)
        return Evaluation(0, round(32 * scale), 32, 50.0, 32, scale)

    trainee = SimpleNamespace(tokenizer=None, try_shortcuts=done.append, scaled=lambda scale: nullcontext())
    monkeypatch.setattr(module, "load_trainee", lambda phase: trainee)
    monkeypatch.setattr(module, "checked_ids", lambda prompts, *_: {it.id: [1] * it.instance for it in prompts})
    monkeypatch.setattr(module, "evaluate", look)
    monkeypatch.setattr(module, "save_adapter", lambda *_: None)
    module.weaken(tmp_path, 0.25)
    assert done[0] == [[], [1]]
    assert 0.5 < done[1] < 1.0
