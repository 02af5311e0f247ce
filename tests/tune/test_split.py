from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from agentkit.errors import UsageError
from agentkit.scenario import Instance, Loaded, load
from agentkit.tune.compile import Compiled, CompileSettings, compile_prompts
from agentkit.tune.prompt import Prompt, Split
from agentkit.tune.regress import Mended, keep
from agentkit.tune.split import (
    Fresh,
    HeldOut,
    TurnWording,
    conversation_of,
    has_wording,
    leaks,
    turn_wording,
    values_of,
    words_of,
)
from agentkit.tune.target import Target, TargetStep
from tests.tune.compiled import REFUND, ROOT, a_run, chat_agent, compiled, suite, target

LOADED = {it.id: it for it in suite()}


def leaks_of(data: Compiled, **changed: object) -> list[str]:
    given = {
        "prompts": data.prompts,
        "held_out": data.held_out,
        "scenarios": LOADED,
        "values": data.values,
        "wordings": data.wordings,
    }
    return leaks(**{**given, **changed})  # type: ignore[arg-type]


def instance_of(it: HeldOut | Prompt) -> Instance:
    return LOADED[it.scenario].draw(it.variant, it.instance)


async def test_splits_share_no_instance_and_no_identifier() -> None:
    data = await compiled(settings=CompileSettings(train=8, validation=4, held_out=60, seed=1))
    train = "\n".join(words_of(it) for it in data.prompts if it.split is Split.TRAIN)
    seen = "\n".join(words_of(it) for it in data.prompts)
    assert len({it.instance for it in data.prompts}) == 12
    assert len({it.instance for it in data.held_out} - {it.instance for it in data.prompts}) == 60
    for conversation in data.held_out:
        variables = instance_of(conversation).variables
        assert not [name for name in ("sale", "last_four", "sku", "other_sku") if variables[name] in seen]
    for prompt in data.prompts:
        if prompt.split is Split.VALIDATION:
            assert not [name for name in ("sale", "last_four", "sku") if prompt.variables[name] in train]
    assert leaks_of(data) == []


async def test_held_out_conversations_are_spread_over_the_variants() -> None:
    data = await compiled()
    variants = [it.variant for it in data.held_out]
    assert {name: variants.count(name) for name in variants} == {"golden": 5, "cash_instead": 5}


async def test_a_wording_is_in_held_out_conversations_alone_where_there_are_three() -> None:
    data = await compiled(target("no_poem", ("french_poem",)), settings=CompileSettings(train=8, validation=4))
    (turn,) = data.wordings
    assert (turn.turn, turn.wordings) == ("recite", 3)
    assert turn.held_out in (0, 1, 2)
    assert not any(has_wording(LOADED[REFUND], instance_of(it), turn) for it in data.prompts)
    assert any(has_wording(LOADED[REFUND], instance_of(it), turn) for it in data.held_out)


async def test_two_wordings_are_too_few_and_that_is_said() -> None:
    (turn,) = (await compiled()).wordings
    assert turn.held_out is None
    assert str(turn) == "point_of_sale/refund: turn agree has 2 wordings, too few to hold one out"


def test_variables_that_take_few_values_are_told_from_identifiers() -> None:
    found = values_of(LOADED[REFUND], seed=0)
    assert found == values_of(LOADED[REFUND], seed=0)
    assert {"sale", "last_four", "sku"} <= set(found.telling)
    assert {"item", "price", "today"} <= set(found.repeating)
    assert found.identifiers({"sale": "S-12345", "last_four": "9876", "item": "silk tie"}) == {"S-12345", "9876"}


def test_fresh_instances_are_given_once_and_are_none_of_the_run() -> None:
    first = next(Fresh(4, ()))
    fresh = Fresh(4, (first,))
    found = [next(fresh) for _ in range(50)]
    assert len(set(found)) == 50
    assert first not in found


async def test_a_leak_is_told_whatever_split_it_crosses() -> None:
    data = await compiled(target("no_poem", ("french_poem",)))
    train = next(it for it in data.prompts if it.split is Split.TRAIN)
    validation = next(it for it in data.prompts if it.split is Split.VALIDATION)
    borrowed = HeldOut(scenario=train.scenario, variant=train.variant, instance=train.instance)
    assert f"instance {train.instance} is in both train and held-out" in leaks_of(data, held_out=[borrowed])
    renamed = validation.model_copy(update={"variables": {**validation.variables, "sale": train.variables["sale"]}})
    (found,) = leaks_of(data, prompts=[train, renamed], held_out=[])
    assert re.fullmatch(r".*@\d+ \(validation\): 'S-\d{5}' stands in a training prompt", found)
    (turn,) = data.wordings
    words = LOADED[REFUND].plan.worded("french_poem", "recite", turn.held_out or 0, train.variables)
    said = (*train.history[:-1], replace(train.history[-1], content=f"So: {words}"))
    reworded = train.model_copy(update={"history": said})
    (found,) = leaks_of(data, prompts=[reworded], held_out=[])
    assert found.endswith("(train): has the wording of turn recite that is held out")


async def test_more_than_the_scenario_can_give_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(loaded: object, instance: object, turn: object) -> bool:
        return True

    monkeypatch.setattr("agentkit.tune.compile.has_wording", always)
    with pytest.raises(
        UsageError, match=r"0 of 4 prompts for train could be made: .*wording that is held out \(80 times"
    ):
        await compiled()


def test_a_turn_that_a_detour_of_the_catalogue_brings_has_one_wording() -> None:
    found = turn_wording(LOADED[REFUND], "user:typos", "agree", 0)
    assert found == TurnWording(scenario=REFUND, turn="agree", wordings=2, held_out=None)
    assert turn_wording(LOADED[REFUND], "golden", "elsewhere", 0).wordings == 1


@pytest.fixture
def pinned(tmp_path: Path) -> list[Loaded]:
    """The refund, and one instance of it pinned down, as a job leaves a mended failure behind."""
    folder = shutil.copytree(ROOT / "scenarios" / "point_of_sale", tmp_path / "point_of_sale")
    loaded = load([folder / "refund.yaml"])
    return [*loaded, *load(keep([Mended(0, 1017, REFUND, "golden", "refund")], loaded).files)]


async def compiled_of(scenarios: list[Loaded], **counts: int) -> Compiled:
    chosen = Target("refund", "refund", tuple(TargetStep(it.id, "golden", "refund", 0, 1) for it in scenarios))
    settings = CompileSettings(guards=0, moments=0, **counts)
    return await compile_prompts(chosen, a_run(), (), scenarios, chat_agent(), settings)


async def test_a_conversation_that_was_trained_on_is_not_held_out_under_another_seed(pinned: list[Loaded]) -> None:
    data = await compiled_of(pinned, train=4, validation=2, held_out=10)
    trained = [it for it in data.prompts if it.scenario == pinned[1].id]
    assert [it.split for it in trained] == [Split.TRAIN], "it is one conversation"
    assert {it.scenario for it in data.held_out} == {REFUND}
    assert len(data.held_out) == 10


async def test_a_scenario_of_few_values_is_held_out_once_each_and_no_oftener(pinned: list[Loaded]) -> None:
    file = pinned[1].file
    document = yaml.safe_load(file.read_text())
    document["variables"]["item"] = {"choice": ["hat", "scarf", "belt", "cap", "vest", "tie"]}
    file.write_text(yaml.safe_dump(document))
    few = load([file])
    data = await compiled_of(few, train=2, validation=1, held_out=3)
    met = [conversation_of(few[0], it.variant, it.instance) for it in (*data.prompts, *data.held_out)]
    assert len(met) == len(set(met)) == 6
    with pytest.raises(UsageError, match=r"3 of 4 conversations to hold out: .*takes? too few values"):
        await compiled_of(few, train=2, validation=1, held_out=4)


async def test_conversations_of_two_splits_that_differ_in_their_seed_alone_are_leaks(pinned: list[Loaded]) -> None:
    data = await compiled_of(pinned, train=2, validation=1, held_out=2)
    known = {it.id: it for it in pinned}
    again = HeldOut(scenario=pinned[1].id, variant="golden", instance=1)
    original = HeldOut(scenario=REFUND, variant="golden", instance=1017)
    kept = next(it for it in data.prompts if it.scenario == pinned[1].id)
    elsewhere = kept.model_copy(update={"id": "elsewhere", "split": Split.VALIDATION, "instance": 2})

    def found(prompts: list[Prompt], held_out: list[HeldOut]) -> list[str]:
        return leaks(prompts, held_out, known, data.values, data.wordings)

    assert leaks(data.prompts, data.held_out, known, data.values, data.wordings) == []
    assert f"{again.scenario}/golden@1 (held-out): is the conversation of {kept.id}" in found([kept], [again])
    assert f"{REFUND}/golden@1017 (held-out): is the conversation of {kept.id}" in found([kept], [original])
    assert found([], [original, again]) == [
        f"{again.scenario}/golden@1 (held-out): is the conversation of {REFUND}/golden@1017, which is held out too"
    ]
    assert f"elsewhere (validation): is the conversation of {kept.id}, which is trained on" in found(
        [kept, elsewhere], []
    )
