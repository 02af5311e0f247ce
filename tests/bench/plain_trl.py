"""GRPO as TRL does it, with nothing of our trainer: the other leg of `tune_trl.py`.

Reads the same `phase.json`, prompts and rewards, and writes a `result.json` of the same form. Generation is that of
`transformers`, held to the same grammar and penalty by logits processors; loss and updates are TRL's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import xgrammar
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from xgrammar.contrib.hf import LogitsProcessor as Grammar

from agentkit.grade import load_rubric
from agentkit.records import Status
from agentkit.serve.command import SEPARATORS
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Prompt, Split, read_prompts

ROWS = 4
"""Rows that are computed at once: TRL scores every position against the vocabulary, which takes much memory."""


class Clock:
    """Seconds by part of the work."""

    def __init__(self) -> None:
        self.now = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.monotonic
        self.began = self.now()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        begin = self.now()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + self.now() - begin

    @property
    def elapsed(self) -> float:
        return self.now() - self.began


class Penalty:
    """OpenAI's frequency penalty, on what was written after the prompt."""

    def __init__(self, penalty: float, width: int) -> None:
        self.penalty, self.width = penalty, width

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        own = ids[:, self.width :]
        counts = torch.zeros_like(scores).scatter_add_(1, own, torch.ones_like(own, dtype=scores.dtype))
        return scores - self.penalty * counts


class Guided:
    """`model.generate`, each answer held to the schema of its prompt."""

    def __init__(self, model: Any, tokenizer: Any, prompts: Sequence[Prompt], penalty: float, clock: Clock) -> None:
        self.plain: Callable[..., Any] = model.generate
        self.penalty, self.clock = penalty, clock
        self.texts = {tuple(tokenizer(text_of(it, tokenizer))["input_ids"]): it for it in prompts}
        vocabulary = model.config.get_text_config().vocab_size
        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocabulary, stop_token_ids=[tokenizer.eos_token_id]
        )
        compiler = xgrammar.GrammarCompiler(info, max_threads=2)
        schemas = {json.dumps(it.schema_) for it in prompts}
        self.grammars = {
            it: compiler.compile_json_schema(it, any_whitespace=False, separators=SEPARATORS) for it in schemas
        }

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: Any) -> Any:
        rows = [tuple(row[mask.bool()].tolist()) for row, mask in zip(input_ids, attention_mask, strict=True)]
        held = [self.grammars[json.dumps(self.texts[row].schema_)] for row in rows]
        processors = LogitsProcessorList([Penalty(self.penalty, input_ids.shape[1]), Grammar(held)])
        with self.clock.timed("generation"):
            return self.plain(input_ids=input_ids, attention_mask=attention_mask, logits_processor=processors, **others)


def text_of(prompt: Prompt, tokenizer: Any) -> str:
    return str(tokenizer.apply_chat_template(prompt.request["messages"], tokenize=False, add_generation_prompt=True))


class Evaluation(TrainerCallback):
    """Greedy answers to the validation prompts, graded by the scenario's grader, at the same updates."""

    def __init__(self, model: Any, tokenizer: Any, prompts: Sequence[Prompt], phase: Phase, clock: Clock) -> None:
        self.model, self.tokenizer, self.prompts, self.phase, self.clock = model, tokenizer, prompts, phase, clock
        self.target = float(os.environ.get("BENCH_TARGET", "inf"))
        """Share right at which nothing more is to be learned of the time until then."""
        self.enough = False
        self.found: list[dict[str, Any]] = []
        self.updates: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.evaluate(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.updates.append(self.clock.elapsed)
        if state.global_step % self.phase.evaluate_every == 0 or state.global_step == self.phase.steps:
            self.evaluate(state.global_step)
            control.should_training_stop |= self.enough

    def evaluate(self, step: int) -> None:
        generation = self.clock.seconds.get("generation", 0.0)
        with self.clock.timed("evaluation"):
            texts = self.answers()
            grades = [asyncio.run(it.grade(text)).status for it, text in zip(self.prompts, texts, strict=True)]
        self.clock.seconds["generation"] = generation  # this one's is evaluation
        passed = grades.count(Status.PASSED)
        self.enough = passed >= self.target * len(grades)
        self.found.append({"step": step, "passed": passed, "graded": len(grades), "seconds": self.clock.elapsed})
        print(f"after {step}: {passed} of {len(grades)}, {self.clock.elapsed:.0f} s", flush=True)

    @torch.no_grad()
    def answers(self) -> list[str]:
        self.tokenizer.padding_side = "left"
        rows = self.tokenizer([text_of(it, self.tokenizer) for it in self.prompts], padding=True, return_tensors="pt")
        was_training = self.model.training
        self.model.eval()
        ids = self.model.generate(
            input_ids=rows["input_ids"],
            attention_mask=rows["attention_mask"],
            do_sample=False,
            max_new_tokens=self.phase.max_tokens,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        self.model.train(was_training)
        return list(self.tokenizer.batch_decode(ids[:, rows["input_ids"].shape[1] :], skip_special_tokens=True))


def main(folder: Path) -> None:
    logging.disable(logging.WARNING)
    clock = Clock()
    phase = Phase.read(folder)
    prompts = read_prompts(Path(phase.prompts))
    learn = [it for it in prompts if it.split is Split.TRAIN]
    assert phase.rubric is not None
    assert phase.rewards is not None
    rubric = load_rubric(phase.rubric, Path(phase.rewards))
    with clock.timed("loading"):
        tokenizer = AutoTokenizer.from_pretrained(phase.model)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        base = AutoModelForCausalLM.from_pretrained(phase.model, dtype=getattr(torch, phase.dtype))
        torch.manual_seed(phase.seed)
        lora = LoraConfig(
            r=phase.lora.rank, lora_alpha=phase.lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        model = get_peft_model(base, lora)
    model.generate = Guided(model, tokenizer, prompts, phase.frequency_penalty, clock)
    evaluation = Evaluation(model, tokenizer, [it for it in prompts if it.split is Split.VALIDATION], phase, clock)
    by_text = {text_of(it, tokenizer): it for it in learn}

    def reward(name: str) -> Callable[..., list[float | None]]:
        def values(prompts: list[str], completions: list[str], **_: Any) -> list[float | None]:
            with clock.timed("reward"):
                steps = [by_text[asked].reward_step(text) for asked, text in zip(prompts, completions, strict=True)]
                part = next(it for it in rubric.parts if it.name == name)
                return [part.value(step) for step in steps]

        values.__name__ = name
        return values

    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[reward(part.name) for part in rubric.parts],
        args=GRPOConfig(
            output_dir=str(folder / "checkpoints"),
            learning_rate=phase.learning_rate,
            lr_scheduler_type="constant",
            seed=phase.seed,
            bf16=phase.dtype == "bfloat16",
            use_cpu=not torch.cuda.is_available(),
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=False,
            max_steps=phase.steps,
            per_device_train_batch_size=ROWS,
            gradient_accumulation_steps=phase.batch * phase.group // ROWS,
            num_generations=phase.group,
            max_completion_length=phase.rollout_tokens,
            temperature=phase.temperature,
            beta=phase.beta,
            loss_type="dr_grpo",
            reward_weights=[part.points / sum(it.points for it in rubric.parts) for part in rubric.parts],
            multi_objective_aggregation="normalize_then_sum",
        ),
        train_dataset=Dataset.from_list([{"prompt": text} for text in by_text]),
        processing_class=tokenizer,
        callbacks=[evaluation],
    )
    trainer.train()
    seconds = dict(clock.seconds)
    seconds["forward and backward"] = clock.elapsed - sum(seconds.values())
    rewards = [it["reward"] for it in trainer.state.log_history if "reward" in it]
    result = {"evaluations": evaluation.found, "updates": evaluation.updates, "seconds": seconds, "rewards": rewards}
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
