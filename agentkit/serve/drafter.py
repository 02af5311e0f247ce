"""What vLLM's speculation tries as the next tokens: what followed the last few before, in the request's own text or in
any answer that this server wrote.

Calls of tools repeat each other but for their values, which stand in the prompt: what is around the values is known
from earlier answers, the values from the prompt. vLLM checks all guesses in one pass of the model, so a wrong one costs
time and changes no answer.

vLLM's engine imports this module by its name; it is told nothing but tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]

LONGEST = 8
"""Tokens that are looked back at."""
_LEAST = 2
"""Tokens that must be the same for what followed them to be tried."""
_LENGTHS = (8, 4, 2)
"""Of the beginnings that are remembered of each token that was written, longest first."""
_REMEMBERED = 300_000
"""Beginnings at most, some 70 MB: of the newest hundred thousand tokens."""
_AT_ONCE = 64
"""Guesses of a pass, for all requests of a batch together: each costs some computing, whether it is right or not."""


class Memory:
    """Which token came last after the tokens before it, in all answers so far."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._after: dict[tuple[int, ...], int] = {}

    def learn(self, tokens: Sequence[int], written: int) -> None:
        """Remember the last `written` of the tokens by those before them."""
        for place in range(len(tokens) - written, len(tokens)):
            for length in _LENGTHS:
                if length <= place:
                    before = tuple(tokens[place - length : place])
                    self._after.pop(before, None)  # put in anew, it counts as the newest
                    self._after[before] = tokens[place]
        while len(self._after) > self._most:
            del self._after[next(iter(self._after))]

    def after(self, tokens: Sequence[int]) -> tuple[int, int | None]:
        """How many of the last tokens are known together, and the token that came after them."""
        for length in _LENGTHS:
            if length <= len(tokens) and (found := self._after.get(tuple(tokens[-length:]))) is not None:
                return length, found
        return 0, None


def copied(text: Tokens, tokens: Sequence[int]) -> tuple[int, int | None]:
    """How many of the last tokens stand together somewhere in the text, and the token that follows them there: where
    most of them do, and of equal places at the last."""
    places = np.flatnonzero(text[:-1] == tokens[-1])
    length = 1
    while places.size and length < len(tokens):
        further = places[places >= length]
        further = further[text[further - length] == tokens[-1 - length]]
        if not further.size:
            break
        places, length = further, length + 1
    return (length, int(text[places[-1] + 1])) if places.size and length >= _LEAST else (0, None)


class Drafter:
    """vLLM's proposer of the method `custom_class`."""

    def __init__(self, vllm_config: Any) -> None:
        self._guesses = int(vllm_config.speculative_config.num_speculative_tokens)
        self._context = int(vllm_config.model_config.max_model_len)
        self._memory = Memory()

    def load_model(self, *_: Any, **__: Any) -> None:
        """There is no model to load."""

    def propose(
        self,
        sampled_token_ids: Sequence[Sequence[int]],
        num_tokens_no_spec: NDArray[np.int32],
        token_ids_cpu: Tokens,
        slot_mappings: Any = None,
    ) -> list[list[int]]:
        """Guesses for each request of a batch.

        Args:
            sampled_token_ids: The tokens that each has just written; none while its prompt is being read.
            num_tokens_no_spec: [requests] Tokens of prompt and answer so far.
            token_ids_cpu: [requests, context] These tokens.
            slot_mappings: Not needed here.
        """
        most = min(self._guesses, _AT_ONCE // max(1, sum(map(bool, sampled_token_ids))))
        rows = [(token_ids_cpu[row, : num_tokens_no_spec[row]], len(new)) for row, new in enumerate(sampled_token_ids)]
        return [self._draft(text, new, most) if new else [] for text, new in rows]

    def _draft(self, text: Tokens, written: int, most: int) -> list[int]:
        tokens: list[int] = text[-(LONGEST + written) :].tolist()
        self._memory.learn(tokens, written)
        tokens = tokens[-LONGEST:]
        guesses: list[int] = []
        while len(guesses) < min(most, self._context - len(text) - 1):
            (length, own), (known, learnt) = copied(text, tokens), self._memory.after(tokens)
            guess = own if length >= known else learnt
            if guess is None:
                break
            guesses.append(guess)
            tokens = [*tokens[1:], guess] if len(tokens) == LONGEST else [*tokens, guess]
        return guesses


LOOKUP: Mapping[str, Any] = {
    "method": "custom_class",
    "model": f"{Drafter.__module__}.{Drafter.__qualname__}",
    "num_speculative_tokens": 16,
}
"""vLLM's `--speculative-config`: tokens that followed the last few before are tried as the next, all of them in one
pass of the model."""
