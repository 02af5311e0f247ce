"""What a training costs elsewhere decides how much of its change is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentkit.scenario import Step
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Prompt
from tests.tune.trainer.tiny import prompt, write_phase

if TYPE_CHECKING:  # torch is loaded by slow tests alone
    import torch

    from agentkit.tune.trainer.model import Trainee
    from agentkit.tune.trainer.task import Task
    from agentkit.tune.trainer.validate import Evaluation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def task(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Task:
    """A tiny model with an adapter that changes much."""
    import torch

    from agentkit.tune.trainer.model import checked_ids, load_trainee
    from agentkit.tune.trainer.progress import Progress
    from agentkit.tune.trainer.task import Task

    folder = write_phase(tmp_path_factory.mktemp("guards") / "phase", tiny, method="sft")
    phase = Phase.read(folder)
    trainee = load_trainee(phase)
    torch.manual_seed(1)
    for name, weight in trainee.model.named_parameters():
        if ".lora_B." in name:
            weight.data.normal_(0, 0.5)
    check, guards = [prompt(6, "validation")], [refusing(n) for n in range(7, 15)]
    ids = checked_ids([*check, *guards], trainee.tokenizer, phase.context, phase.max_tokens)
    return Task(folder, phase, trainee, [], check, guards, ids, Progress(folder / "progress.jsonl"))


def refusing(number: int) -> Prompt:
    """A guard at which no is the right answer, and what the random model mostly says."""
    expected = Step.model_validate({"id": "paint", "reply": {"mentions": ["no"]}})
    return prompt(number, "guard").model_copy(update={"expected": expected})


def likeliest(trainee: Trainee, scale: float) -> torch.Tensor:
    import torch

    with trainee.as_served(scale), torch.no_grad():
        return trainee.model(input_ids=torch.arange(3, 40)[None]).logits


def test_a_part_of_the_change_lies_between_the_base_and_the_whole(task: Task) -> None:
    import torch

    trainee = task.trainee
    with trainee.model.disable_adapter(), torch.no_grad():
        base = trainee.model(input_ids=torch.arange(3, 40)[None]).logits
    assert torch.equal(likeliest(trainee, 0.0), base)
    away = [float((likeliest(trainee, scale) - base).abs().mean()) for scale in (0.1, 0.3, 1.0)]
    assert 0 < away[0] < away[1] < away[2]


def test_the_adapter_that_is_kept_holds_the_part(task: Task, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from agentkit.tune.trainer.watch import save_adapter

    trainee = task.trainee
    save_adapter(trainee, tmp_path / "whole")
    with trainee.scaled(0.5):
        save_adapter(trainee, tmp_path / "half")
    save_adapter(trainee, tmp_path / "again")
    whole, half, again = (
        load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "half", "again")
    )
    for name, weight in whole.items():
        assert torch.equal(half[name], weight * 0.5 if ".lora_B." in name else weight)
        assert torch.equal(again[name], weight), "what is trained on is the whole"


def test_guards_are_asked_of_the_base_and_of_the_changed_model(task: Task) -> None:
    from agentkit.tune.trainer.validate import guards_right

    assert guards_right(task, 0.0) == guards_right(task, 0.0) != frozenset()
    assert guards_right(task, 0.0) != guards_right(task, 1.0), "a change that large gives other answers"


def test_the_smallest_part_is_kept_that_repairs_as_much(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentkit.tune.trainer import validate
    from agentkit.tune.trainer.validate import Evaluation

    needed, asks = 0.4, 0

    def asked(step: int, task: Task, base: frozenset[str], scale: float = 1.0) -> Evaluation:
        nonlocal asks
        asks += 1
        passed = 4 if scale >= needed else 3
        return Evaluation(step, passed, 4, 10.0, 4, round(scale, 3), guarded=len(base), lost=int(scale * 5))

    monkeypatch.setattr(validate, "evaluate", asked)
    many, few = (frozenset(map(str, range(count))) for count in (50, 10))
    assert validate.evaluate_scaled(8, task, many, beaten=0.5).scale == 0.41
    assert asks == 4, "found by halving"
    assert validate.evaluate_scaled(8, task, few, beaten=0.5).scale == 0.262, "less right, and few enough are lost"
    assert validate.evaluate_scaled(8, task, many, beaten=1.0).scale == 1.0, "no part of what is no better is of use"
    assert validate.evaluate_scaled(8, task, frozenset(), beaten=0.5).scale == 1.0, "what it costs is not known"
    needed = 0.0
    assert validate.evaluate_scaled(8, task, many, beaten=0.5).scale == 0.21, "the smallest that is tried"
    assert validate.evaluate_scaled(8, task, few, beaten=0.5).scale == 0.21, "less is lost"
    needed = 0.9
    assert validate.evaluate_scaled(8, task, many, beaten=0.5).scale == 1.0


def test_an_adapter_that_costs_little_beats_one_that_is_better_and_costs_much() -> None:
    pytest.importorskip("torch", reason="comes with training")
    from agentkit.tune.trainer.validate import Evaluation

    cheap = Evaluation(4, 3, 10, 9.0, 5, guarded=10, lost=1)
    dear = Evaluation(8, 10, 10, 9.0, 5, guarded=10, lost=2)
    untouched = Evaluation(0, 0, 10, 9.0, 5, guarded=10, lost=0)
    assert max((cheap, dear, untouched), key=lambda it: it.worth(0.1)) is cheap
    assert dear.worth(0.1) < untouched.worth(0.1)
    assert Evaluation(0, 5, 10, 9.0, 5).worth(0.0) == (True, 0.5), "without guards the accuracy alone decides"
