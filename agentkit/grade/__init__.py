"""Grade: every step of a turn, and the outcome, each with the check that decided and the reason in words."""

from agentkit.grade.graded import grade_step, graded
from agentkit.grade.judge import Judge, JudgeVerdict
from agentkit.grade.judging import current_judge, use_judge
from agentkit.grade.match import MISSING, matches, mismatch
from agentkit.grade.pairwise import preference
from agentkit.grade.reward import Part, RewardStep, reward
from agentkit.grade.rubric import Rubric, Scored, Unsteady, load_rubric, same_twice
from agentkit.grade.sequel import Sequel, counterfactual, use_sequel
from agentkit.grade.steps import TurnRecord, grade_outcome, grade_turn, lookup, not_reached
from agentkit.grade.struck import grade_made_again

__all__ = [
    "MISSING",
    "Judge",
    "JudgeVerdict",
    "Part",
    "RewardStep",
    "Rubric",
    "Scored",
    "Sequel",
    "TurnRecord",
    "Unsteady",
    "counterfactual",
    "current_judge",
    "grade_made_again",
    "grade_outcome",
    "grade_step",
    "grade_turn",
    "graded",
    "load_rubric",
    "lookup",
    "matches",
    "mismatch",
    "not_reached",
    "preference",
    "reward",
    "same_twice",
    "use_judge",
    "use_sequel",
]
