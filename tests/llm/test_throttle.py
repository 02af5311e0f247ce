"""The gate that all requests to an endpoint pass."""

import asyncio
import math

import pytest

from agentkit.llm.throttle import Held, Throttle, shared_throttle


class Crowd:
    """Requests that pass a throttle and stay until they are let go."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self.inside: list[int] = []
        self.leave = [asyncio.Event() for _ in range(20)]
        self.tasks: list[asyncio.Task[None]] = []

    async def send(self, count: int) -> None:
        for _ in range(count):
            self.tasks.append(asyncio.create_task(self.request(len(self.tasks))))
        await self.settle()

    async def request(self, number: int) -> None:
        async with self.throttle.slot(60.0):
            self.inside.append(number)
            await self.leave[number].wait()
            self.inside.remove(number)

    async def let_go(self, *numbers: int) -> None:
        for number in numbers:
            self.leave[number].set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


async def test_there_is_no_limit_until_the_server_refuses(time):
    crowd = Crowd(Throttle(time.clock))
    await crowd.send(20)
    assert len(crowd.inside) == crowd.throttle.under_way == 20
    await crowd.let_go(*range(20))
    assert crowd.throttle.under_way == 0
    crowd.throttle.answered()
    assert crowd.throttle.limit == math.inf


async def test_a_refusal_halves_what_may_be_under_way_and_newcomers_queue_in_order(time):
    crowd = Crowd(Throttle(time.clock))
    await crowd.send(8)
    crowd.throttle.hold(5.0)
    assert crowd.throttle.limit == 4
    await crowd.send(2)
    assert time.slept == [5.0, 5.0]
    assert crowd.inside == list(range(8))
    await crowd.let_go(0, 1, 2, 3)
    assert crowd.inside == [4, 5, 6, 7]
    await crowd.let_go(4)
    assert crowd.inside == [5, 6, 7, 8]
    await crowd.let_go(5)
    assert crowd.inside == [6, 7, 8, 9]
    await crowd.let_go(6, 7, 8, 9)


async def test_many_refusals_of_one_burst_count_once_and_the_longest_pause_holds(time):
    crowd = Crowd(Throttle(time.clock))
    await crowd.send(8)
    for seconds in (5.0, 9.0, 1.0):
        crowd.throttle.hold(seconds)
    assert crowd.throttle.limit == 4
    assert crowd.throttle.held == 9.0
    time.now += 9.0
    crowd.throttle.hold(1.0)
    assert crowd.throttle.limit == 2
    await crowd.let_go(*range(8))


async def test_answers_raise_the_limit_by_one_a_round_and_it_never_falls_below_one(time):
    throttle = Throttle(time.clock)
    throttle.hold(0.0)
    assert throttle.limit == 1
    throttle.answered()
    assert throttle.limit == 2
    throttle.answered()
    throttle.answered()
    assert 2.8 < throttle.limit < 3.0


async def test_whoever_gives_up_waiting_takes_nobodys_turn(time):
    crowd = Crowd(Throttle(time.clock))
    crowd.throttle.hold(0.0)
    await crowd.send(3)
    assert crowd.inside == [0]
    crowd.tasks[1].cancel()
    await crowd.let_go(0)
    assert crowd.inside == [2]
    crowd.tasks[2].cancel()
    await crowd.settle()
    assert crowd.throttle.under_way == 0


async def test_a_pause_beyond_ones_patience_is_not_waited_for(time):
    throttle = Throttle(time.clock)
    throttle.hold(61.0)
    with pytest.raises(Held, match="a pause of 61 s"):
        async with throttle.slot(60.0):
            pytest.fail("let in")
    assert time.slept == []
    async with throttle.slot(61.0):
        assert time.slept == [61.0]


async def test_an_endpoints_throttle_is_shared_while_it_is_used():
    first = shared_throttle("http://a:1")
    assert shared_throttle("http://a:1") is first
    assert shared_throttle("http://b:1") is not first
    first.hold(1000.0)
    del first
    assert shared_throttle("http://a:1").held < 0


def test_event_loops_share_nothing():
    async def held() -> tuple[Throttle, float]:
        throttle = shared_throttle("http://a:1")
        before = throttle.held
        throttle.hold(1000.0)
        return throttle, before

    one, two = asyncio.run(held()), asyncio.run(held())
    assert one[0] is not two[0]
    assert two[1] < 0
