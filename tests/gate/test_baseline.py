"""The baseline file: what comes back, what a diff shows, and what is said of a broken one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from agentkit.errors import AgentkitError, UsageError
from agentkit.gate import read_baseline, write_baseline
from agentkit.gate.rows import recorded
from agentkit.measure import NOT_REACHED, UNGRADED
from agentkit.records import (
    Fork,
    ForkKind,
    Run,
    RunId,
    Status,
    StepGrade,
    Stop,
    Trial,
    TrialId,
    TrialKey,
    Usage,
    Verdict,
)
from agentkit.store import GradeRow, StepRow
from tests.gate.gate_records import played, record


def sample():
    golden = played(
        [[1, 1], [0, NOT_REACHED], [1, UNGRADED]],
        [1, 0, UNGRADED],
        instances=[12, 281474976710655, 3],
        steps=("find", "refund"),
        skills=("look_up", None),
        costs=[0.00123456, np.nan, 0],
        invalid=((9, 0),),
    )
    found = record(golden, played([[1]], variant="french_poem", steps=("no_poem",)), tag="money")
    return replace(found, users={"talker": "0123456789abcdef"}, judge="wise")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "reports" / "baseline.json"
    write_baseline(sample(), path)
    return path


def broken(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError) as raised:
        read_baseline(path)
    return str(raised.value)


def trials(content):
    return content["scenarios"]["shop/refund"]["variants"]["golden"]["trials"]


def test_what_was_written_is_read(path):
    found, expected = read_baseline(path), sample()
    for name in (
        "agent",
        "agent_hash",
        "deterministic",
        "seed",
        "run",
        "created_at",
        "scenarios",
        "versions",
        "tags",
        "users",
        "judge",
    ):
        assert getattr(found, name) == getattr(expected, name)
    golden = next(cell for cell in found.cells if cell.variant == "golden")
    assert golden.keys == [(3, 0), (12, 0), (281474976710655, 0)]
    assert golden.success.tolist() == [UNGRADED, 1, 0]
    assert golden.grades.tolist() == [[1, UNGRADED], [1, 1], [0, NOT_REACHED]]
    assert golden.costs == pytest.approx([0, 0.001235, np.nan], nan_ok=True)
    assert golden.seconds.tolist() == [2, 2, 2]
    assert (golden.skills, golden.invalid) == (("look_up", None), ((9, 0),))


def test_the_file_is_stable_and_has_one_line_a_trial(path, tmp_path):
    text = path.read_text()
    assert '"12/0": "+ ++ 0.001235 2"' in text
    assert '"281474976710655/0": "- -. ~ 2"' in text
    assert '"3/0": "? +? 0 2"' in text
    assert '"9/0": "!"' in text
    again = tmp_path / "again.json"
    write_baseline(read_baseline(path), again)
    assert again.read_text() == text
    assert [it.name for it in path.parent.iterdir()] == ["baseline.json"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(schema=5), "schema: found 5, expected 4: write the baseline again"),
        (lambda c: c.update(schema=True), "schema: found True, expected 4"),
        (lambda c: c.update(schema=1), "unknown key 'judge'"),
        (lambda c: c.update(schema=2), "unknown key 'judge'"),
        (lambda c: c.pop("judge"), "the key 'judge' is required, and missing"),
        (lambda c: c.update(judge=7), "judge: found 7, expected a text"),
        (lambda c: c.pop("users"), "the key 'users' is required, and missing"),
        (lambda c: c.update(users=["talker"]), "users: found ['talker'], expected a mapping"),
        (lambda c: c.update(users={"talker": 7}), "users.talker: found 7, expected a text"),
        (lambda c: c.update(sead=1), "unknown key 'sead' (did you mean 'seed'?)"),
        (lambda c: c.pop("agent"), "the key 'agent' is required, and missing"),
        (lambda c: c["agent"].update(deterministic="no"), "agent.deterministic: found 'no', expected true or false"),
        (lambda c: c.update(seed=True), "seed: found True, expected a whole number"),
        (lambda c: c.update(scenarios=[]), "scenarios: found [], expected a mapping"),
        (
            lambda c: c["scenarios"]["shop/refund"]["variants"]["golden"]["skills"].update(fimd="x"),
            "variants.golden.skills: unknown step 'fimd' (did you mean 'find'?)",
        ),
        (lambda c: trials(c).update({"12/0": "+ +++ 0 2"}), "trials.12/0: steps: found '+++', expected 2 of '+'"),
        (lambda c: trials(c).update({"12/0": "x ++ 0 2"}), "outcome: found 'x', expected '+' (success)"),
        (lambda c: trials(c).update({"12/0": "+ ++ -1 2"}), "cost: found '-1', expected a number of 0 or more"),
        (lambda c: trials(c).update({"12/0": "+ ++ 0 inf"}), "seconds: found 'inf', expected a number"),
        (lambda c: trials(c).update({"12/0": "+ ++"}), "expected outcome, steps, cost and seconds"),
        (lambda c: trials(c).update({"twelve": "!"}), "found 'twelve', expected instance/repeat"),
    ],
)
def test_a_mistake_is_named_with_its_field(path, change, said):
    message = broken(path, change)
    assert message.startswith(f"{path}: ")
    assert said in message


def test_a_file_of_the_first_version_is_read_and_says_nothing_of_users(path):
    content = older(path, 1)
    del content["users"], content["judge"]
    path.write_text(json.dumps(content))
    found = read_baseline(path)
    assert (found.users, found.judge) == (None, None)
    assert [cell.keys for cell in found.cells] == [cell.keys for cell in sorted_by_key(sample())]
    write_baseline(found, path)
    assert json.loads(path.read_text())["users"] is None
    assert read_baseline(path).users is None


def test_a_file_of_the_second_version_is_read_and_says_nothing_of_its_judge(path):
    content = older(path, 2)
    del content["judge"]
    path.write_text(json.dumps(content))
    found = read_baseline(path)
    assert (found.users, found.judge) == ({"talker": "0123456789abcdef"}, None)


def test_a_file_of_the_third_version_is_read_with_the_tags_of_its_scenarios(path):
    path.write_text(json.dumps(older(path, 3)))
    assert read_baseline(path).tags == {"shop/refund": ("money",)}
    assert "tags.shop/refund: found 'money', expected a list" in broken(path, tagged_with_a_word)


def tagged_with_a_word(content):
    content["scenarios"]["shop/refund"]["tags"] = "money"


def older(path, schema):
    """A file's content as versions before the fourth wrote it, but for what came in between."""
    content = json.loads(path.read_text())
    tags = content.pop("tags")
    for name, scenario in content["scenarios"].items():
        scenario["tags"] = tags.get(name, [])
    return content | {"schema": schema}


def sorted_by_key(found):
    """The cells as a file has them, in the order of instance and repeat."""
    return [replace(it, instances=it.instances[order(it)], repeats=it.repeats[order(it)]) for it in found.cells]


def order(cell):
    return np.lexsort((cell.repeats, cell.instances))


def test_a_file_that_is_none_says_so(tmp_path):
    with pytest.raises(UsageError, match=r"no such baseline; `agentkit baseline RUN -o .*` writes one"):
        read_baseline(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"schema": 1,\n  oops')
    with pytest.raises(UsageError, match=r"half\.json:2: not valid JSON"):
        read_baseline(tmp_path / "half.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_baseline(tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        write_baseline(sample(), tmp_path / "half.json" / "x.json")


def test_a_trial_twice_is_refused():
    with pytest.raises(AgentkitError, match="instance 4, repeat 0 stands twice"):
        played([[1], [1]], instances=[4, 4])
    with pytest.raises(AgentkitError, match=r"success has shape \(1,\), expected \(2,\)"):
        played([[1], [1]], [1])


VERSIONS = {"agentkit-reliability": "0.1.0"}
RUN = Run(RunId("r1"), "v1", "h1", False, 7, 3, "2026-03-01T10:00:00Z", {}, VERSIONS, {"a": "x"})


def trial(index, verdict, step, outcome=Status.PASSED):
    grades = (
        StepGrade("find", step, "call.name", "", turn=0, skill="look_up"),
        StepGrade("void", Status.NOT_REACHED, "none", "", turn=None),
    )
    return Trial(
        id=TrialId(f"t{index}"), run=RUN.id, index=index, key=TrialKey("a", "golden", 100 + index), verdict=verdict,
        stop=Stop.COMPLETED, messages=(), steps=grades, outcome=(StepGrade("done", outcome, "state", ""),),
        variables={},
        usage=Usage(), model_calls=2, cost=0.5, started_at="", duration=3.0,
    )  # fmt: skip


def test_a_run_becomes_a_record():
    found = recorded(
        RUN,
        [
            trial(0, Verdict.SUCCESS, Status.PASSED),
            trial(1, Verdict.FAILURE, Status.FAILED),
            trial(2, Verdict.FAILURE, Status.PASSED, Status.UNGRADED),
            trial(3, Verdict.INVALID, Status.NOT_REACHED),
        ],
        tags={"a": ("money",)},
    )
    (cell,) = found.cells
    assert cell.steps == ("find",)  # the void step is none
    assert cell.skills == ("look_up",)
    assert cell.success.tolist() == [1, 0, UNGRADED]
    assert cell.grades.tolist() == [[1], [0], [1]]
    assert (cell.costs.tolist(), cell.seconds.tolist()) == ([0.5] * 3, [3.0] * 3)
    assert (cell.invalid, found.invalid, found.trials) == (((103, 0),), 1, 4)
    assert (found.scenarios, found.tags, found.users) == ({"a": "x"}, {"a": ("money",)}, None)


def test_a_record_says_who_spoke_and_forks_make_none():
    spoke = replace(RUN, settings={"user_hashes": {"talker": "h1"}, "fork": None})
    assert recorded(spoke, [trial(0, Verdict.SUCCESS, Status.PASSED)]).users == {"talker": "h1"}
    assert recorded(replace(RUN, settings={"user_hashes": {}}), []).users == {}
    with pytest.raises(UsageError, match=r"run r1 played forks: single turns.*expected a run of whole conversations"):
        recorded(replace(RUN, settings={"fork": "golden"}), [])
    fork = Fork("golden", 0, 1, ForkKind.GOLDEN, ("golden",))
    with pytest.raises(UsageError, match="run r1 played forks"):
        recorded(RUN, [replace(trial(0, Verdict.OPEN, Status.PASSED), fork=fork)])


def test_rows_of_grades_make_the_same_record_with_what_was_spent_beside():
    def row(index, verdict, gradable=True):
        steps = (StepRow("find", Status.PASSED, "look_up", 0), StepRow("void", Status.NOT_REACHED, None, None))
        return GradeRow(index, "a", "golden", 100 + index, 0, verdict, gradable, None, Stop.COMPLETED, steps)

    rows = [row(0, Verdict.SUCCESS), row(1, Verdict.FAILURE, False), row(2, Verdict.INVALID, False)]
    (cell,) = recorded(RUN, rows, spent={0: (0.5, 3.0)}).cells
    assert cell.success.tolist() == [1, UNGRADED]
    assert cell.costs.tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
    assert cell.invalid == ((102, 0),)
