"""Does the model think before it speaks, long enough and not in circles?

These say nothing of whether a thought is right: use them beside rewards that do, and with few points.
"""

from agentkit.grade import RewardStep, reward

ENOUGH = 15
"""Words from which on reasoning counts in full."""
TOO_MANY = 200
"""Words beyond which it loses; at twice as many, nothing is left."""


@reward(points=2)
def thinks_first(step: RewardStep) -> float:
    """Reasoning is shown, and something follows it."""
    return bool(_words(step)) and bool(step.calls or step.reply.strip())


@reward(points=2)
def right_length(step: RewardStep) -> float:
    """Between ENOUGH and TOO_MANY words; outside, less by how far it is off."""
    words = len(_words(step))
    if words <= TOO_MANY:
        return min(1.0, words / ENOUGH)
    return max(0.0, 2 - words / TOO_MANY)


@reward(points=2)
def no_circles(step: RewardStep) -> float | None:
    """The share of its runs of four words that are new: a model that loops says the same again and again."""
    words = _words(step)
    runs = [tuple(words[start : start + 4]) for start in range(len(words) - 3)]
    return len(set(runs)) / len(runs) if runs else None


def _words(step: RewardStep) -> list[str]:
    return (step.reasoning or "").casefold().split()
