"""Completions as the server would write them, many for each prompt, each prompt computed once.

Sampling follows the served request: the same grammar (xgrammar, no white space between JSON tokens), the same frequency
penalty, the same limit. Prompts of a batch are read once. All completions of a prompt are then written side by
side, one token of each at a time, in one row behind it: each sees the prompt and its own tokens. For a model whose
layers do not see all that came before, each completion has a row of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import xgrammar
from peft import PeftModel
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from agentkit.errors import UsageError
from agentkit.tune.trainer.grammar import Grammars, Schema
from agentkit.tune.trainer.room import make_room

_READ_TOKENS = 8192
"""Prompt tokens that are read at once, padding included, besides those that all prompts begin with: more need more
memory and are no faster."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an answer is written."""

    temperature: float = 1.0
    """0 picks the likeliest token."""
    max_tokens: int = 100
    frequency_penalty: float = 0.0
    """Taken from a token's logit for each time that it was written before, as OpenAI defines it."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer."""

    ids: tuple[int, ...]
    """With the end-of-text token, where it came to one."""
    free: tuple[bool, ...]
    """Of each token: whether the grammar left a choice of text."""
    logprobs: tuple[float, ...]
    """Of each token, under the distribution that it was drawn from; none of what a server wrote."""
    finished: bool
    """False where the limit cut it."""


Write = Callable[[Sequence[Sequence[int]], Sequence[Schema], int, Decoding, int], list[list[Completion]]]
"""As `Generator` is called."""


class Generator:
    """Writes completions with a model. Schemas are compiled once for all calls.

    Args:
        ends: tokens that end an answer.
        share: read what prompts have in common once, and write the completions of a prompt in one row.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        ends: Sequence[int],
        *,
        share: bool = True,
    ) -> None:
        self._model = model
        self._share = share
        self._ends = tuple(ends)
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else ends[0]
        self.grammars = Grammars(tokenizer, model.config.get_text_config().vocab_size, self._ends)

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        schemas: Sequence[Schema],
        samples: int,
        decoding: Decoding,
        seed: int,
    ) -> list[list[Completion]]:
        """`samples` completions of each prompt, in order. `schemas`: the JSON Schema that each answer is held to."""
        return self._written(prompts, lambda place: _Writer(self.grammars, schemas[place]), samples, decoding, seed)

    def dictated(
        self,
        prompts: Sequence[Sequence[int]],
        schemas: Sequence[Schema],
        texts: Sequence[str],
        frequency_penalty: float = 0.0,
    ) -> list[Completion]:
        """These answers, in the tokens in which the model comes to write them: what the schema forces is cut as the
        model cuts it, which is seldom as the tokenizer does; what is a choice, into the longest tokens there are.

        Raises:
            UsageError: an answer does not follow its schema.
        """
        decoding = Decoding(0.0, max((len(it.encode()) for it in texts), default=0) + 1, frequency_penalty)
        end = self._ends[0]
        told = self._written(
            prompts, lambda place: _Dictated(self.grammars, schemas[place], texts[place], end), 1, decoding, 0
        )
        return [it for (it,) in told]

    @torch.no_grad()
    def _written(
        self,
        prompts: Sequence[Sequence[int]],
        writer: Callable[[int], _Writer],
        samples: int,
        decoding: Decoding,
        seed: int,
    ) -> list[list[Completion]]:
        """`writer`: place of a prompt → what takes down one of its completions."""
        draw = torch.Generator().manual_seed(seed)
        found: list[list[Completion]] = [[] for _ in prompts]
        was_training = self._model.training
        self._model.eval()
        try:
            shared = _shared(prompts) if self._share and prompts else 0
            for batch in _batches(prompts, shared):
                begin = self._read([prompts[i] for i in batch], shared)
                writers = [writer(i) for i in batch for _ in range(samples)]
                rows = self._write(*begin, writers, samples, decoding, draw)
                for place, index in enumerate(batch):
                    found[index] = rows[place * samples : (place + 1) * samples]
        finally:
            self._model.train(was_training)
        return found

    def _write(
        self,
        cache: DynamicCache,
        logits: torch.Tensor,
        seen: torch.Tensor,
        writers: Sequence[_Writer],
        samples: int,
        decoding: Decoding,
        draw: torch.Generator,
    ) -> list[Completion]:
        """`samples` answers to each of the prompts that were read."""
        logits = logits.repeat_interleave(samples, 0)
        columns = samples if self._share else 1
        if columns < samples:
            cache.batch_repeat_interleave(samples)
            seen = seen.repeat_interleave(samples, 0)
        make_room(cache, decoding.max_tokens * columns)
        counts = torch.zeros_like(logits) if decoding.frequency_penalty else None
        bitmask = xgrammar.allocate_token_bitmask(len(writers), self.grammars.vocabulary)
        position = seen.sum(1, keepdim=True)
        rows = len(seen)
        if self._share:
            visible = seen[:, None, None, :].bool().expand(-1, 1, columns, -1)
            own = torch.eye(columns, dtype=torch.bool, device=seen.device)[None, None].expand(rows, 1, -1, -1)
        else:
            visible, own = seen, seen.new_ones(rows, 1)
        for _ in range(decoding.max_tokens):
            chosen = self._choose(logits, counts, bitmask, writers, decoding, draw)
            if all(writer.done for writer in writers):
                break
            if counts is not None:
                counts.scatter_add_(1, chosen[:, None], torch.ones_like(chosen[:, None], dtype=counts.dtype))
            visible = torch.cat([visible, own], -1)
            output = self._model(
                input_ids=chosen.view(rows, columns).to(self._model.device),
                attention_mask=visible,
                position_ids=position.expand(-1, columns),
                past_key_values=cache,
                use_cache=True,
            )
            logits, position = output.logits.flatten(0, 1).float().cpu(), position + 1
        return [writer.completion() for writer in writers]

    def _read(self, prompts: Sequence[Sequence[int]], shared: int) -> tuple[DynamicCache, torch.Tensor, torch.Tensor]:
        """Keys and values of the prompts, the logits after each, and the mask of what is no padding.

        The `shared` tokens that all prompts begin with are read once, for all of them; the padding stands behind them.
        """
        device = self._model.device
        cache = DynamicCache(config=self._model.config)
        if shared:
            start = torch.tensor([prompts[0][:shared]], device=device)
            self._model(input_ids=start, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache.batch_repeat_interleave(len(prompts))
        rests = [list(prompt[shared:]) for prompt in prompts]
        width = max(map(len, rests))
        ids = torch.tensor([[self._pad] * (width - len(rest)) + rest for rest in rests], device=device)
        mask = torch.tensor(
            [[1] * shared + [0] * (width - len(rest)) + [1] * len(rest) for rest in rests], device=device
        )
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, shared:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return cache, output.logits[:, -1].float().cpu(), mask

    def _choose(
        self,
        logits: torch.Tensor,
        counts: torch.Tensor | None,
        bitmask: torch.Tensor,
        writers: Sequence[_Writer],
        decoding: Decoding,
        draw: torch.Generator,
    ) -> torch.Tensor:
        """The next token of each row; rows that are done get padding."""
        if counts is not None:
            logits = logits - decoding.frequency_penalty * counts
        held = [row for row, writer in enumerate(writers) if writer.fill(bitmask, row)]
        if held:
            xgrammar.apply_token_bitmask_inplace(logits, bitmask, indices=held)
        scores = (
            logits.log_softmax(-1) if decoding.temperature == 0 else (logits / decoding.temperature).log_softmax(-1)
        )
        chosen = scores.argmax(-1) if decoding.temperature == 0 else _drawn(scores, draw)
        tokens = [writer.settled(token) for writer, token in zip(writers, chosen.tolist(), strict=True)]
        chosen = torch.tensor(tokens)
        logprobs = scores.gather(1, chosen[:, None])[:, 0].tolist()
        several = ((scores > float("-inf")).sum(-1) > 1).tolist()
        for row, writer in enumerate(writers):
            if writer.done:
                chosen[row] = self._pad
            else:
                writer.take(tokens[row], logprobs[row], several[row], self._ends)
        return chosen


class _Writer:
    """One completion under way."""

    def __init__(self, grammars: Grammars, schema: Schema) -> None:
        self._grammars = grammars
        self._matcher = grammars.matcher(schema)
        self._ids: list[int] = []
        self._free: list[bool] = []
        self._logprobs: list[float] = []
        self.done = False

    def fill(self, bitmask: torch.Tensor, row: int) -> bool:
        """Write which tokens may follow; False where all may."""
        if self._matcher is None or self.done:
            return False
        return bool(self._matcher.fill_next_token_bitmask(bitmask, row))

    def settled(self, token: int) -> int:
        """What is written where the model would write that token."""
        return token

    def take(self, token: int, logprob: float, several: bool, ends: Sequence[int]) -> None:
        """`several`: whether other tokens were allowed."""
        self._ids.append(token)
        self._free.append(several and not (self._matcher and self._grammars.forces(self._matcher, token)))
        self._logprobs.append(logprob)
        self.done = token in ends
        if self._matcher is not None and not self._matcher.accept_token(token):
            raise RuntimeError(f"the grammar allowed token {token} and does not accept it")

    def completion(self) -> Completion:
        return Completion(tuple(self._ids), tuple(self._free), tuple(self._logprobs), self.done)


class _Dictated(_Writer):
    """An answer that is given. What is forced is written as the model would."""

    def __init__(self, grammars: Grammars, schema: Schema, text: str, end: int) -> None:
        super().__init__(grammars, schema)
        self._text = text
        self._left = text.encode()
        self._end = end

    def settled(self, token: int) -> int:
        if self.done or (self._matcher and self._left and self._grammars.forces(self._matcher, token)):
            return token
        return self._grammars.longest(self._left) if self._left else self._end

    def take(self, token: int, logprob: float, several: bool, ends: Sequence[int]) -> None:
        self._left = self._left[len(self._grammars.text(token)) :]
        try:
            super().take(token, logprob, several, ends)
        except RuntimeError as error:
            raise UsageError(f"the answer {self._text!r} is none that its schema allows") from error


def _shared(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; each keeps one of its own at least."""
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))
    same = next((i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    shortest = min(map(len, prompts))
    return max(0, min(shortest - 1, shortest if same is None else same))


def _drawn(scores: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """One token a row by its probability, off the distribution function."""
    share = scores.exp().double().cumsum(-1)
    aim = torch.rand(len(scores), 1, generator=draw, dtype=torch.double) * share[:, -1:]
    return torch.searchsorted(share, aim, right=True)[:, 0].clamp(max=scores.shape[1] - 1)


def _batches(prompts: Sequence[Sequence[int]], shared: int) -> list[list[int]]:
    """Places of prompts that are read together: of like length, so that little is padding."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    batches: list[list[int]] = []
    for index in order:
        own = len(prompts[index]) - shared
        if batches and own * (len(batches[-1]) + 1) <= _READ_TOKENS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
