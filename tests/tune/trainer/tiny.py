"""A Llama so small that it trains in seconds, with the embedded model's tokenizer; and prompts short enough for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentkit.serve import embedded_model
from agentkit.tune.golden import as_written
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Prompt, write_prompts
from tests.tune.trainer.nursery import Fork, Nursery

COLOURS = ("red", "blue", "green", "white")
OBJECTS = ("door", "chair", "old garden fence", "wall", "boat", "roof of the house by the sea")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")
PROGRAM = ("-m", "agentkit.tune.trainer")
_PAINT = {
    "name": "paint",
    "description": "Paint something.",
    "parameters": {"type": "object", "properties": {"colour": {"type": "string", "enum": list(COLOURS)}}},
}


def write_model(folder: Path, seed: int = 5, width: int = 64) -> Path:
    """Random weights, large enough that the likeliest token is no matter of rounding. vLLM takes a `width` of 128."""
    import torch
    import transformers

    embedded = embedded_model()
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=49152,
        hidden_size=width,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.2,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copyfile(embedded / name, folder / name)
    return folder


def schema() -> dict[str, Any]:
    """One action: `paint` in a colour, or `reply` with one of two words."""
    return {
        "anyOf": [
            _action("paint", "colour", list(COLOURS)),
            _action("reply", "text", ["yes", "no"]),
        ]
    }


def _action(name: str, argument: str, values: Sequence[str]) -> dict[str, Any]:
    arguments = {
        "type": "object",
        "properties": {argument: {"enum": values}},
        "required": [argument],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"action": {"const": name}, "arguments": arguments},
        "required": ["action", "arguments"],
        "additionalProperties": False,
    }


def prompt(number: int, split: str = "train", *, guided: bool = True, golden: bool = True) -> Prompt:
    """The user names a thing and a colour; right is to paint it so."""
    colour, thing = COLOURS[number % len(COLOURS)], OBJECTS[number % len(OBJECTS)]
    asked = f"Paint the {thing} {colour}, please."
    request: dict[str, Any] = {
        "messages": [{"role": "system", "content": "You paint."}, {"role": "user", "content": asked}],
        "temperature": 0,
    }
    if guided:
        request["response_format"] = {"type": "json_schema", "json_schema": {"name": "action", "schema": schema()}}
    right = as_written({"action": "paint", "arguments": {"colour": colour}})
    return Prompt.model_validate(
        {
            "id": f"shop/paint/golden#paint@{number}",
            "scenario": "shop/paint",
            "variant": "golden",
            "instance": number,
            "step": "paint",
            "turn": 0,
            "split": split,
            "origin": "golden",
            "dialect": "guided",
            "request": request,
            "history": [{"role": "user", "content": asked, "turn": 0}],
            "expected": {
                "id": "paint",
                "skill": "painting",
                "call": {"name": "paint", "arguments": {"colour": {"equals": colour}}},
            },
            "tools": {"paint": _PAINT},
            "golden": right if golden else None,
        }
    )


def write_phase(folder: Path, model: Path, prompts: Sequence[Prompt] | None = None, **settings: Any) -> Path:
    """A folder with all that the training program reads."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = prompts or [*map(prompt, range(6)), *(prompt(n, "validation") for n in range(6, 10))]
    write_prompts(chosen, folder / "prompts.jsonl")
    values: dict[str, Any] = {
        "model": str(model),
        "prompts": str(folder / "prompts.jsonl"),
        "seed": 3,
        "lora": {"rank": 4, "alpha": 8},
        "learning_rate": 0.01,
        "batch": 2,
        "max_tokens": 32,
        "context": 512,
        "evaluate_every": 2,
        "dtype": "float32",
        "threads": 1,
    }
    Phase.model_validate(values | settings).write(folder)
    return folder


def fresh(folder: Path, *launcher: str, **environment: str) -> None:
    """The training program as it is really started, to its end; by a `launcher`, a module with its arguments."""
    with (folder / "log").open("ab") as log:
        ended = subprocess.run(
            [sys.executable, "-P", *(("-m", *launcher) if launcher else ()), *PROGRAM, "train", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
            timeout=400,
        )
    assert ended.returncode == 0, (folder / "log").read_text(encoding="utf-8", errors="replace")


@lru_cache
def nursery() -> Nursery:
    """For the whole session; ended by the fixture `trainings`."""
    return Nursery()


def start(folder: Path, verb: str = "train", **environment: str) -> Fork:
    """The training program in a process of its own, which has loaded its libraries already."""
    return nursery().start(folder, verb, environment)


def run(folder: Path, verb: str = "train", code: int = 0) -> str:
    """What the program said, once it ended as expected."""
    ended = start(folder, verb).wait(timeout=400)
    said = (folder / "log").read_text(encoding="utf-8", errors="replace")
    assert ended == code, said
    return said


def result(folder: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_bytes())
    return found


def events(folder: Path, kind: str) -> list[Mapping[str, Any]]:
    """The lines of one kind of what it told while it ran."""
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_bytes().splitlines()]
    return [line for line in lines if line["event"] == kind]


def rows(folder: Path) -> list[Mapping[str, Any]]:
    """The completions that GRPO wrote."""
    return [json.loads(line) for line in (folder / "completions.jsonl").read_bytes().splitlines()]


REWARDS = '''"""Rewards of painting."""

from agentkit.grade import RewardStep, reward


@reward(points=3)
def paints(step: RewardStep) -> float:
    """It paints."""
    return float([call.name for call in step.calls] == ["paint"])


@reward(points=1)
def coloured(step: RewardStep) -> float | None:
    """In the colour that was asked for; says nothing of an answer that paints nothing."""
    if step.call is None or step.expected is None or step.expected.call is None:
        return None
    return float(step.call.arguments == {name: it.equals for name, it in step.expected.call.arguments.items()})
'''


def write_rewards(folder: Path, source: str = REWARDS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "painting.py").write_text(source)
    return folder


def write_grpo(folder: Path, model: Path, source: str = REWARDS, **settings: Any) -> Path:
    """A reinforcement of a few updates, two prompts and eight completions each."""
    values: dict[str, Any] = {
        "method": "grpo",
        "rubric": "painting",
        "rewards": str(write_rewards(folder / "rewards", source)),
        "steps": 8,
        "seed": 4,
        "group": 4,
        "learning_rate": 0.03,
        "rollout_tokens": 40,
        "max_tokens": 40,
        "patience": 99,
        "max_kl": 1000.0,
    }
    return write_phase(folder, model, **values | settings)


def write_preferences(file: Path, method: str) -> int:
    """For each training prompt: to paint is liked, to refuse is not. How many rows that makes."""
    lines: list[dict[str, Any]] = []
    wrong = as_written({"action": "reply", "arguments": {"text": "no"}})
    for asked in map(prompt, range(6)):
        if method == "dpo":
            lines.append({"prompt": asked.id, "chosen": asked.golden, "rejected": wrong})
        else:
            lines.append({"prompt": asked.id, "completion": asked.golden, "label": True})
            lines.append({"prompt": asked.id, "completion": wrong, "label": False})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return len(lines)


UPDATES = 12
"""Of each training that `taught` describes."""


def taught(folder: Path, model: Path, method: str = "sft") -> Path:
    """A training on right answers or on preferences."""
    settings: dict[str, Any] = {"method": method, "epochs": 4, "evaluate_every": 5}
    if method != "sft":
        settings |= {"preferences": str(folder / "preferences.jsonl"), "learning_rate": 0.003, "beta": 0.1}
        settings |= {"batch": 2 if method == "dpo" else 4}
        write_preferences(folder / "preferences.jsonl", method)
    return write_phase(folder, model, **settings)
