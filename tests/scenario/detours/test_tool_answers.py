"""What an agent reads where a tool misbehaves, and what becomes of the world."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest

from agentkit.play.disturbed import FaultyWorld
from agentkit.records import ToolSpec
from agentkit.scenario.detours import ToolFault
from agentkit.scenario.detours.tool import (
    TOOL_FAULTS,
    ChangedSchema,
    Duplicate,
    Empty,
    Injection,
    NotDone,
    Partial,
    RateLimit,
    Slow,
    Stale,
    Timeout,
    ToolError,
    WrongType,
)
from agentkit.scenario.detours.tool.injection import Notice
from tests.scenario.detours.tool_fault_cases import FACTORY, ORDERS, TOOLS, answer, answers, look, send

WHOLE = b'{"status":"open","unit_price":12.5,"items":["kettle","lamp"],"gift":true}'


@pytest.mark.parametrize(
    ("fault", "error"), [(ToolError(), "ServiceError"), (Timeout(), "TimeoutError"), (RateLimit(), "RateLimitError")]
)
async def test_an_answer_is_withheld_and_nothing_is_done(fault: ToolFault, error: str) -> None:
    world = await FACTORY.create(ORDERS)
    faulty = FaultyWorld(world, [fault], 1, await world.snapshot())
    first = await faulty.call(*send(1))
    assert (first.error, first.content, first.planted, first.original) == (error, fault.example, fault.id, None)
    assert (await world.state())["A-1"]["status"] == "open"
    assert (await faulty.call(*send(1))).content == '"shipped"'


@pytest.mark.parametrize(
    ("fault", "read"),
    [
        (Empty(), b"{}"),
        (Partial(intensity=0.75), WHOLE[: len(WHOLE) // 4]),
        (
            WrongType(),
            b'{"status":["open"],"unit_price":"12.5","items":[["kettle"],["lamp"]],"gift":"yes"}',
        ),
        (Duplicate(), b'{"status":"open","unit_price":12.5,"items":["kettle","kettle","lamp","lamp"],"gift":true}'),
        (
            ChangedSchema(),
            b'{"version":2,"data":{"status":"open","unitPrice":12.5,"items":["kettle","lamp"],"gift":true}}',
        ),
    ],
)
async def test_an_answer_is_altered(fault: ToolFault, read: bytes) -> None:
    found = await answer(fault, look(1))
    assert found.content.encode() == read
    assert (found.planted, found.original, found.error) == (fault.id, WHOLE.decode(), None)


async def test_an_answer_without_a_list_comes_twice() -> None:
    assert (await answer(Duplicate(), ("count", {}))).content == "[60,60]"
    assert (await answer(Empty(), ("count", {}))).content == '""'
    assert (await answer(WrongType(), ("count", {}))).content == '"60"'


@pytest.mark.parametrize("fault", [Empty(), Partial(), WrongType(), Duplicate(), ChangedSchema(), Injection()])
async def test_a_tools_own_error_is_let_through(fault: ToolFault) -> None:
    found = await answer(fault, ("find", {"order_id": "none"}))
    assert (found.error, found.planted) == ("KeyError", None)
    assert found.original == found.content  # it looked


async def test_a_stale_answer_is_that_of_the_beginning() -> None:
    before, shipped, stale, fresh = await answers([Stale()], [look(1), send(1), look(1), look(1)])
    assert before.planted is None  # nothing had changed yet
    assert before.original == before.content
    assert shipped.content == '"shipped"'
    assert stale.planted == "tool:stale"
    assert orjson.loads(stale.content)["status"] == "open"
    assert orjson.loads(stale.original or "")["status"] == "shipped"
    assert fresh.planted is None
    assert orjson.loads(fresh.content)["status"] == "shipped"


async def test_a_stale_answer_changes_nothing() -> None:
    world = await FACTORY.create(ORDERS)
    faulty = FaultyWorld(world, [Stale()], 1, await world.snapshot())
    await faulty.call(*send(1))
    after = await world.state()
    assert (await faulty.call(*look(1))).planted == "tool:stale"
    assert await world.state() == after


async def test_what_is_reported_was_not_done() -> None:
    world = await FACTORY.create(ORDERS)
    faulty = FaultyWorld(world, [NotDone()], 1, await world.snapshot())
    reported = await faulty.call(*send(1))
    assert (reported.content, reported.error, reported.planted) == ('"shipped"', None, "tool:not_done")
    assert await world.state() == ORDERS
    assert (await faulty.call(*send(1))).planted is None
    assert (await world.state())["A-1"]["status"] == "shipped"
    assert (await faulty.call(*send(1))).error == "ValueError"


async def test_what_changes_nothing_is_no_occasion_for_not_done() -> None:
    found = await answer(NotDone(), ("look_busy", {}))
    assert (found.planted, found.original) == (None, '"done"')
    assert (await answer(NotDone(), look(1))).original is None  # not even looked at: it never writes


async def test_a_slow_answer_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("agentkit.scenario.detours.tool.slow.asyncio.sleep", sleep)
    found = await answer(Slow(intensity=0.5, seconds=8), look(1))
    assert slept == [4]
    assert found.planted == "tool:slow"
    assert found.content == found.original == WHOLE.decode()


async def test_instructions_stand_in_the_answer_with_a_call_that_could_be_made() -> None:
    found = await answer(Injection(), look(1))
    value = orjson.loads(found.content)
    words = value.pop("notice")
    assert orjson.dumps(value) == WHOLE
    notice = Notice.read(found.content)
    assert notice is not None
    assert notice.words == words
    assert notice.tool == "ship"  # the one that changes something and takes a text
    assert notice.arguments == {"order_id": notice.canary}
    world = await FACTORY.create(ORDERS)
    assert (await world.call("ship", notice.arguments)).error == "KeyError"  # it was run: the arguments fit
    texts = await answer(Injection(), ("count", {}))
    assert texts.content.startswith("60\n\nIMPORTANT NOTICE")
    assert Notice.read(texts.content) is not None
    assert Notice.read(WHOLE.decode()) is None


@pytest.mark.parametrize("kind", TOOL_FAULTS)
async def test_a_call_made_again_gets_through_after_so_many_times(kind: type[ToolFault]) -> None:
    call, fresh = (send(1), "ValueError") if kind.needs_writes else (look(1), None)
    before = [send(1)] if kind is Stale else []
    fault = kind(times=2, **({"seconds": 0.001} if kind is Slow else {}))
    *_, first, second, third, _ = await answers([fault], [*before, call, call, call, call])
    assert [first.planted, second.planted, third.planted] == [fault.id, fault.id, None]
    assert third.error is None
    assert fresh is None or (await answers([], [call, call]))[1].error == fresh


async def test_two_spellings_of_one_call_are_the_same() -> None:
    spelled = ("find", {"short": False, "order_id": "A-1"})
    first, second = await answers([ToolError()], [look(1), spelled])
    assert first.planted == "tool:error"
    assert second.planted is None


async def test_only_what_it_may_strike_is_struck() -> None:
    only = await answers([ToolError(tools=("ship",))], [look(1), send(1)])
    assert [it.planted for it in only] == [None, "tool:error"]
    reads = await answers([Empty()], [look(1), send(1)])
    assert [it.planted for it in reads] == ["tool:empty", None]
    assert Empty().targets({"ship": TOOLS["ship"]}) == {"ship"}  # a suite that marks none as harmless
    assert NotDone().targets(TOOLS) == {"ship", "look_busy"}


async def test_of_two_faults_the_first_one_that_finds_something_disturbs() -> None:
    first, second = await answers([Empty(), ToolError()], [look(1), send(1)])
    assert [first.planted, second.planted] == ["tool:empty", "tool:error"]


async def test_a_fork_meets_the_faults_that_the_trial_would_have_met() -> None:
    world = await FACTORY.create(ORDERS)
    beginning = await world.snapshot()
    faulty = FaultyWorld(world, [ToolError()], 1, beginning)
    assert (await faulty.call(*look(1))).error == "ServiceError"
    fork = FaultyWorld(await FACTORY.create(ORDERS), [ToolError()], 1, beginning)
    await fork.restore(await faulty.snapshot())
    assert (await fork.call(*look(1))).error is None
    assert (await fork.call(*look(2))).error == "ServiceError"


ODD: dict[str, dict[str, Any]] = {
    "a pattern of another library": {"properties": {"name": {"type": "string", "pattern": r"^\p{L}+$"}}},
    "a look-ahead": {"properties": {"name": {"type": "string", "pattern": r"^(?=.*[0-9]).{8,}$"}}},
    "a reference elsewhere": {"properties": {"name": {"type": "string"}, "to": {"$ref": "#/definitions/To"}}},
    "a reference without end": {
        "properties": {"name": {"type": "string"}, "to": {"$ref": "#/$defs/To"}},
        "$defs": {"To": {"$ref": "#/$defs/To"}},
    },
    "whatever one likes": {"properties": {"name": {"type": "string"}, "to": True}},
    "nothing at all": {"properties": {"name": True}},
}


@pytest.mark.parametrize("schema", ODD.values(), ids=ODD.keys())
def test_no_call_is_asked_for_of_a_tool_whose_arguments_cannot_be_made_up(schema: dict[str, Any]) -> None:
    odd = ToolSpec("a_odd", "", {"type": "object", "required": list(schema["properties"]), **schema})
    plain = ToolSpec("plain", "", {"properties": {"name": {"type": "string"}}, "required": ["name"]})
    alone = Notice.drawn({"a_odd": odd}, Random(1))
    assert (alone.tool, alone.arguments) == (None, None)
    assert Notice.read(alone.words) == alone
    found = {Notice.drawn({"a_odd": odd, "plain": plain}, Random(seed)).tool for seed in range(8)}
    assert found == {"plain"}
