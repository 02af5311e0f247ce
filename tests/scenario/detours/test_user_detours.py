"""Every user detour: it shows in the record, only there, and the more the higher its intensity."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import agentkit.scenario.detours
from agentkit.play.witness import witness
from agentkit.records import GOLDEN, Disturbance, Effect, Message, Status, Trial, Verdict
from agentkit.scenario import Instance, Loaded
from agentkit.scenario.detours import CATALOGUE, Disturbed, NotApplicable
from agentkit.scenario.detours.user.straying import Inserting, Straying
from agentkit.scenario.detours.user.words import afresh
from tests.scenario.detours.user_plays import (
    DOSES,
    KINDS,
    drawn,
    everywhere,
    played,
    shipped,
    strayed,
    told,
    with_place,
    words,
)

EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
SEEDS = range(3)


def sample(kind: type[Straying]) -> list[Loaded]:
    """Two scenarios that give it a place, others for each detour."""
    places = with_place(kind)
    start = KINDS.index(kind)
    return [places[(start + 5 * step) % len(places)] for step in range(2)]


def cells(kind: type[Straying]) -> list[tuple[str, str]]:
    return [(one.id, f"user:{kind.name}@{dose:g}") for one, dose in zip(sample(kind), (0.25, 1.0), strict=True)]


@pytest.fixture(scope="module")
def perfect() -> dict[tuple[str, str], Trial]:
    return _plays([cell for kind in KINDS for cell in cells(kind)], 1.0)


@pytest.fixture(scope="module")
def hopeless() -> dict[tuple[str, str], Trial]:
    return _plays([cells(kind)[-1] for kind in KINDS], 0.0)


@pytest.fixture(scope="module")
def golden() -> dict[str, Trial]:
    trials = asyncio.run(played([(one.id, GOLDEN) for one in shipped()]))
    return {trial.key.scenario: trial for trial in trials}


def _plays(which: list[tuple[str, str]], accuracy: float) -> dict[tuple[str, str], Trial]:
    trials = asyncio.run(played(which, accuracy))
    return {(trial.key.scenario, trial.key.variant): trial for trial in trials}


def asked(detour: Straying, loaded: Loaded, seed: int, messages: tuple[Message, ...]) -> Disturbance:
    return detour.witness(drawn(loaded.id, seed), messages, loaded.tools)


@EACH
def test_it_is_in_the_catalogue_and_says_what_it_is(kind: type[Straying]) -> None:
    assert CATALOGUE[f"user:{kind.name}"] is kind
    assert kind.summary
    assert kind.example
    assert kind.dose
    assert kind.expected
    assert kind.__doc__
    assert "expected" not in kind.model_fields


@EACH
def test_a_perfect_agent_passes_and_the_record_shows_it(
    kind: type[Straying], perfect: dict[tuple[str, str], Trial]
) -> None:
    for cell in cells(kind):
        trial = perfect[cell]
        assert trial.verdict is Verdict.SUCCESS, trial.reason
        assert {grade.status for grade in trial.steps} <= {Status.PASSED, Status.NOT_REACHED}
        (found,) = trial.disturbances
        assert found.effect is Effect.TRIGGERED, found.evidence
        assert found.disturbed == found.occasions > 0


@EACH
def test_a_hopeless_agent_fails_every_step_and_meets_the_same_user(
    kind: type[Straying], perfect: dict[tuple[str, str], Trial], hopeless: dict[tuple[str, str], Trial]
) -> None:
    cell = cells(kind)[-1]
    trial = hopeless[cell]
    assert trial.verdict is Verdict.FAILURE
    assert {grade.status for grade in trial.steps} <= {Status.FAILED, Status.NOT_REACHED}
    assert any(grade.step.startswith("user_") or not _adds_steps(kind) for grade in trial.steps)
    assert _said(trial) == _said(perfect[cell])


def _adds_steps(kind: type[Straying]) -> bool:
    return issubclass(kind, Inserting)


def _said(trial: Trial) -> list[str]:
    return [message.content for message in trial.messages if message.role == "user"]


@EACH
def test_the_witness_denies_it_where_it_was_suppressed(kind: type[Straying], golden: dict[str, Trial]) -> None:
    for loaded in with_place(kind):
        trial = golden[loaded.id]
        for dose in DOSES:
            found = asked(kind(intensity=dose), loaded, trial.key.instance, trial.messages)
            assert found.effect is Effect.SUPPRESSED, found.evidence
            assert found.disturbed == 0 < found.occasions


@EACH
def test_a_conversation_that_ended_before_never_gave_occasion(
    kind: type[Straying], perfect: dict[tuple[str, str], Trial]
) -> None:
    for loaded, cell in zip(sample(kind), cells(kind), strict=True):
        trial, detour = perfect[cell], kind(intensity=float(cell[1].partition("@")[2]))
        undisturbed = drawn(loaded.id, trial.key.instance)
        strayed_ = detour.apply(undisturbed, loaded.tools)
        first = next(index for index, turn in enumerate(strayed_.turns) if turn.detour)
        cut = tuple(message for message in trial.messages if message.turn < first)
        disturbed = Disturbed(strayed_, undisturbed, (detour,))
        (found,) = witness(disturbed, cut, loaded.tools, cut=True).disturbances
        assert found.effect is Effect.NOT_TRIGGERED


@EACH
def test_a_harness_that_drops_one_of_several_turns_is_caught(
    kind: type[Straying], perfect: dict[tuple[str, str], Trial]
) -> None:
    loaded, cell = sample(kind)[-1], cells(kind)[-1]
    trial = perfect[cell]
    undisturbed = drawn(loaded.id, trial.key.instance)
    own = [turn for turn in kind().apply(undisturbed, loaded.tools).turns if turn.detour]
    if len(own) > 1:
        spoken = {turn.id: turn.user for turn in undisturbed.turns}
        messages = tuple(
            Message("user", spoken.get(own[0].id, "Hm."), m.turn) if m.content == own[0].user else m
            for m in trial.messages
        )
        found = asked(kind(), loaded, trial.key.instance, messages)
        assert found.effect is Effect.SUPPRESSED
        assert own[0].user in found.evidence or repr(own[0].user) in found.evidence


@EACH
def test_at_intensity_0_nothing_happens(kind: type[Straying], golden: dict[str, Trial]) -> None:
    for loaded in with_place(kind):
        detour = kind(intensity=0)
        assert strayed(detour, loaded, 1) == drawn(loaded.id, 1)
        trial = golden[loaded.id]
        assert asked(detour, loaded, trial.key.instance, trial.messages).effect is Effect.NOT_TRIGGERED


def _bare(texts: list[str], undisturbed: Instance) -> list[str]:
    """The words of these texts, golden ones without the small words that fall away where others come before them."""
    bare = {golden: afresh(golden) for golden in words(undisturbed)}
    for golden, text in bare.items():
        texts = [said.replace(golden, text) for said in texts]
    return " ".join(afresh(said) for said in texts).split()


def _added(detour: Straying, loaded: Loaded, seed: int) -> Counter[str]:
    """The words that the user says because of the detour, and the turns that it saves them."""
    undisturbed, disturbed = drawn(loaded.id, seed), strayed(detour, loaded, seed)
    assert disturbed is not None
    said = Counter(_bare(words(disturbed), undisturbed)) - Counter(_bare(words(undisturbed), undisturbed))
    merged = {turn.id for turn in undisturbed.turns} - {turn.id for turn in disturbed.turns}
    return said + Counter(
        f"one turn with {id}" for id in merged if not disturbed.void or "one" in disturbed.void[-1][1]
    )


@EACH
def test_what_happens_at_a_low_intensity_happens_at_a_higher_one_too_and_more(kind: type[Straying]) -> None:
    totals = dict.fromkeys((0.0, 0.25, 0.5, 0.75, 1.0), 0)
    for loaded in with_place(kind):
        for seed in SEEDS:
            before: Counter[str] = Counter()
            for dose in totals:
                added = _added(kind(intensity=dose), loaded, seed)
                assert not before - added, f"{loaded.id}, seed {seed}, {dose}"
                totals[dose] += added.total()
                before = added
    assert totals[0.0] == 0
    assert totals[0.0] < totals[0.25] < totals[1.0]
    assert totals[0.25] <= totals[0.5] <= totals[1.0]


@pytest.mark.slow
def test_two_processes_hear_the_same() -> None:
    root = Path(__file__).parents[3]
    code = "from tests.scenario.detours.user_plays import told; print(told())"
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(root)}
    other = subprocess.run([sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == told()


@EACH
def test_two_seeds_do_not_always_say_the_same(kind: type[Straying]) -> None:
    loaded = with_place(kind)[0]
    marked = set()
    for seed in range(12):
        instance = strayed(kind(), loaded, seed)
        assert instance is not None
        marked.add("\n".join(turn.user for turn in instance.turns if turn.detour))
    assert len(marked) > 3


@EACH
def test_the_place_can_be_named(kind: type[Straying]) -> None:
    for loaded in sample(kind):
        undisturbed, taken = drawn(loaded.id, 0), []
        for turn in undisturbed.turns:
            instance = strayed(kind(at=turn.id), loaded, 0)
            if instance is not None:
                assert _near(instance, undisturbed, turn.id)
                taken.append(turn.id)
        assert taken
        with pytest.raises(NotApplicable, match=f"no turn '{taken[0]}x' \\(did you mean '{taken[0]}'"):
            kind(at=f"{taken[0]}x").apply(undisturbed, loaded.tools)


def _near(instance: Instance, undisturbed: Instance, at: str) -> bool:
    """Whether nothing but the named turn, what comes right before or after it, or what it ends is disturbed."""
    kept = {turn.id: turn for turn in undisturbed.turns}
    ids = [turn.id for turn in instance.turns if turn.detour is None or turn.id in kept]
    untouched = [turn for turn in instance.turns if turn.id in kept and turn.id != at]
    return all(turn == kept[turn.id] for turn in untouched) and ids == [id for id in kept if id in ids]


@EACH
def test_a_turn_that_another_detour_has_taken_is_left_alone(kind: type[Straying]) -> None:
    loaded = shipped()[0]
    rude = CATALOGUE["user:rude"](intensity=1)
    assert isinstance(rude, Straying)
    all_taken = rude.apply(drawn(loaded.id, 0), loaded.tools)
    assert all(turn.detour for turn in all_taken.turns)
    with pytest.raises(NotApplicable, match=r"."):
        kind().apply(all_taken, loaded.tools)
    with pytest.raises(NotApplicable, match="belongs to the detour 'user:rude'"):
        kind(at=all_taken.turns[-1].id).apply(all_taken, loaded.tools)


def test_most_find_a_place_everywhere() -> None:
    assert sum(len(with_place(kind)) == len(shipped()) for kind in KINDS) >= 15
    assert all(len(with_place(kind)) >= 12 for kind in KINDS)


@EACH
def test_whether_a_shipped_scenario_has_a_place_does_not_depend_on_the_seed(kind: type[Straying]) -> None:
    for loaded in with_place(kind):
        for seed in range(1, 13):
            assert strayed(kind(), loaded, seed) is not None, f"{loaded.id}, seed {seed}"


def test_what_keeps_a_scenario_from_having_a_place_is_said() -> None:
    loaded = next(one for one in shipped() if one.id == "care_followup/check_in")
    for name in ("withholds", "wrong_identifier"):
        with pytest.raises(NotApplicable, match="no turn names an identifier"):
            CATALOGUE[f"user:{name}"]().apply(drawn(loaded.id, 0), loaded.tools)  # type: ignore[attr-defined]


async def test_a_scenarios_own_detour_can_be_disturbed_as_well() -> None:
    variants = [f"french_poem+user:{kind.name}@1" for kind in KINDS]
    trials = await played([("point_of_sale/refund", variant) for variant in variants])
    assert {trial.verdict for trial in trials} == {Verdict.SUCCESS}
    assert {found.effect for trial in trials for found in trial.disturbances} == {Effect.TRIGGERED}


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [1.0, 0.0])
async def test_every_detour_in_every_scenario_at_every_dose(accuracy: float) -> None:
    trials = await played(everywhere(KINDS), accuracy, seed=3)
    wanted, status = (Verdict.SUCCESS, Status.PASSED) if accuracy else (Verdict.FAILURE, Status.FAILED)
    assert len(trials) > 850
    assert {trial.verdict for trial in trials} == {wanted}
    assert {grade.status for trial in trials for grade in trial.steps} == {status, Status.NOT_REACHED}
    assert {found.effect for trial in trials for found in trial.disturbances} == {Effect.TRIGGERED}


@EACH
def test_the_table_of_the_readme_tells_of_it(kind: type[Straying]) -> None:
    readme = Path(agentkit.scenario.detours.__file__).with_name("README.md").read_text()
    row = f"| `{kind.name}` | {kind.summary} | {kind.example} | {kind.dose} | {kind.expected} |"
    assert row in readme.splitlines()
