"""The grammars that answers are held to, as the server compiles them (xgrammar, no white space between JSON tokens)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
import xgrammar
from transformers import PreTrainedTokenizerBase

from agentkit.errors import UsageError
from agentkit.serve.command import SEPARATORS

Schema = Mapping[str, Any] | None
"""JSON Schema of an answer; None where it is free."""


class Grammars:
    """Of one model. Each schema is compiled once.

    Args:
        vocabulary: tokens that the model scores.
        ends: tokens that end an answer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocabulary: int, ends: Sequence[int]) -> None:
        self.vocabulary = vocabulary
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary, stop_token_ids=list(ends))
        compiler = xgrammar.GrammarCompiler(info, max_threads=2)
        self._texts: list[bytes] = info.decoded_vocab
        special = {*tokenizer.all_special_ids, *ends}
        self._known = {text: token for token, text in enumerate(self._texts) if text and token not in special}
        self._longest = max(map(len, self._known))
        self._compiled = lru_cache(maxsize=64)(
            lambda schema: compiler.compile_json_schema(schema, any_whitespace=False, separators=SEPARATORS)
        )

    def matcher(self, schema: Schema) -> xgrammar.GrammarMatcher | None:
        """One that has seen nothing yet; None where all may follow."""
        if schema is None:
            return None
        return xgrammar.GrammarMatcher(self._compiled(json.dumps(schema)))

    def free(self, schema: Schema, ids: Sequence[int]) -> tuple[bool, ...]:
        """Of each token of an answer: whether the grammar left a choice of text.

        Raises:
            UsageError: the answer does not follow the grammar.
        """
        matcher = self.matcher(schema)
        if matcher is None:
            return (True,) * len(ids)
        bitmask = xgrammar.allocate_token_bitmask(1, self.vocabulary)
        found = []
        for token in ids:
            limited = matcher.fill_next_token_bitmask(bitmask, 0)
            several = not limited or _allowed(bitmask, self.vocabulary) > 1
            found.append(several and not self.forces(matcher, token))
            if not matcher.accept_token(token):
                raise UsageError(f"token {token} of an answer is none that the grammar allows there; is it held to it?")
        return tuple(found)

    def text(self, token: int) -> bytes:
        """What a token stands for; a token may end inside a character."""
        return self._texts[token]

    def longest(self, text: bytes) -> int:
        """The longest token that a text begins with. Raises UsageError where the vocabulary has none."""
        for end in range(self._longest, 0, -1):
            if (token := self._known.get(text[:end])) is not None:
                return token
        raise UsageError(f"no token of the model begins as {text[:20]!r} does: it cannot be written")

    def forces(self, matcher: xgrammar.GrammarMatcher, token: int) -> bool:
        """Whether the text of this token is the only one that may come next. There are often several ways to cut it
        into tokens; nothing is said by taking one of them."""
        return _only(matcher).startswith(self._texts[token])


def _only(matcher: xgrammar.GrammarMatcher) -> bytes:
    """The text that must come next, whatever comes after it; it may end inside a character."""
    try:
        return matcher.find_jump_forward_string().encode()
    except UnicodeDecodeError as error:
        return bytes(error.object)


def _allowed(bitmask: torch.Tensor, vocabulary: int) -> int:
    """How many tokens a bitmask (1 × words of 32 bits) leaves."""
    bits = torch.arange(32, dtype=torch.int32)
    return int(((bitmask[0, :, None] >> bits) & 1).flatten()[:vocabulary].sum())
