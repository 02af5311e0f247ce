"""Whether a server that says it serves an adapter does: its numbers against PEFT's.

A server that finds no module for an adapter's weights serves the base model under the adapter's name and says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentkit.errors import AdapterError
from agentkit.serve.fleet.talk import Talk
from agentkit.serve.probe import Probe

NOISE = 0.15
"""Nats a token by which a server's mean may differ from PEFT's: bfloat16 against float32. vLLM's CPU build differs by
0.03 to 0.05 at the embedded model, and by 0.001 to 0.006 where an adapter has made it sure of its words."""
SHARE = (0.7, 1.3)
"""How much of what the adapter changes must be found in the answers: 0 is none of it, 1 all, 2 all of it twice."""
MERGED_SHARE = (0.3, 1.5)
"""The same where the adapter is in the weights, whose precision may have rounded small changes away. What is in the
files was held against the adapter when they were made."""
LEAST = 0.02
"""Nats a token that an adapter must change at its probe; less cannot be told from rounding."""


@dataclass(frozen=True, slots=True)
class Attested:
    """What was found; all in nats a token but `share`."""

    change: float
    """What the adapter changes, by PEFT."""
    share: float
    """How much of that the server's answers hold."""
    difference: float
    """From PEFT's numbers with the adapter."""
    base_difference: float | None
    """The same of the base model; None where this server does not serve it."""


async def attest(talk: Talk, model: str, probe: Probe, base: str | None) -> Attested:
    """Hold what the server says as `model` against the adapter's probe.

    Args:
        base: what the server calls the base model; None where it serves none, its weights being merged.

    Raises:
        AdapterError: it does not serve that adapter; says what it seems to serve instead.
        EngineError: it could not be asked.
    """
    served: list[float] = []
    plain: list[float] = []
    for prompt in probe.prompts:
        served += await talk.log_probabilities(model, prompt.tokens, prompt.start)
        if base is not None:
            plain += await talk.log_probabilities(base, prompt.tokens, prompt.start)
    found = compare(probe, served, plain if base is not None else None)
    if reason := refusal(found, same=base is not None and served == plain):
        raise AdapterError(f"adapter {model} on {talk.endpoint.base_url}: {reason}")
    return found


def compare(probe: Probe, served: Sequence[float], plain: Sequence[float] | None) -> Attested:
    """The server's numbers against PEFT's; without the served base model's, PEFT's stand for them."""
    adapter = [number for prompt in probe.prompts for number in prompt.adapter]
    base = [number for prompt in probe.prompts for number in prompt.base]
    expected = [mine - other for mine, other in zip(adapter, base, strict=True)]
    found = [mine - other for mine, other in zip(served, base if plain is None else plain, strict=True)]
    squares = sum(it * it for it in expected)
    return Attested(
        change=sum(map(abs, expected)) / len(expected),
        share=sum(one * two for one, two in zip(expected, found, strict=True)) / squares if squares else 0.0,
        difference=_apart(served, adapter),
        base_difference=None if plain is None else _apart(plain, base),
    )


def refusal(found: Attested, *, same: bool = False) -> str:
    """Why the server must not be trusted with the adapter; '' where it may.

    `same`: what it says with the adapter is to the last digit what it says without.
    """
    if found.change < LEAST:
        return (
            f"by PEFT it changes its probe by {found.change:.3f} nats a token, expected {LEAST} or more: whether it is "
            "served cannot be told"
        )
    if same:
        return "the server answers exactly as the base model does: it applies nothing of it"
    low, high = MERGED_SHARE if found.base_difference is None else SHARE
    if not low <= found.share <= high:
        return (
            f"{found.share + 0.0:.0%} of what it changes is found in the server's answers, expected about 100%: other "
            "weights are served under its name"
        )
    if found.base_difference is not None and found.base_difference > _allowed(found):
        return (
            f"the server's base model differs by {found.base_difference:.3f} nats a token from the one that the "
            f"adapter was trained on, expected at most {_allowed(found):.3f}"
        )
    if found.difference > _allowed(found):
        return (
            f"the server's answers differ by {found.difference:.3f} nats a token from PEFT's, expected at most "
            f"{_allowed(found):.3f}"
        )
    return ""


def _allowed(found: Attested) -> float:
    """Rounding grows with what is changed: tokens that are unlikely to one of the models are the least exact."""
    return max(NOISE, 0.1 * found.change)


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(abs(mine - its) for mine, its in zip(one, other, strict=True)) / len(one)
