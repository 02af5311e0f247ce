"""Time lost to an endpoint's trouble, told to whoever listens."""

import asyncio
from dataclasses import replace

import pytest

from agentkit.errors import ProviderError
from agentkit.llm.lost import lost_time, tell_lost
from agentkit.llm.retry import Retries
from agentkit.llm.throttle import Throttle


@pytest.fixture
def lost():
    told = []
    token = lost_time.set(told.append)
    yield told
    lost_time.reset(token)


async def test_failed_attempts_and_pauses_are_told_before_the_pause(server, open_chat, ask, time, lost):
    def takes(seconds, reply):
        async def later(writer):
            time.now += seconds
            await reply(writer)

        return later

    server.script = [
        takes(2.0, server.error(429, "slow down", "retry-after: 7")),
        takes(3.0, server.error(503)),
        takes(50.0, server.answer()),
    ]
    told_before = []

    async def pause(seconds):
        told_before.append(list(lost))
        await time.sleep(seconds)

    response = await open_chat(clock=replace(time.clock, sleep=pause)).complete(ask)
    assert lost == [9.0, 4.0]
    assert told_before == [[9.0], [9.0, 4.0]]
    assert response.call.latency == pytest.approx(2.0 + 7.0 + 3.0 + 1.0 + 50.0)


async def test_an_answer_at_once_loses_nothing_and_nobody_need_listen(server, open_chat, ask, lost):
    await open_chat().complete(ask)
    assert lost == []
    token = lost_time.set(None)
    server.script = [server.error(503), server.answer()]
    await open_chat().complete(ask)
    lost_time.reset(token)
    assert lost == []


async def test_a_wait_for_what_befell_others_is_told(server, open_chat, ask, lost):
    server.script = [server.error(429, "slow down", "retry-after: 20"), server.answer()]
    with pytest.raises(ProviderError):
        await open_chat(retries=Retries(attempts=1)).complete(ask)
    assert lost == []
    await open_chat().complete(ask)
    assert lost == [20.0]


async def test_time_in_the_queue_of_a_throttled_endpoint_is_told(time, lost):
    throttle = Throttle(time.clock)
    throttle.hold(0.0)
    entered = asyncio.Event()
    leave = asyncio.Event()

    async def first():
        async with throttle.slot(60.0):
            entered.set()
            await leave.wait()

    async def second():
        async with throttle.slot(60.0):
            return list(lost)

    one = asyncio.create_task(first())
    await entered.wait()
    two = asyncio.create_task(second())
    await asyncio.sleep(0)
    time.now += 12.0
    leave.set()
    assert await two == [12.0]
    await one


async def test_concurrent_tasks_have_listeners_of_their_own():
    async def task(number):
        told = []
        lost_time.set(told.append)
        for _ in range(3):
            await asyncio.sleep(0)
            tell_lost(number)
        return told

    assert await asyncio.gather(*(task(number) for number in range(3))) == [[0] * 3, [1] * 3, [2] * 3]
    assert lost_time.get() is None
