"""The benchmark's conversation as a scenario: every receipt number is a drawn variable, every turn has two steps.

Each generator can draw but one value, so that agentkit pays for drawing, for templates and for grading as in any
suite, and still plays word for word what the other players play.
"""

from players import conversation as talk

from agentkit.scenario import Call, Check, Equals, FromPattern, Reply, Scenario, Step, Turn

_NAMES = [f"receipt_{index}" for index in range(len(talk.TURNS))]


def _turn(index: int, turn: talk.Turn) -> Turn:
    number = f"{{{{ {_NAMES[index]} }}}}"
    call = Call(name=talk.TOOL_NAME, arguments={talk.TOOL_ARGUMENT: Equals(equals=number)})
    return Turn(
        id=f"turn_{index}",
        user=turn.user.replace(turn.sale_id, number),
        order="strict",
        steps=[
            Step(id=f"look_up_{index}", call=call),
            Step(id=f"answer_{index}", reply=Reply(mentions=[number], not_mentions=["cannot"])),
        ],
    )


SCENARIOS = [
    Scenario(
        id="receipts",
        title="Five questions about five receipts",
        variables={name: FromPattern(pattern=turn.sale_id) for name, turn in zip(_NAMES, talk.TURNS, strict=True)},
        world={"looked_up": []},
        turns=[_turn(index, turn) for index, turn in enumerate(talk.TURNS)],
        outcome=[
            Check(id="all_looked_up", state={"looked_up": Equals(equals=[f"{{{{ {name} }}}}" for name in _NAMES])}),
            Check(id="last_answered", reply=Reply(mentions=[talk.TURNS[-1].reply])),
        ],
    )
]
