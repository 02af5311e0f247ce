"""Is the completion short? Use it beside rewards for what is right, never alone: silence is cheapest."""

from agentkit.grade import RewardStep, reward

FREE = 60
"""Tokens that cost nothing."""
LIMIT = 300
"""Tokens from which on nothing is left."""


@reward(points=5)
def few_tokens(step: RewardStep) -> float | None:
    """1 up to FREE tokens, then evenly down to 0 at LIMIT. Says nothing where nobody counted the tokens."""
    if step.tokens is None:
        return None
    return min(1.0, max(0.0, (LIMIT - step.tokens) / (LIMIT - FREE)))


@reward(points=3)
def no_longer_than_golden(step: RewardStep) -> float | None:
    """1 up to the length of the golden completion, then down to 0 at three times as much, counted in characters."""
    if not step.golden:
        return None
    return min(1.0, max(0.0, (3 - len(step.completion) / len(step.golden)) / 2))
