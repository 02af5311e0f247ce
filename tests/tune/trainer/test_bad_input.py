"""What a user may get wrong is said in a sentence, and leaves no adapter behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.tune.trainer.preference_rows import read_preferences
from tests.tune.compiled import ROOT
from tests.tune.trainer.tiny import REWARDS, prompt, run, write_grpo, write_phase

pytestmark = pytest.mark.slow


def refused(folder: Path) -> str:
    """What the program says of a folder, without the end of the line."""
    said = run(folder, code=2)
    assert "Traceback" not in said
    assert not (folder / "adapter").exists()
    assert not (folder / "result.json").exists()
    return said.removesuffix("\n")


def changed(tiny: Path, folder: Path) -> Path:
    """A copy of the model, to be spoilt."""
    return Path(shutil.copytree(tiny, folder))


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="comes with training")
    missing = tmp_path / "no" / "such" / "model"
    said = refused(write_phase(tmp_path / "job", missing, method="sft"))
    assert said.startswith(f"model {missing}: its tokenizer cannot be loaded: ")
    assert "\n" not in said


def test_a_model_without_a_chat_template_is_refused(tiny: Path, tmp_path: Path) -> None:
    model = changed(tiny, tmp_path / "model")
    (model / "chat_template.jinja").unlink()
    said = refused(write_phase(tmp_path / "job", model, method="sft"))
    assert said.endswith("it has no chat template, so nobody knows how a conversation is written")


def test_weights_that_are_cut_off_are_named(tiny: Path, tmp_path: Path) -> None:
    model = changed(tiny, tmp_path / "model")
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    said = refused(write_phase(tmp_path / "job", model, method="sft"))
    assert said.startswith(f"model {model}: cannot be loaded: ")


def test_a_prompt_that_does_not_fit_the_context_is_named_with_its_length(tiny: Path, tmp_path: Path) -> None:
    said = refused(write_phase(tmp_path, tiny, method="sft", context=50, max_tokens=32))
    assert "prompt shop/paint/golden#paint@0: " in said
    assert said.endswith("tokens and an answer of up to 32 do not fit the context of 50")


def test_nothing_to_imitate_and_splits_without_prompts_are_told(tiny: Path, tmp_path: Path) -> None:
    without = [prompt(0, golden=False), prompt(1, golden=False), prompt(2, "validation")]
    said = refused(write_phase(tmp_path / "0", tiny, without, method="sft"))
    assert said.endswith("no training prompt has a golden answer, so there is nothing to imitate")
    said = refused(write_phase(tmp_path / "1", tiny, [prompt(0)], method="sft"))
    assert "no prompt of the split validation" in said
    said = refused(write_phase(tmp_path / "2", tiny, [prompt(0, "validation")], method="sft"))
    assert "no prompt of the split train" in said


def test_a_line_that_is_no_prompt_is_named(tiny: Path, tmp_path: Path) -> None:
    folder = write_phase(tmp_path, tiny, method="sft")
    with (folder / "prompts.jsonl").open("ab") as stream:
        stream.write(b'{"id": "x"}\n')
    assert "prompts.jsonl:11: scenario: " in refused(folder)


DPO = {"prompt": prompt(0).id, "chosen": "yes", "rejected": "no"}
KTO = {"prompt": prompt(0).id, "completion": "yes", "label": True}


@pytest.mark.parametrize(
    ("method", "lines", "words"),
    [
        ("dpo", ["{"], ":1: not JSON: "),
        ("dpo", [DPO, ["x"]], ":2: found list, expected an object with ['chosen', 'prompt', 'rejected']"),
        ("dpo", [KTO], ":1: found ['completion', 'label', 'prompt'], expected an object with ['chosen',"),
        ("dpo", [DPO | {"chosen": 3}], ":1: chosen: found 3, expected str"),
        ("dpo", [DPO | {"rejected": "yes"}], ":1: chosen and rejected are the same answer"),
        ("dpo", [DPO | {"prompt": "shop/paint/golden#paint@00"}], "(did you mean 'shop/paint/golden#paint@0'?)"),
        ("dpo", [DPO | {"prompt": prompt(6).id}], ":1: prompt: no training prompt is called"),
        ("dpo", [], ": holds no preference"),
        ("kto", [KTO | {"label": "good"}], ":1: label: found 'good', expected bool"),
        ("kto", [KTO, KTO | {"prompt": prompt(1).id}], ": all 2 labels are True; KTO needs answers of both kinds"),
    ],
)
def test_preferences_that_cannot_be_used_are_named_with_their_line(
    tmp_path: Path, method: str, lines: list[Any], words: str
) -> None:
    file = tmp_path / "preferences.jsonl"
    file.write_text("".join((it if isinstance(it, str) else json.dumps(it)) + "\n" for it in lines))
    with pytest.raises(UsageError) as error:
        read_preferences(file, method, {prompt(n).id for n in range(6)})
    assert str(error.value).startswith(str(file))
    assert words in str(error.value)


def test_preferences_that_are_not_there_are_named(tiny: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nothing.jsonl"
    said = refused(write_phase(tmp_path, tiny, method="dpo", preferences=str(missing)))
    assert said == f"{missing}: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('colour')", "reward paints raised KeyError: 'colour'"),
        ("return float('nan')", "reward paints returned nan, expected a number from 0 to 1"),
        ("time.sleep(600)", "reward paints took longer than 1 s"),
    ],
)
def test_a_reward_that_fails_ends_training_with_a_sentence(tiny: Path, tmp_path: Path, body: str, words: str) -> None:
    source = REWARDS.replace("points=3", "points=3, seconds=1")
    source = source.replace('return float([call.name for call in step.calls] == ["paint"])', body)
    folder = write_grpo(tmp_path, tiny, source.replace("from agentkit", "import time\n\nfrom agentkit", 1))
    assert f"painting.py:9: {words} (shop/paint/golden#paint@" in refused(folder)


def test_a_rubric_that_is_not_there_is_named(tiny: Path, tmp_path: Path) -> None:
    folder = write_grpo(tmp_path, tiny, rubric="paintign")
    said = refused(folder)
    assert "paintign" in said
    assert "did you mean 'painting'" in said


def test_a_setting_that_is_unknown_is_told_by_the_program(tiny: Path, tmp_path: Path) -> None:
    folder = write_phase(tmp_path, tiny, method="sft")
    settings = json.loads((folder / "phase.json").read_text())
    (folder / "phase.json").write_text(json.dumps(settings | {"epoch": 3}))
    said = refused(folder)
    assert "phase.json: epoch: found 3, expected: " in said
    assert said.endswith("(did you mean 'epochs'?)")


def test_a_scenario_that_changed_is_not_played_on(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "rewards").mkdir()
    (tmp_path / "rewards" / "outcome.py").write_bytes((ROOT / "rewards" / "outcome.py").read_bytes())
    refund = str(ROOT / "scenarios" / "point_of_sale" / "refund.yaml")
    folder = write_grpo(tmp_path, tiny, rubric="outcome", scenarios={refund: "0" * 64})
    assert "refund.yaml: the scenario changed since the job was compiled" in refused(folder)
