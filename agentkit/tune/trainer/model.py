"""The model to be trained: base weights, a LoRA adapter on top, and its prompts as token ids."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from agentkit.errors import UsageError
from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Prompt
from agentkit.tune.trainer.attention import read_keys_once
from agentkit.tune.trainer.generate import Generator
from agentkit.tune.trainer.logprob import score_completions_only, score_side_by_side
from agentkit.tune.trainer.packed import compute_alone, share_prompts
from agentkit.tune.trainer.shortcuts import APART, apart, sees_all

_UNREADABLE = (OSError, ValueError, RuntimeError, SafetensorError)
"""What comes of a folder in which something is missing, broken, or of another model."""


@dataclass(slots=True)
class Trainee:
    """What is trained."""

    model: PeftModel
    tokenizer: PreTrainedTokenizerBase
    end: int
    """Token that ends an answer."""
    rounding: torch.dtype
    """Precision of the weights that are served, whatever they are computed with."""
    share: bool = True
    """Whether what rows have in common is computed once."""
    _generator: Generator | None = field(default=None)

    @property
    def generator(self) -> Generator:
        if self._generator is None:
            self._generator = Generator(self.model, self.tokenizer, (self.end,), share=self.share)
        return self._generator

    def try_shortcuts(self, prompts: Sequence[Sequence[int]]) -> float:
        """Hold what is computed together against the model computed row by row, at a few prompts (token ids). Where it
        is something else, nothing is shared any more. Gives how far it is apart, in nats a token.

        Raises:
            UsageError: it is something else without sharing, too.
        """
        base = self.model.get_base_model()
        pad = int(self.tokenizer.pad_token_id)
        with self.as_served() as generator:
            try:
                found = apart(base, generator, prompts, pad)
            except (RuntimeError, ValueError, TypeError):  # a mask or a position that its layers do not take
                if not self.share:
                    raise
                found = math.inf
        if found > APART and self.share:
            self.share, self._generator = False, None
            compute_alone(base.base_model)
            return self.try_shortcuts(prompts)
        if found > APART:
            raise UsageError(
                f"model {base.config.model_type}: its answers written in a batch are {found:.1f} nats a token from "
                f"those written alone, expected less than {APART}: it cannot be trained here"
            )
        return found

    @contextmanager
    def as_served(self, scale: float = 1.0) -> Iterator[Generator]:
        """The generator, while the adapter is merged into the weights as it will be where it is served: what is
        rewarded and evaluated is that model, rounding included. The weights are put back untouched. `scale`: part of
        the adapter's change that is merged; 0 is the base model."""
        layers = [module for module in self.model.modules() if isinstance(module, Linear)]
        weights = [cast(torch.nn.Linear, layer.get_base_layer()).weight for layer in layers]
        plain = [weight.data for weight in weights]
        with torch.no_grad():
            for layer, weight in zip(layers, weights, strict=True):
                change = torch.zeros_like(weight, dtype=torch.float32)
                for name in layer.active_adapters:
                    change += scale * layer.get_delta_weight(name).float()
                weight.data = (weight.data.float() + change).to(self.rounding).to(weight.dtype)
        try:
            with self.model.disable_adapter():
                yield self.generator
        finally:
            for weight, data in zip(weights, plain, strict=True):
                weight.data = data

    @contextmanager
    def scaled(self, scale: float) -> Iterator[None]:
        """While the adapter itself holds that part of its change only."""
        halves = [weight for name, weight in self.model.named_parameters() if ".lora_B.default." in name]
        whole = [half.data for half in halves]
        for half in halves:
            half.data = half.data * scale
        try:
            yield
        finally:
            for half, data in zip(halves, whole, strict=True):
                half.data = data

    def text(self, ids: Sequence[int]) -> str:
        """A completion as the server would give it."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    """Raises UsageError where there is none, or it has no chat template."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except _UNREADABLE as error:
        raise UsageError(f"model {model}: its tokenizer cannot be loaded: {_first_line(error)}") from None
    if tokenizer.chat_template is None:
        raise UsageError(f"model {model}: it has no chat template, so nobody knows how a conversation is written")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_trainee(phase: Phase) -> Trainee:
    """Base model and adapter; a new adapter's first output is the base model's.

    Raises:
        UsageError: model or adapter cannot be loaded.
    """
    if phase.threads is not None:
        torch.set_num_threads(phase.threads)
    tokenizer = load_tokenizer(phase.model)
    base = _base(phase)
    score_side_by_side(base)
    share = phase.share_prompts and sees_all(base.config)
    if share:
        share_prompts(base.base_model)
        read_keys_once(base)
    if phase.share_prompts:
        score_completions_only()
    torch.manual_seed(phase.seed)
    if phase.start is not None:
        model = _taken_up(base, phase.start)
    else:
        lora = phase.lora
        targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=targets,
            task_type="CAUSAL_LM",
        )
        model = get_peft_model(base, config)
    for module in model.modules():
        if hasattr(
            module, "cast_input_dtype_enabled"
        ):  # autocast does it the other way round: small weights, not states
            setattr(module, "cast_input_dtype_enabled", False)  # noqa: B010
    assert tokenizer.eos_token_id is not None
    return Trainee(model, tokenizer, int(tokenizer.eos_token_id), _rounding(phase.model, base), share)


def _base(phase: Phase) -> PreTrainedModel:
    try:
        model = AutoModelForCausalLM.from_pretrained(phase.model, dtype=getattr(torch, phase.dtype))
        return cast(PreTrainedModel, model.to("cuda" if torch.cuda.is_available() else "cpu"))
    except _UNREADABLE as error:
        raise UsageError(f"model {phase.model}: cannot be loaded: {_first_line(error)}") from None


def _rounding(folder: str, base: PreTrainedModel) -> torch.dtype:
    """The precision in which the model's weights are kept, and merged ones will be."""
    kept = AutoConfig.from_pretrained(folder).dtype
    return kept if isinstance(kept, torch.dtype) else base.dtype


def _taken_up(base: PreTrainedModel, adapter: str) -> PeftModel:
    try:
        return PeftModel.from_pretrained(base, adapter, is_trainable=True)
    except _UNREADABLE as error:
        raise UsageError(f"start {adapter}: the adapter cannot be loaded: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def prompt_ids(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The prompt as the server gives it to the model: chat template, tools, and the opening of the answer."""
    ids: Any = tokenizer.apply_chat_template(
        [_objects(message) for message in prompt.request["messages"]],
        tools=prompt.request.get("tools"),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
    )
    return [int(token) for token in ids]


def checked_ids(
    prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, context: int, answer: int
) -> dict[str, list[int]]:
    """Prompt id → token ids.

    Raises:
        UsageError: a prompt and its answer do not fit the context; names the prompt and the length.
    """
    found = {prompt.id: prompt_ids(prompt, tokenizer) for prompt in prompts}
    for name, ids in found.items():
        if len(ids) + answer > context:
            raise UsageError(
                f"prompt {name}: {len(ids)} tokens and an answer of up to {answer} do not fit the context of {context}"
            )
    return found


def _objects(message: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of calls as objects, as chat templates want them and servers make them."""
    if not message.get("tool_calls"):
        return dict(message)
    calls = []
    for call in message["tool_calls"]:
        function = dict(call["function"])
        if isinstance(function["arguments"], str):
            function["arguments"] = orjson.loads(function["arguments"])
        calls.append({**call, "function": function})
    return {**message, "tool_calls": calls}
