"""Who gets the next request: the least busy of those that are well; and what becomes of the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentkit.config import RouterSettings
from agentkit.serve.router.balance import Balance, Lease
from agentkit.serve.router.refused import Refused
from agentkit.serve.upstream import Upstream
from tests.serve.router.world import ADAPTER, BASE, CLOSED, FakeUpstreams


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def balance(count: int, time: Time | None = None, **settings: object) -> Balance:
    names = [Upstream(f"r{place}", "http://x/v1", "m") for place in range(count)]
    found = FakeUpstreams({BASE: names, ADAPTER: names[:1], CLOSED: []})
    return Balance(found, RouterSettings.model_validate(settings), now=time or Time())


async def end(lease: Lease, ok: bool | None = True) -> None:
    with lease:
        lease.ok = ok


async def test_the_least_busy_one() -> None:
    it = balance(3)
    leases = [await it.lease(BASE, ()) for _ in range(9)]
    assert Counter(lease.upstream.name for lease in leases) == {"r0": 3, "r1": 3, "r2": 3}
    for lease in leases:
        if lease.upstream.name == "r1":
            await end(lease)
    assert [(await it.lease(BASE, ())).upstream.name for _ in range(3)] == ["r1"] * 3


async def test_load_counts_for_all_that_a_server_answers() -> None:
    it = balance(2)
    for _ in range(3):
        await it.lease(ADAPTER, ())
    assert [(await it.lease(BASE, ())).upstream.name for _ in range(3)] == ["r1"] * 3


async def test_those_that_failed_already_are_avoided() -> None:
    it = balance(3)
    assert {(await it.lease(BASE, ["r0", "r2"])).upstream.name for _ in range(6)} == {"r1"}
    assert (await it.lease(ADAPTER, ["r0"])).upstream.name == "r0", "there is no other"


async def test_who_fails_again_and_again_is_left_alone_for_a_while_that_grows() -> None:
    time = Time()
    it = balance(2, time, eject_after=3, eject_time=1.0, eject_longest=3.0)

    async def fail() -> None:
        await end(await it.lease(BASE, ["r1"]), ok=False)

    for _ in range(2):
        await fail()
    assert it.health("r0").ejected_until is None
    await fail()
    assert it.health("r0").ejected_until == 1.0
    assert [(await it.lease(BASE, ())).upstream.name for _ in range(4)] == ["r1"] * 4
    time.now = 1.0
    trying = await it.lease(BASE, ["r1"])
    assert trying.upstream.name == "r0"
    assert (await it.lease(BASE, ())).upstream.name == "r1", "one request tries it, no more"
    await end(trying, ok=False)
    assert it.health("r0").ejected_until == 3.0, "twice as long"
    time.now = 3.0
    await fail()
    assert it.health("r0").ejected_until == 6.0, "never longer than that"
    time.now = 6.0
    await end(await it.lease(BASE, ["r1"]), ok=True)
    assert it.health("r0") == it.health("new")
    assert it.ejections == 3


async def test_what_was_under_way_when_an_upstream_failed_makes_its_pause_no_longer() -> None:
    time = Time()
    it = balance(2, time, eject_after=3, eject_time=1.0)
    for lease in [await it.lease(BASE, ["r1"]) for _ in range(8)]:
        await end(lease, ok=False)
    assert (it.health("r0").ejected_until, it.ejections) == (1.0, 1)
    time.now = 1.0
    await end(await it.lease(BASE, ["r1"]), ok=False)
    assert (it.health("r0").ejected_until, it.ejections) == (3.0, 2)


@pytest.mark.parametrize(("count", "left"), [(1, 1), (2, 1), (3, 2), (5, 3)])
async def test_at_most_half_are_left_alone(count: int, left: int) -> None:
    it = balance(count, eject_after=1)
    for place in range(count):
        others = [f"r{other}" for other in range(count) if other != place]
        lease = await it.lease(BASE, others)
        await end(lease, ok=False)
    used = {(await it.lease(BASE, ())).upstream.name for _ in range(8 * count)}
    assert len(used) == left


async def test_what_says_nothing_of_an_upstream_leaves_it_as_it_is() -> None:
    it = balance(1, eject_after=2)
    await end(await it.lease(BASE, ()), ok=False)
    await end(await it.lease(BASE, ()), ok=None)
    assert it.health("r0").failures == 1


async def test_a_line_is_served_in_order() -> None:
    it = balance(1, in_flight=1)
    first, order = await it.lease(BASE, ()), list[int]()

    async def ask(number: int) -> None:
        with await it.lease(BASE, ()) as lease:
            lease.ok = True
            order.append(number)
            await asyncio.sleep(0)

    waiting = []
    for number in range(5):
        waiting.append(asyncio.create_task(ask(number)))
        await asyncio.sleep(0)
    assert it.waiting == 5
    await end(first)
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 4]
    assert it.health("r0").in_flight == 0


async def test_a_line_holds_up_nobody_who_wants_something_else() -> None:
    it = balance(1, queue=1, queue_time=60)
    absent = asyncio.create_task(it.lease(CLOSED, ()))
    await asyncio.sleep(0)
    with pytest.raises(Refused, match="1 requests are waiting already"):
        await it.lease(CLOSED, ())
    async with asyncio.timeout(10):
        leases = [await it.lease(BASE, ()) for _ in range(RouterSettings().in_flight)]
    full = asyncio.create_task(it.lease(BASE, ()))
    await asyncio.sleep(0)
    assert it.waiting == 2, "each line has an end of its own"
    await end(leases[0])
    assert (await full).upstream.name == "r0"
    assert (it.waiting, it.sheds) == (1, 1)
    absent.cancel()
    await asyncio.gather(absent, return_exceptions=True)
    assert it.waiting == 0


async def test_those_that_want_one_upstream_for_different_targets_get_it_in_order() -> None:
    it = balance(1, in_flight=1)
    first, order = await it.lease(BASE, ()), list[int]()

    async def ask(number: int) -> None:
        with await it.lease((BASE, ADAPTER, ADAPTER)[number % 3], ()):
            order.append(number)

    waiting = []
    for number in range(9):
        waiting.append(asyncio.create_task(ask(number)))
        await asyncio.sleep(0)
    waiting[4].cancel()
    await end(first)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == [0, 1, 2, 3, 5, 6, 7, 8]
    assert (it.waiting, it.health("r0").in_flight) == (0, 0)


async def test_a_line_has_an_end() -> None:
    it = balance(1, in_flight=1, queue=2, queue_time=60)
    first = await it.lease(BASE, ())
    waiting = [asyncio.create_task(it.lease(BASE, ())) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Refused, match="2 requests are waiting already") as refused:
        await it.lease(BASE, ())
    assert (refused.value.status, refused.value.retry_after) == (429, 30)
    assert it.sheds == 1
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert it.waiting == 0
    await end(first)
    assert it.health("r0").in_flight == 0, "who gave up waiting holds nothing"


async def test_nobody_waits_for_ever() -> None:
    it = balance(1, in_flight=1, queue_time=0.02)
    await it.lease(BASE, ())
    with pytest.raises(Refused, match="no upstream had room") as refused:
        await it.lease(BASE, ())
    assert refused.value.status == 429


async def test_what_is_only_just_starting_is_waited_for() -> None:
    it = balance(1, queue_time=0.0, load_time=5)
    asking = asyncio.create_task(it.lease(CLOSED, ()))
    await asyncio.sleep(0.02)
    it._upstreams.of[CLOSED] = [Upstream("late", "http://x/v1", "m")]  # type: ignore[attr-defined]
    assert (await asking).upstream.name == "late"


async def test_nothing_is_up() -> None:
    it = balance(1, queue_time=0.0, load_time=0.02)
    with pytest.raises(Refused, match="nothing that serves 'frontier' is up") as refused:
        await it.lease(CLOSED, ())
    assert refused.value.status == 503


async def test_a_target_that_is_not_there() -> None:
    from agentkit.records import Target, TargetKind

    with pytest.raises(Refused, match="the route leads to 'gone-v1', which is not there") as refused:
        await balance(1).lease(Target(TargetKind.ADAPTER, "gone-v1"), ())
    assert refused.value.status == 503


async def test_whoever_drains_is_told_from_the_first_moment() -> None:
    using: Counter[str] = Counter()

    @contextmanager
    def told(upstream: Upstream) -> Iterator[None]:
        using[upstream.name] += 1
        yield
        using[upstream.name] -= 1

    it = Balance(balance(1)._upstreams, RouterSettings(in_flight=1), using=told)
    first = await it.lease(BASE, ())
    assert using["r0"] == 1
    waiting = asyncio.create_task(it.lease(BASE, ()))
    await asyncio.sleep(0)
    await end(first)
    assert using["r0"] == 1, "handed on without a gap in between"
    with await waiting:
        assert using["r0"] == 1
    assert using["r0"] == 0
