from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.tune.phase import FILE, Phase

SFT: dict[str, Any] = {"method": "sft", "model": "m", "prompts": "p.jsonl", "learning_rate": 1e-3}


def test_a_phase_is_read_as_it_was_written(tmp_path: Path) -> None:
    phase = Phase.model_validate(SFT | {"lora": {"rank": 8, "targets": ["q_proj", "v_proj"]}, "max_kl": 2.5})
    phase.write(tmp_path / "new" / "folder")
    assert Phase.read(tmp_path / "new" / "folder") == phase


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lerning_rate": 1}, r"lerning_rate: found 1, expected: .*did you mean 'learning_rate'"),
        ({"lora": {"rnak": 4}}, r"lora\.rnak: found 4, expected: .*did you mean 'rank'"),
        ({"method": "ppo"}, "method: found 'ppo', expected: Input should be 'sft', 'grpo', 'dpo' or 'kto'"),
        ({"learning_rate": 0}, "learning_rate: found 0, expected: Input should be greater than 0"),
        ({"group": 1, "method": "grpo", "rubric": "tool_call"}, "group: found 1, expected: .* greater than 1"),
        ({"method": "grpo"}, "phase.json: rubric: found nothing, expected the rubric that grpo rewards by"),
        ({"method": "dpo"}, "phase.json: preferences: found nothing, expected the file .* dpo learns"),
        ({"method": "kto", "preferences": "x", "batch": 1}, "phase.json: batch: found 1, expected 2 or more"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_found_and_expected(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(json.dumps(SFT | changes))
    with pytest.raises(UsageError, match=words):
        Phase.read(tmp_path)


def test_a_folder_without_a_phase_and_a_file_that_is_no_json_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        Phase.read(tmp_path)
    (tmp_path / FILE).write_text('{"method": "sft", ')
    with pytest.raises(UsageError, match=r"phase\.json: Invalid JSON: EOF"):
        Phase.read(tmp_path)
