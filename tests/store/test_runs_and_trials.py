"""Recording runs and trials, and finding them again."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import islice

import pytest

from agentkit.errors import StoreError
from agentkit.records import GOLDEN, Message, Party, RunId, Status, StepGrade, Stop, Trial, TrialKey, Verdict
from agentkit.store import GradeRow, StepRow, Store
from tests.store.records import make_run, make_trial

RUN = RunId("run-a")


@pytest.fixture
def store(store: Store) -> Store:
    store.create_run(make_run(RUN))
    return store


def trials(*indices: int, run: RunId = RUN) -> list[Trial]:
    return [make_trial(run, index) for index in indices]


class TestAdding:
    def test_trials_that_are_there_are_left_as_they_are(self, store: Store) -> None:
        assert store.add_trials(trials(0, 1)) == 2
        again = make_trial(RUN, 1, id="other", reason="played twice")
        assert store.add_trials([again, *trials(2)]) == 1
        assert list(store.trials(RUN)) == trials(0, 1, 2)
        assert store.add_trials(trials(0, 1, 2)) == 0

    def test_of_two_equal_keys_in_a_batch_the_first_counts(self, store: Store) -> None:
        first, second = make_trial(RUN, 0), make_trial(RUN, 1, key=make_trial(RUN, 0).key)
        assert store.add_trials([first, second]) == 1
        assert list(store.trials(RUN)) == [first]

    def test_no_trials(self, store: Store) -> None:
        assert store.add_trials([]) == 0
        assert list(store.trials(RUN)) == list(store.grades(RUN)) == []
        assert store.keys(RUN) == set()

    def test_the_same_trial_in_two_runs_is_two_trials(self, store: Store) -> None:
        other = RunId("run-b")
        store.create_run(make_run(other))
        assert store.add_trials([*trials(0), *trials(0, 1, run=other)]) == 3
        assert list(store.trials(other)) == trials(0, 1, run=other)
        assert list(store.trials(RUN)) == trials(0)

    @pytest.mark.parametrize("taken", [{"index": 0}, {"id": make_trial(RUN, 0).id}])
    def test_another_trial_under_a_place_or_an_id_that_is_taken_is_an_error(
        self, store: Store, taken: dict[str, object]
    ) -> None:
        store.add_trials(trials(0))
        values = {"index": 5, "id": "free", "messages": (Message("user", "my PIN is 4711"),)} | taken
        clash = make_trial(RUN, 5, **{name: value for name, value in values.items() if name != "index"})
        if values["index"] == 0:
            clash = make_trial(RUN, 0, id="free", key=clash.key, messages=clash.messages)
        with pytest.raises(StoreError, match=r"(?i)unique") as caught:
            store.add_trials([clash, *trials(7)])
        assert "4711" not in str(caught.value)
        assert list(store.trials(RUN)) == trials(0), "all or none"

    def test_a_trial_of_an_unknown_run(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"no run 'run-z' \(did you mean 'run-a'\?\)"):
            store.add_trials([make_trial(RunId("run-z"), 0)])

    def test_keys(self, store: Store) -> None:
        store.add_trials(trials(3, 1))
        assert store.keys(RUN) == {
            TrialKey("shop/refund", GOLDEN, 1003, 0),
            TrialKey("shop/refund", GOLDEN, 1001, 0),
        }


class TestRuns:
    def test_last_is_the_newest(self, store: Store) -> None:
        store.create_run(make_run("0-sorts-before", created_at="2001-01-01T00:00:00Z"))
        assert store.run("last").id == "0-sorts-before"
        assert [run.id for run in store.runs(10)] == ["0-sorts-before", "run-a"]
        assert [run.id for run in store.runs(1)] == ["0-sorts-before"]

    def test_by_prefix(self, store: Store) -> None:
        store.create_run(make_run("run-a2"))
        store.create_run(make_run("50%_off"))
        assert store.run("run-a").id == "run-a", "the whole id wins over a longer one"
        assert store.run("run-a2").id == "run-a2"
        assert store.run("50%").id == "50%_off"
        with pytest.raises(StoreError, match=r"'run' begins the ids of several runs: run-a2, run-a$"):
            store.run("run")

    @pytest.mark.parametrize("ref", ["", "%", "RUN-A", "_un-a", "run-ab"])
    def test_unknown(self, store: Store, ref: str) -> None:
        with pytest.raises(StoreError, match="no run"):
            store.run(ref)

    def test_a_near_match_is_shown(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"no run 'lats' \(did you mean 'last'\?\)"):
            store.run("lats")

    def test_no_run_at_all(self, url: str) -> None:
        with Store.open(url) as empty, pytest.raises(StoreError, match="no run is recorded yet"):
            empty.run("last")

    def test_twice(self, store: Store) -> None:
        with pytest.raises(StoreError, match="'run-a' is already recorded"):
            store.create_run(make_run(RUN))

    def test_update(self, store: Store) -> None:
        store.update_run(RUN, status="finished", spent={"model_calls": 7})
        assert (store.run(RUN).status, store.run(RUN).spent, store.run(RUN).planned) == (
            "finished",
            {"model_calls": 7},
            10,
        )
        store.update_run(RUN, status="interrupted", spent={}, planned=20)
        assert store.run(RUN).planned == 20
        with pytest.raises(StoreError, match="no run 'nobody'"):
            store.update_run(RunId("nobody"), status="finished", spent={})


class TestFindingATrial:
    @pytest.fixture
    def store(self, store: Store) -> Store:
        detour = [make_trial(RUN, index, key=TrialKey("shop/refund", "poetry+rude@0.5", index)) for index in (1, 4, 9)]
        store.add_trials([*trials(0, 2, 3), *detour])
        return store

    @pytest.mark.parametrize(
        ("ref", "index"),
        [
            ("0", 0),
            ("9", 9),
            ("shop/refund/golden#0", 0),
            ("shop/refund/golden#2", 3),
            ("shop/refund/poetry+rude@0.5#1", 4),
            ("00000002-of-run-a", 2),
            ("00000009", 9),
            ("00000004-of", 4),
        ],
    )
    def test_found(self, store: Store, ref: str, index: int) -> None:
        found = store.trial(RUN, ref)
        assert found.index == index
        assert found.messages == make_trial(RUN, index).messages

    @pytest.mark.parametrize(
        ("ref", "message"),
        [
            ("7", r"no trial '7' in this run \(name one by its place, 0 to 9, "),
            ("", r"no trial '' in this run"),
            ("9" * 40, r"no trial '9+' in this run"),
            ("0000", r"'0000' begins the ids of several trials: 00000000-of-run-a, 00000001-of-run-a, "),
            (
                "shop/refund/golden#3",
                r"no trial shop/refund/golden#3 in this run: the last is shop/refund/golden#2",
            ),
            ("shop/refnud/golden#0", r"did you mean 'shop/refund/golden'\?"),
            ("shop/refund#0", r"no trial of 'shop/refund' in this run"),
        ],
    )
    def test_not_found(self, store: Store, ref: str, message: str) -> None:
        with pytest.raises(StoreError, match=message):
            store.trial(RUN, ref)

    def test_in_an_empty_run(self, store: Store) -> None:
        store.create_run(make_run("empty"))
        with pytest.raises(StoreError, match="it has no trials yet"):
            store.trial(RunId("empty"), "0")


class TestStreaming:
    def test_whole_trials_in_order_and_chosen(self, store: Store) -> None:
        played = [
            make_trial(
                RUN,
                index,
                key=TrialKey(f"shop/{index % 3}", "golden" if index % 2 else "rude", index),
                verdict=Verdict.FAILURE if index % 5 == 0 else Verdict.SUCCESS,
            )
            for index in range(0, 200, 2)
        ]
        for batch in (played[60:], played[:60]):
            store.add_trials(batch[::-1])
        assert list(store.trials(RUN)) == played
        assert list(store.trials(RUN, scenario="shop/1", variant="rude", verdict=Verdict.FAILURE)) == [
            trial for trial in played if trial.key.scenario == "shop/1" and trial.index % 5 == 0
        ]
        assert list(store.trials(RUN, variant="golden")) == []

    def test_whole_trials_by_their_places_come_in_the_order_asked_for(self, store: Store) -> None:
        played = trials(*range(40))
        store.add_trials(played)
        wanted = [*range(39, 0, -2), 99, 0]
        assert list(store.trials_at(RUN, wanted)) == [played[place] for place in wanted if place != 99]
        assert list(store.trials_at(RUN, [])) == []

    def test_a_reader_may_stop_midway_and_a_writer_go_on(self, store: Store) -> None:
        store.add_trials(trials(*range(40)))
        reader = store.trials(RUN)
        assert [trial.index for trial in islice(reader, 3)] == [0, 1, 2]
        store.add_trials(trials(*range(40, 50)))
        store.update_run(RUN, status="finished", spent={})
        assert [trial.index for trial in reader] == list(range(3, 50))

    def test_an_unknown_run_is_an_error_at_once(self, store: Store) -> None:
        with pytest.raises(StoreError):
            store.trials(RunId("nobody"))
        with pytest.raises(StoreError):
            store.grades(RunId("nobody"))

    def test_memory_does_not_grow_with_the_run(self, store: Store) -> None:
        size, number = 100_000, 300
        for start in range(0, number, 50):
            store.add_trials(
                [make_trial(RUN, i, messages=(Message("user", "x" * size),)) for i in range(start, start + 50)]
            )
        assert peak(store.trials(RUN)) < size * number / 3
        assert peak(store.grades(RUN)) < size * 10


def peak(records: Iterator[object]) -> int:
    """The most bytes in use while the records are looked at one by one."""
    tracemalloc.start()
    try:
        for _ in records:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestGrades:
    def test_rows(self, store: Store) -> None:
        invalid = make_trial(RUN, 7, verdict=Verdict.INVALID, fault=Party.TOOL, stop=Stop.INVALID, steps=(), outcome=())
        doubtful = make_trial(RUN, 5, outcome=(StepGrade("polite", Status.UNGRADED, "reply.judge", "no verdict"),))
        store.add_trials([invalid, doubtful, *trials(1)])
        played = (
            StepRow("find", Status.PASSED, "look_up", 0),
            StepRow("refund", Status.FAILED, None, 0),
            StepRow("thank", Status.NOT_REACHED, None, 1),
        )
        common = ("shop/refund", GOLDEN)
        assert list(store.grades(RUN)) == [
            GradeRow(1, *common, 1001, 0, Verdict.SUCCESS, True, None, Stop.COMPLETED, played),
            GradeRow(5, *common, 1005, 0, Verdict.SUCCESS, False, None, Stop.COMPLETED, played),
            GradeRow(7, *common, 1007, 0, Verdict.INVALID, False, Party.TOOL, Stop.INVALID, ()),
        ]

    def test_many_rows_keep_their_steps(self, store: Store) -> None:
        def steps(index: int) -> tuple[StepGrade, ...]:
            return tuple(StepGrade(f"s{k}", Status.PASSED, "c", "") for k in range(index % 4))

        for start in range(0, 1200, 100):
            store.add_trials([make_trial(RUN, i, steps=steps(i), messages=()) for i in range(start, start + 100)])
        rows = list(store.grades(RUN))
        assert [row.index for row in rows] == list(range(1200))
        assert [[step.step for step in row.steps] for row in rows] == [
            [f"s{k}" for k in range(i % 4)] for i in range(1200)
        ]


class TestCache:
    def test_the_first_value_stays(self, store: Store) -> None:
        assert store.cache_get("k") is None
        store.cache_put("k", '{"verdict": "é\0"}')
        store.cache_put("k", "later")
        assert store.cache_get("k") == '{"verdict": "é\\x00"}'
        assert store.cache_get("K") is None
