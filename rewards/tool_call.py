"""Does the completion call the right tool with the right arguments?

For steps that expect a `call`, or that forbid calls (`no_call`). A completion makes one call: one that tries several,
in the hope that one is right, earns nothing for tool and arguments.
"""

from agentkit.grade import MISSING, RewardStep, grade_step, matches, reward
from agentkit.scenario.detours import with_defaults


@reward(points=5)
def well_formed(step: RewardStep) -> float | None:
    """One call, of a tool that exists, with a JSON object as its arguments; where calls are forbidden, none."""
    if step.expected is None or (step.expected.call is None and step.expected.no_call is None):
        return None
    if step.expected.call is None and not step.calls:
        return bool(step.reply.strip())  # silence is no way to call nothing
    return all(call.arguments is not None and call.name in step.tools for call in step.calls) and len(step.calls) == 1


@reward(points=10)
async def right_tool(step: RewardStep) -> float | None:
    """The tool that is expected, and only that; where calls are forbidden, none of them."""
    if step.expected is None:
        return None
    if step.expected.no_call is not None:
        grade = await grade_step(step)
        return grade is not None and grade.score == 1
    if step.expected.call is None:
        return None
    return [call.name for call in step.calls] == [step.expected.call.name]


@reward(points=20)
def right_arguments(step: RewardStep) -> float | None:
    """The share of the arguments that are right: of those expected, and of those that were made up besides.

    Part of the credit, so that a model that has most of them right learns the rest; none for a wrong tool, whose
    arguments may be right by accident. An argument that stands at the tool's default counts as left out.
    """
    expected = None if step.expected is None else step.expected.call
    if expected is None:
        return None
    call = step.call
    if call is None or len(step.calls) > 1 or call.name != expected.name or call.arguments is None:
        return 0
    given = with_defaults(step.tools.get(call.name), call.arguments)
    defaults = with_defaults(step.tools.get(call.name), {})
    right = sum(matches(matcher, given.get(name, MISSING)) for name, matcher in expected.arguments.items())
    extra = 0
    if expected.match == "exact":
        extra = sum(
            name not in expected.arguments and (name not in defaults or value != defaults[name])
            for name, value in call.arguments.items()
        )
    possible = len(expected.arguments) + extra
    return right / possible if possible else 1
