"""From the store's rows to cells."""

from agentkit.measure import FAILED, NOT_REACHED, PASSED, UNGRADED
from agentkit.measure.rows import cells
from agentkit.records import Status, Stop, Verdict
from agentkit.store import GradeRow, StepRow


def row(index, *steps, verdict=Verdict.SUCCESS, gradable=True, variant="golden", instance=None):
    return GradeRow(
        index, "shop/refund", variant, index if instance is None else instance, 0, verdict, gradable, None,
        Stop.COMPLETED, tuple(StepRow(*step) for step in steps),
    )  # fmt: skip


def test_one_cell_for_each_scenario_and_variant():
    passed, failed = ("a", Status.PASSED, "look", 0), ("a", Status.FAILED, "look", 0)
    late = ("b", Status.NOT_REACHED, None, 1)
    golden, rude = cells(
        [
            row(0, passed, ("b", Status.PASSED, None, 1)),
            row(1, passed, variant="rude"),
            row(2, failed, late, verdict=Verdict.FAILURE, instance=7),
            row(3, passed, ("b", Status.UNGRADED, None, 1), verdict=Verdict.FAILURE, gradable=False),
            row(4, verdict=Verdict.INVALID, gradable=False),
        ]
    )
    assert (golden.id, rude.id) == ("shop/refund/golden", "shop/refund/rude")
    assert golden.steps == ("a", "b")
    assert golden.skills == ("look", None)
    assert golden.grades.tolist() == [[PASSED, PASSED], [FAILED, NOT_REACHED], [PASSED, UNGRADED]]
    assert golden.success.tolist() == [1, 0, UNGRADED]
    assert golden.instances.tolist() == [0, 7, 3]
    assert (golden.invalid, rude.invalid) == (1, 0)


def test_a_step_that_is_void_in_every_trial_is_no_step():
    a, void = ("a", Status.PASSED, None, 0), ("b", Status.NOT_REACHED, None, None)
    (cell,) = cells([row(0, a, void), row(1, a, void)])
    assert cell.steps == ("a",)
    (cell,) = cells([row(0, a, void), row(1, a, ("b", Status.FAILED, None, 1))])
    assert cell.steps == ("a", "b")
    assert cell.grades.tolist() == [[PASSED, NOT_REACHED], [PASSED, FAILED]]


def test_nothing_valid_is_an_empty_cell_and_nothing_due_is_none():
    (cell,) = cells([row(0, ("a", Status.NOT_REACHED, None, 0), verdict=Verdict.INVALID)])
    assert (cell.valid, cell.invalid, cell.grades.shape) == (0, 1, (0, 1))
    assert cells([row(0, ("a", Status.NOT_REACHED, None, None))]) == []
    assert cells([]) == []
