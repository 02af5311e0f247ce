"""What goes into the store comes out of it, whatever a model or a tool said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from agentkit.records import Message, ModelCall, RunId, Status, StepGrade, ToolCall, Usage
from agentkit.store import Store
from tests.store.records import CLEAN, HOSTILE, contents, make_run, make_trial

COUNTER = count()


def played(store: Store, **changes: Any) -> tuple[Any, Any]:
    """A trial in a run of its own, and what the store gives back for it."""
    run = make_run(f"round-trip-{next(COUNTER)}")
    store.create_run(run)
    trial = make_trial(run.id, 0, **changes)
    assert store.add_trials([trial]) == 1
    return trial, store.trial(run.id, "0")


def test_a_run_comes_back_equal(store: Store) -> None:
    run = make_run("a", deterministic=False, spent={"model_calls": 3, "cost": None}, settings={"é": [1, {"b": 0.1}]})
    store.create_run(run)
    assert store.run("a") == run
    assert store.runs(5) == [run]


def test_a_trial_comes_back_equal(store: Store) -> None:
    trial, found = played(store)
    assert found == trial


def test_a_trial_without_any_content_comes_back_equal(store: Store) -> None:
    trial, found = played(store, messages=(), steps=(), outcome=(), variables={}, cost=None, final_state=None)
    assert found == trial


def test_a_text_of_a_megabyte_comes_back_whole(store: Store) -> None:
    long = "a🦜" * 250_000 + "end"
    trial, found = played(store, messages=(Message("tool", long, error=long),), final_state={"page": long})
    assert found == trial


slow = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@slow
@given(changes=contents(CLEAN, allow_nan=False, allow_infinity=False))
def test_whatever_can_be_stored_comes_back_equal(store: Store, changes: Mapping[str, Any]) -> None:
    trial, found = played(store, **changes)
    assert found == trial


@pytest.mark.slow
@slow
@given(changes=contents(HOSTILE))
def test_whatever_cannot_be_stored_is_rewritten_and_nothing_else(store: Store, changes: Mapping[str, Any]) -> None:
    trial, found = played(store, **changes)
    assert_kept(trial, found)


def assert_kept(given: Any, found: Any) -> None:
    """Equal but for NUL, lone surrogates and numbers that are not finite."""
    if isinstance(given, Enum) or given is None:
        assert found is given
    elif isinstance(given, float) and not math.isfinite(given):
        assert found is None or found == 0.0
    elif isinstance(given, str):
        kept = [c for c in given if c != "\0" and not 0xD800 <= ord(c) < 0xE000]
        assert found == given if len(kept) == len(given) else is_subsequence(kept, found)
        found.encode()
    elif isinstance(given, Mapping):
        names = {rewritten(name): item for name, item in given.items()}
        assert len(found) == len(names)
        for name, item in names.items():
            assert_kept(item, found[name])
    elif isinstance(given, list | tuple):
        assert len(found) == len(given)
        for one, other in zip(given, found, strict=True):
            assert_kept(one, other)
    elif is_dataclass(given):
        for field in fields(given):
            assert_kept(getattr(given, field.name), getattr(found, field.name))
    else:
        assert found == given


def is_subsequence(wanted: list[str], text: str) -> bool:
    rest = iter(text)
    return all(c in rest for c in wanted)


def rewritten(name: str) -> str:
    """A name in JSON, which has an escape of its own for NUL."""
    return name.encode("utf-8", "backslashreplace").decode()


def test_what_a_person_reads_instead_of_a_nul_and_of_a_lone_surrogate(store: Store) -> None:
    _, found = played(
        store,
        messages=(
            Message("user", "a\0b\ud800c", reasoning="\udfff", name="\0"),
            Message("assistant", "", tool_calls=(ToolCall("1", "f", {"x\ud800": "\ud800"}, raw="\ud800"),)),
        ),
        reason="nul: \0",
    )
    said, called = found.messages
    assert (said.content, said.reasoning, said.name) == ("a\\x00b\\ud800c", "\\udfff", "\\x00")
    assert called.tool_calls == (ToolCall("1", "f", {"x\\ud800": "\\ud800"}, raw="\\ud800"),)
    assert found.reason == "nul: \\x00"


def test_numbers_that_are_none(store: Store) -> None:
    nan, infinite = float("nan"), float("inf")
    _, found = played(
        store,
        cost=nan,
        duration=infinite,
        usage=Usage(10**30, 1),
        messages=(Message("assistant", "", call=ModelCall("m", cost=infinite, latency=nan)),),
        steps=(StepGrade("s", Status.FAILED, "c", "", nan, found={"n": nan, "i": [infinite, -infinite]}),),
    )
    assert (found.cost, found.duration, found.usage) == (None, 0.0, Usage(2**63 - 1, 1))
    assert found.messages[0].call == ModelCall("m", cost=None, latency=0.0)
    assert found.steps[0].score is None
    assert found.steps[0].found == {"n": None, "i": [None, None]}


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text of me")


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ((1, (2,)), [1, [2]]),
        ({1: "a", (2, 3): "b"}, {"1": "a", "(2, 3)": "b"}),
        ({"b", "a"}, ["a", "b"]),
        (b"\xffok\0", "\\xffok\0"),
        (10**30, str(10**30)),
        (1 + 2j, "(1+2j)"),
        (Status.PASSED, "passed"),
        (
            [Usage(1, 2), b""],
            [{"input_tokens": 1, "output_tokens": 2, "reasoning_tokens": 0, "cached_tokens": 0}, ""],
        ),
        (Hostile(), "<Hostile>"),
        (endless(), ["<list: nested without end>"]),
    ],
)
def test_what_is_not_json_becomes_the_nearest_that_is(store: Store, value: Any, stored: Any) -> None:
    _, found = played(store, final_state={"value": value, "beside": "kept"})
    assert found.final_state == {"value": stored, "beside": "kept"}


def test_what_is_nested_too_deeply_is_cut(store: Store) -> None:
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    _, found = played(store, final_state={"deep": deep, "beside": "kept"})
    assert found.final_state["beside"] == "kept"
    levels, inner = 0, found.final_state["deep"]
    while isinstance(inner, list):
        levels, (inner,) = levels + 1, inner
    assert levels == 99
    assert inner == "<list: nested without end>"


def test_an_id_that_no_database_can_hold_is_refused_with_words(store: Store) -> None:
    from agentkit.errors import StoreError

    run = make_run("surrogates")
    store.create_run(run)
    with pytest.raises(StoreError, match="surrogates not allowed"):
        store.add_trials([make_trial(run.id, 0, id="\ud800")])
    assert store.keys(RunId("surrogates")) == set()
