"""What a server's numbers say of the adapter that it is to serve."""

from __future__ import annotations

import pytest

from agentkit.serve.fleet.attestation import compare, refusal
from agentkit.serve.probe import Probe

ADAPTER, BASE = (-0.1, -0.2, -0.3), (-2.0, -1.2, -0.3)
PROBE = Probe.model_validate(
    {"weights": "0" * 64, "prompts": [{"tokens": [1, 2, 3, 4], "start": 1, "adapter": ADAPTER, "base": BASE}]}
)


def reason(served: tuple[float, ...], plain: tuple[float, ...] | None = BASE) -> str:
    return refusal(compare(PROBE, served, plain), same=served == plain)


def test_the_numbers_of_peft_are_all_of_it() -> None:
    found = compare(PROBE, ADAPTER, BASE)
    assert (found.change, found.share) == (pytest.approx(2.9 / 3), pytest.approx(1))
    assert (found.difference, found.base_difference) == (0, 0)
    assert reason(ADAPTER) == ""


def test_rounding_is_borne_with() -> None:
    assert reason((-0.15, -0.22, -0.28), (-2.1, -1.25, -0.35)) == ""


def test_the_base_model_under_the_adapter_s_name() -> None:
    assert "answers exactly as the base model does" in reason(BASE)
    assert "1% of what it changes" in reason((-1.98, -1.19, -0.3))


def test_another_adapter_under_its_name() -> None:
    assert "of what it changes is found" in reason((-2.5, -1.9, -1.3))


def test_more_of_it_than_there_is() -> None:
    twice = tuple(2 * mine - other for mine, other in zip(ADAPTER, BASE, strict=True))
    assert "200% of what it changes" in reason(twice)


def test_another_base_model() -> None:
    other = tuple(number - 0.5 for number in BASE)
    assert "the server's base model differs by 0.500 nats" in reason(tuple(it - 0.5 for it in ADAPTER), other)


def test_words_that_the_adapter_does_not_touch_count_too() -> None:
    assert "differ by 0.500 nats a token from PEFT's" in reason((*ADAPTER[:2], -1.8))


def test_merged_weights_may_have_lost_some_of_it_and_not_all() -> None:
    some = tuple(other + 0.9 * (mine - other) for mine, other in zip(ADAPTER, BASE, strict=True))
    assert reason(some, None) == ""
    assert "-0%" not in reason(BASE, None)
    assert "0% of what it changes" in reason(BASE, None)


def test_a_change_too_small_to_be_told() -> None:
    small = PROBE.model_copy(update={"prompts": (PROBE.prompts[0].model_copy(update={"adapter": BASE}),)})
    assert "cannot be told" in refusal(compare(small, BASE, BASE))
