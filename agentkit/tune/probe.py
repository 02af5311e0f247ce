"""`python -m agentkit.tune.probe BASE ADAPTER OUT [PROMPTS]`: what an adapter says at a few prompts, by PEFT.

A process of its own, since it loads torch and PEFT. The adapter answers each prompt greedily; its answer is scored by
base model and adapter together, and by the base model alone, in float32: servers are held against the numbers and not
against the rounding of another program. PROMPTS is a job's `prompts.jsonl`, of which a few are taken, spread over the
file; left out, there are some of general content.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from agentkit.errors import UsageError
from agentkit.serve.adapter_folder import WEIGHTS
from agentkit.serve.model_hash import file_hash
from agentkit.serve.probe import Probe, ProbePrompt

_PROMPTS = 4
_ANSWER = 24
"""Tokens of an answer, at most."""
_GENERAL = (
    "I want to return the shoes that I bought last week.",
    "What is the capital of France?",
    'Look up order 48213 and answer with JSON like {"order": …, "status": …}.',
    "Write one sentence about the sea.",
)


def main(arguments: list[str]) -> int:
    """Score, and write OUT. Exit code 2 for a wrong call, and for folders that cannot be scored."""
    if len(arguments) not in (3, 4):
        print("usage: python -m agentkit.tune.probe BASE ADAPTER OUT [PROMPTS]", file=sys.stderr)
        return 2
    base, adapter, out, *prompts = map(Path, arguments)
    try:
        probe = _probe(base, adapter, prompts[0] if prompts else None)
    except (OSError, ValueError, RuntimeError, SafetensorError, UsageError) as error:
        print(f"{base} and {adapter}: cannot be scored: {error}", file=sys.stderr)
        return 2
    out.write_text(probe.model_dump_json() + "\n", encoding="utf-8")
    return 0


def _probe(base: Path, adapter: Path, prompts: Path | None) -> Probe:
    tokenizer = AutoTokenizer.from_pretrained(base)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(plain, str(adapter)).eval()
    asked = _of_job(prompts, tokenizer) if prompts else _general(tokenizer)
    return Probe(weights=file_hash(adapter / WEIGHTS), prompts=tuple(_scored(model, it, tokenizer) for it in asked))


def _of_job(file: Path, tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    from agentkit.tune.prompt import read_prompts
    from agentkit.tune.trainer.model import prompt_ids

    found = read_prompts(file)
    for place in range(min(_PROMPTS, len(found))):
        yield prompt_ids(found[place * len(found) // min(_PROMPTS, len(found))], tokenizer)


def _general(tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    for text in _GENERAL:
        if tokenizer.chat_template is None:
            yield [int(it) for it in tokenizer(text)["input_ids"]]
            continue
        messages = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": text}]
        ids: Any = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
        yield [int(it) for it in ids]


def _scored(model: PeftModel, prompt: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> ProbePrompt:
    given = torch.tensor([list(prompt)])
    whole = model.generate(
        input_ids=given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=_ANSWER,
        do_sample=False,
        repetition_penalty=1.0,
        pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
    )
    adapted = _answer(model, whole, len(prompt))
    with model.disable_adapter():
        base = _answer(model, whole, len(prompt))
    return ProbePrompt(tokens=tuple(whole[0].tolist()), start=len(prompt), adapter=adapted, base=base)


def _answer(model: PeftModel, tokens: torch.Tensor, start: int) -> tuple[float, ...]:
    """Log-probability of each token from `start` on."""
    logits = model(input_ids=tokens).logits[0, start - 1 : -1].float()
    found = torch.log_softmax(logits, dim=-1).gather(1, tokens[0, start:, None])[:, 0]
    return tuple(round(it, 6) for it in found.tolist())


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    torch.set_grad_enabled(False)
    sys.exit(main(sys.argv[1:]))
