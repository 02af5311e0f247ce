"""Whether a canary is worse than the live traffic beside it. See README.md beside this file."""

from agentkit.serve.canary.judge import judge
from agentkit.serve.canary.judgement import CanaryVerdict, CriterionFigures, Judgement, Side
from agentkit.serve.canary.look import look
from agentkit.serve.canary.watched import Watched, traffic, watched

__all__ = [
    "CanaryVerdict",
    "CriterionFigures",
    "Judgement",
    "Side",
    "Watched",
    "judge",
    "look",
    "traffic",
    "watched",
]
