"""What is tried as the next tokens; that vLLM takes it is shown in `tests/serve/test_vllm.py`."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from agentkit.serve.drafter import Drafter, Memory, copied

CONTEXT = 64


def drafter(guesses: int = 6) -> Drafter:
    told = SimpleNamespace(
        speculative_config=SimpleNamespace(num_speculative_tokens=guesses),
        model_config=SimpleNamespace(max_model_len=CONTEXT),
    )
    return Drafter(told)


def propose(it: Drafter, *requests: tuple[Sequence[int], int]) -> list[list[int]]:
    """Each request: its tokens so far, and how many of them it has just written."""
    table = np.full((len(requests) + 3, CONTEXT), -1, dtype=np.int32)  # as vLLM's, with room for more
    lengths = np.zeros(len(requests) + 3, dtype=np.int32)
    for row, (tokens, _) in enumerate(requests):
        table[row, : len(tokens)] = tokens
        lengths[row] = len(tokens)
    return it.propose([list(tokens[len(tokens) - new :]) for tokens, new in requests], lengths, table)


def text(*tokens: int) -> np.ndarray:
    return np.array(tokens, dtype=np.int32)


@pytest.mark.parametrize(
    ("tokens", "last", "expected"),
    [
        ((1, 2, 3, 4, 1, 2), (1, 2), (2, 3)),
        ((1, 2, 3, 9, 2, 4, 1, 2), (1, 2), (2, 3)),  # where two are the same, not one that is nearer
        ((1, 2, 3, 1, 2, 4, 1, 2), (1, 2), (2, 4)),  # of equal places the last
        ((7, 1, 2, 3, 1, 2, 4, 7, 1, 2), (7, 1, 2), (3, 3)),  # where more are the same
        ((5, 2, 3, 1, 2), (1, 2), (0, None)),  # one alone is too little
        ((1, 2), (1, 2), (0, None)),
    ],
)
def test_what_followed_the_same_tokens_in_the_text(
    tokens: Sequence[int], last: Sequence[int], expected: tuple[int, int | None]
) -> None:
    assert copied(text(*tokens), last) == expected


def test_memory_knows_the_longest_beginning_and_the_newest_token() -> None:
    memory = Memory()
    memory.learn([1, 2, 3, 4, 5], 3)
    assert memory.after([1, 2]) == (2, 3)
    assert memory.after([9, 1, 2, 3, 4]) == (4, 5)
    assert memory.after([9, 9, 3, 4]) == (2, 5)
    assert memory.after([4, 5]) == memory.after([]) == (0, None)
    memory.learn([3, 4, 6], 1)
    assert memory.after([3, 4]) == (2, 6)


def test_memory_forgets_what_is_oldest() -> None:
    memory = Memory(most=3)
    memory.learn(list(range(10, 20)), 1)  # three beginnings
    assert memory.after([17, 18]) == (2, 19)
    memory.learn([1, 2, 3], 1)
    assert memory.after(list(range(11, 19))) == (4, 19), "the longest was put in first"
    assert memory.after([1, 2]) == (2, 3)


def test_a_call_is_guessed_from_an_earlier_answer_and_its_value_from_the_prompt() -> None:
    begin, value, other, end = [1, 2, 3, 4, 5], [70, 71, 72], [80, 81, 82], [6, 7, 8]
    it = drafter(guesses=12)
    propose(it, ([50, *value, 51, 9, *begin, *value, *end], 11))
    asked = [52, *other, 53, 9]
    (first,) = propose(it, ([*asked, *begin[:1]], 1))
    assert first[:4] == begin[1:], "a begun call goes on like the one before"
    (second,) = propose(it, ([*asked, *begin, *other[:2]], 6))
    assert second[0] == other[2], "what the user said, and not what another did"
    (third,) = propose(it, ([*asked, *begin, *value, *end[:2]], 7))
    assert third[:1] == end[2:]


def test_requests_of_a_batch_learn_from_each_other_and_those_that_are_being_read_are_left_out() -> None:
    found = propose(drafter(), ([1, 2, 3, 4, 5, 6], 4), ([9, 9], 0), ([8, 1, 2, 3], 1))
    assert found[1] == []
    assert found[2] == [4, 5, 6]


def test_there_are_no_more_guesses_than_asked_for_or_than_fit() -> None:
    again = [1, 2, 3, 4] * 4
    assert propose(drafter(guesses=3), (again, 1)) == [[1, 2, 3]]
    assert propose(drafter(guesses=6), ([1, 2] * ((CONTEXT - 2) // 2), 1)) == [[1]], "and one that the model writes"
    assert propose(drafter(guesses=6), ([1, 2] * (CONTEXT // 2), 1)) == [[]]


def test_many_requests_share_the_guesses_of_a_pass() -> None:
    again = ([1, 2, 3, 4] * 8, 1)
    assert [len(it) for it in propose(drafter(guesses=16), *[again] * 4)] == [16] * 4
    assert [len(it) for it in propose(drafter(guesses=16), *[again] * 16, ([7, 7], 0))] == [4] * 16 + [0]
