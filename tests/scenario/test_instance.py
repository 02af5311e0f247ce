"""Instances: what each variant plays, and that nothing but the seed decides it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import SuiteError, UsageError
from agentkit.scenario import (
    Call,
    Check,
    Choice,
    Equals,
    Instance,
    Loaded,
    Number,
    Pattern,
    Reply,
    Scenario,
    Step,
    Turn,
)
from agentkit.scenario.drawing import compile_drawing
from agentkit.scenario.instance import DrawError, compile_plan
from tests.scenario.scenario_files import REFUND, load_refund

SEEDS = st.integers(0, 2**63)


@pytest.fixture(scope="module")
def refund(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load_refund(tmp_path_factory.mktemp("suite"))


def step(instance: Instance, id: str) -> Step:
    return next(step for turn in instance.turns for step in turn.steps if step.id == id)


def test_the_golden_path_is_filled_in(refund: Loaded) -> None:
    instance = refund.draw("golden", 7)
    values = instance.variables
    assert [turn.id for turn in instance.turns] == ["ask", "agree", "bye"]
    assert [turn.detour for turn in instance.turns] == [None, None, None]
    assert [turn.order for turn in instance.turns] == ["subset", "strict", "subset"]
    assert values["sale_id"] in instance.turns[0].user
    assert instance.world == {
        "sales": {values["sale_id"]: {key: values[key] for key in ("price", "customer", "until")}},
    }
    pay = step(instance, "pay").call
    assert pay == Call(
        name="refund",
        arguments={
            "sale_id": Equals(equals=values["sale_id"]),
            "amount": Number(number=values["price"], tolerance=0.01),
        },
    )
    assert isinstance(pay.arguments["amount"], Number)
    assert isinstance(pay.arguments["amount"].number, float)
    assert step(instance, "tell").reply == Reply(mentions=[values["price"]], asks=True)
    assert instance.outcome[0].state == {"refunds/0/amount": Equals(equals=values["price"])}
    assert instance.persona.description == f"{values['customer']}, in a hurry"
    assert instance.void == ()


def test_a_detour_that_rejoins_where_it_left(refund: Loaded) -> None:
    instance = refund.draw("poetry", 7)
    assert [(turn.id, turn.detour) for turn in instance.turns] == [
        ("ask", None),
        ("poem", "poetry"),
        ("agree", None),
        ("bye", None),
    ]
    assert step(instance, "confirm").reply == Reply(mentions=["poem"])
    assert [(void.id, reason) for void, reason in instance.void] == [
        ("quiet", "no longer due after the detour 'poetry'")
    ]
    assert instance.turns[-1].steps == ()
    assert instance.outcome == refund.draw("golden", 7).outcome


def test_a_detour_that_skips_turns(refund: Loaded) -> None:
    instance = refund.draw("gives_up", 7)
    assert [turn.id for turn in instance.turns] == ["ask", "never", "bye"]
    assert [(void.id, reason) for void, reason in instance.void] == [
        ("pay", "the detour 'gives_up' skips the turn 'agree'"),
        ("confirm", "the detour 'gives_up' skips the turn 'agree'"),
    ]
    assert instance.void[0][0] == step(refund.draw("golden", 7), "pay")
    assert [check.id for check in instance.outcome] == ["nothing_paid"]


def test_a_detour_at_the_very_beginning_that_ends_it_all(refund: Loaded) -> None:
    instance = refund.draw("walks_out", 7)
    assert [turn.id for turn in instance.turns] == ["out"]
    assert {void.id for void, _ in instance.void} == {"look", "tell", "pay", "confirm", "quiet"}


@given(seed=SEEDS)
def test_every_step_is_played_or_void_in_every_variant(refund: Loaded, seed: int) -> None:
    golden = {step.id for turn in refund.draw("golden", seed).turns for step in turn.steps}
    for variant in refund.variants:
        instance = refund.draw(variant, seed)
        played = {step.id for turn in instance.turns if turn.detour is None for step in turn.steps}
        void = {step.id for step, _ in instance.void}
        assert played | void == golden
        assert not played & void


@given(seed=SEEDS)
def test_the_seed_decides_alone(refund: Loaded, seed: int) -> None:
    drawn = {variant: refund.draw(variant, seed) for variant in refund.variants}
    assert drawn == {variant: refund.draw(variant, seed) for variant in refund.variants}
    assert len({json.dumps(instance.variables, sort_keys=True) for instance in drawn.values()}) == 1
    wordings: dict[str, set[str]] = {}
    for instance in drawn.values():
        for turn in instance.turns:
            wordings.setdefault(turn.id, set()).add(turn.user)
    assert all(len(said) == 1 for said in wordings.values())


def test_every_wording_is_picked_sometimes(refund: Loaded) -> None:
    openings = {re.sub(r"S-\d+|\d\d \w+ \d{4}", "…", refund.draw("golden", seed).turns[0].user) for seed in range(100)}
    assert openings == {"I want to return ….", "Please refund …, bought ….", "… goes back."}


def test_turns_pick_their_wordings_apart_from_each_other() -> None:
    check = Check(id="c", no_call=["f"])
    turns = [Turn(id=name, user=["0", "1"], steps=[Step(id=f"s_{name}", no_call="any")]) for name in "abc"]
    plan = compile_plan(Scenario(title="t", turns=turns, outcome=[check]), compile_drawing({}, (), "random"))
    said = {"".join(turn.user for turn in plan.draw("golden", seed).turns) for seed in range(200)}
    assert len(said) == 8


def test_an_unknown_variant(refund: Loaded) -> None:
    with pytest.raises(UsageError, match=re.escape("no variant 'poetr' (did you mean 'poetry'?)")):
        refund.draw("poetr", 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
HOSTILE = st.sampled_from(
    ["{{ 7*7 }}", "{% for x in y %}", "{# c #}", "{'equals': 1}", "(((", "\\", "a/b", "]]>", "\x00"]
)


def plan_for(value: Any) -> Instance:
    """An instance in which one drawn value stands in every place that takes one."""
    scenario = Scenario(
        id="s",
        title="t",
        variables={"x": Choice(choice=[value])},
        world={"held": "{{ x }}", "quoted": "<{{ x }}>"},
        turns=[
            Turn(
                id="a",
                user="say {{ x }}",
                steps=[
                    Step(id="call", call=Call.model_validate({"name": "f", "arguments": {"x": "{{ x }}"}})),
                    Step(id="match", reply=Reply(pattern="^{{ x }}$")),
                    Step(id="one_of", state={"p": {"one_of": ["{{ x }}"]}}),  # type: ignore[dict-item]
                    Step(id="pattern", state={"p": {"pattern": "[a-c]{{ x }}"}}),  # type: ignore[dict-item]
                ],
            )
        ],
        outcome=[Check(id="held", state={"held": "{{ x }}"})],  # type: ignore[dict-item]
    )
    return compile_plan(scenario, compile_drawing(scenario.variables, (), "random")).draw("golden", 1)


@given(JSON | HOSTILE)
def test_what_is_drawn_is_expected_and_never_evaluated(value: Any) -> None:
    """Neither as a template, nor as an operator, nor as a regular expression."""
    instance = plan_for(value)
    assert instance.world["held"] == value
    expected = step(instance, "call").call
    assert expected is not None
    assert expected.arguments == {"x": Equals(equals=value)}
    assert instance.outcome[0].state == {"held": Equals(equals=value)}
    text = instance.turns[0].user.removeprefix("say ")
    assert instance.world["quoted"] == f"<{text}>"
    if isinstance(value, str):
        assert text == value
    reply = step(instance, "match").reply
    assert reply is not None
    assert reply.pattern is not None
    assert re.fullmatch(reply.pattern, text)
    pattern = (step(instance, "pattern").state or {})["p"]
    assert isinstance(pattern, Pattern)
    assert re.fullmatch(pattern.pattern, f"b{text}")


def test_an_operator_that_is_drawn_is_only_a_value() -> None:
    expected = step(plan_for({"pattern": ".*"}), "call").call
    assert expected is not None
    assert expected.arguments["x"] == Equals(equals={"pattern": ".*"})


@pytest.mark.parametrize("value", ["{{ 1 }}", "", "five", None, True, [1]])
def test_a_number_that_is_drawn_must_be_one(value: Any) -> None:
    number = Number(number="{{ x }}")
    scenario = Scenario(
        title="t",
        variables={"x": Choice(choice=[value])},
        turns=[Turn(id="a", user="b", steps=[Step(id="s", state={"p": number})])],
        outcome=[Check(id="c", no_call=["f"])],
    )
    plan = compile_plan(scenario, compile_drawing(scenario.variables, (), "random"))
    with pytest.raises(DrawError) as caught:
        plan.draw("golden", 1)
    assert caught.value.keys[:5] == ("turns", 0, "steps", 0, "state")


def test_a_row_that_does_not_fit_is_told_with_its_line(tmp_path: Path) -> None:
    """The first row passes when the scenario is loaded; the second is only met when it is drawn."""
    content = REFUND.replace("  price: {amount: [5, 80]}\n", "").replace(
        "persona:", "rows: {file: rows.jsonl, order: sequential}\npersona:"
    )
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "rows.jsonl").write_text('{"price": 5.5}\n{"price": "a lot"}\n{"price": 7}\n')
    loaded = load_refund(tmp_path, content)
    assert [loaded.draw("golden", seed).variables["price"] for seed in (0, 2, 3)] == [5.5, 7, 5.5]
    with pytest.raises(SuiteError) as caught:
        loaded.draw("golden", 1)
    (problem,) = caught.value.problems
    line = content.count("\n", 0, content.index('number: "{{ price }}"')) + 1
    assert (problem.file, problem.line) == (str(folder / "refund.yaml"), line)
    assert problem.field == "turns[1].steps[0].call.arguments.amount.number"
    assert "seed 1: with the drawn variables: a number is expected, found 'a lot'" in problem.message
