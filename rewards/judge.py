"""What a model thinks of the answer: by a question, and against a right answer.

The judge is the model in `[tool.agentkit.judge]`, or the one that whoever scores lends (`agentkit.grade.use_judge`). It
must quote what its verdict rests on; a verdict that quotes what nobody said is none. Then the part is left out, and
counted (`Scored.unjudged`): look at the share of those before you trust a training run.
"""

from agentkit.grade import RewardStep, current_judge, preference, reward
from agentkit.records import Message

QUESTION = "Does the assistant's last answer help the user with what they asked, clearly and without detours?"
CRITERION = "Which answer helps the user more with what they asked, says nothing false, and wastes no words?"


@reward(points=10, seconds=180)
async def meets_the_rubric(step: RewardStep) -> float | None:
    """The judge says yes to the step's own rubric, or to QUESTION where it has none."""
    if not step.reply.strip():
        return 0
    own = step.expected.reply.judge if step.expected is not None and step.expected.reply is not None else None
    answer = Message("assistant", step.reply, tool_calls=step.calls)
    verdict = await current_judge().verdict(own or QUESTION, (*step.prompt, answer))
    return verdict.passed


@reward(points=10, seconds=180)
async def as_good_as_golden(step: RewardStep) -> float | None:
    """Against the golden answer, asked in both orders: 1 where it is preferred, 0.5 a tie, 0 where the other is."""
    if step.golden is None:
        return None
    if not step.reply.strip():
        return 0
    return await preference(current_judge(), CRITERION, step.prompt, step.reply, step.golden)
