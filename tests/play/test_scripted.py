"""The planted truth: `scripted:p` passes each step with probability p, each by a coin of its own."""

import pytest

from agentkit.measure import summarize
from agentkit.measure.rows import cells
from agentkit.play.agents.scripted import ScriptedAgent
from agentkit.records import Status, Verdict
from agentkit.store import Store
from tests.play.conftest import Play


@pytest.mark.parametrize("variant", ["golden", "second_thoughts"])
async def test_perfect_passes_everything(play: Play, variant: str) -> None:
    run, trials = await play(ScriptedAgent("s", 1.0), trials=20, variants=(variant,))
    assert run.status == "finished"
    assert {trial.verdict for trial in trials} == {Verdict.SUCCESS}
    assert {grade.status for trial in trials for grade in trial.steps} <= {Status.PASSED, Status.NOT_REACHED}


@pytest.mark.parametrize("variant", ["golden", "second_thoughts"])
async def test_hopeless_fails_everything(play: Play, variant: str) -> None:
    _, trials = await play(ScriptedAgent("s", 0.0), trials=20, variants=(variant,))
    grades = [grade for trial in trials for grade in trial.steps if grade.status is not Status.NOT_REACHED]
    assert {grade.status for grade in grades} == {Status.FAILED}
    assert all(grade.reason and grade.fault == "agent" for grade in grades)


@pytest.mark.slow
async def test_each_step_has_its_own_accuracy(play: Play) -> None:
    agent = ScriptedAgent("s", 1.0, {"ship": 0.0, "look_up": 0.5})
    _, trials = await play(agent, trials=200)
    passed = {
        name: sum(grade.status is Status.PASSED for trial in trials for grade in trial.steps if grade.step == name)
        for name in ("look_up", "names_item", "ship", "says_shipped", "offers_help")
    }
    assert passed["ship"] == 0
    assert 70 <= passed.pop("look_up") <= 130
    passed.pop("ship")
    assert set(passed.values()) == {200}


@pytest.mark.slow
async def test_the_same_seed_gives_the_same_trials(play: Play) -> None:
    one = [[g.status for g in trial.steps] for trial in (await play(ScriptedAgent("s", 0.7), trials=30, seed=5))[1]]
    two = [[g.status for g in trial.steps] for trial in (await play(ScriptedAgent("s", 0.7), trials=30, seed=5))[1]]
    other = [[g.status for g in trial.steps] for trial in (await play(ScriptedAgent("s", 0.7), trials=30, seed=6))[1]]
    assert one == two
    assert one != other


@pytest.mark.slow
async def test_the_runners_records_agree_with_the_mathematics(play: Play, store: Store) -> None:
    """400 played trials of five independent steps at .9: the numbers are those of a binomial, and hold the truth."""
    run, trials = await play(ScriptedAgent("s", 0.9), trials=400, seed=11)
    summary = summarize(cells(store.grades(run.id)), deterministic=run.deterministic, seed=run.seed)
    assert [step.step for step in summary.steps] == ["look_up", "names_item", "ship", "says_shipped", "offers_help"]
    for figure in summary.steps:
        counted = [g.status for trial in trials for g in trial.steps if g.step == figure.step]
        assert (figure.reached, figure.passed) == (400, counted.count(Status.PASSED))
        assert abs(figure.passed - 360) < 4 * (400 * 0.9 * 0.1) ** 0.5
    compounded, together = summary.golden.compounded, summary.golden.all_steps_passed
    assert compounded.low is not None
    assert compounded.high is not None
    assert compounded.low < 0.9**5 < compounded.high
    assert together.estimate == sum(all(g.status is Status.PASSED for g in trial.steps) for trial in trials) / len(
        trials
    )
    p_value = summary.golden.gap.p_value
    assert p_value is not None
    assert p_value > 0.001, "the coins are thrown independently"
