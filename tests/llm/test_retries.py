"""Trouble, asked again: against a real server, on time that only the client's own pauses move."""

import asyncio
from email.utils import formatdate

import pytest

from agentkit.errors import BudgetExhausted, ProviderError
from agentkit.llm import Budget
from agentkit.llm.openai import OpenAIChat
from agentkit.llm.retry import Retries, retry_after


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
async def test_passing_trouble_is_asked_again(server, open_chat, ask, status):
    server.script = [server.error(status), server.error(status), server.answer()]
    response = await open_chat().complete(ask)
    assert response.content == "Hi."
    assert response.call.attempts == len(server.received) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_what_the_server_rejects_is_not_asked_again(server, open_chat, ask, time, status):
    server.script = [server.error(status, f"no such thing \x1b[31m{'very ' * 200}")]
    with pytest.raises(ProviderError, match=f"HTTP {status}: no such thing") as caught:
        await open_chat().complete(ask)
    assert (caught.value.kind, caught.value.status) == ("rejected", status)
    assert len(server.received) == 1
    assert time.slept == []
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


async def test_no_money_left_is_not_asked_again(server, open_chat, ask):
    body = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    server.script = [server.raw(429, body)]
    with pytest.raises(ProviderError, match="exceeded your quota") as caught:
        await open_chat().complete(ask)
    assert caught.value.kind == "rejected"
    assert len(server.received) == 1


@pytest.mark.parametrize(("status", "kind"), [(408, "timeout"), (409, "server"), (429, "rate_limit"), (500, "server")])
async def test_trouble_that_outlasts_the_retries(server, open_chat, ask, status, kind):
    server.script = [server.error(status, "busy")]
    with pytest.raises(ProviderError, match=rf"HTTP {status}: busy \(4 attempts\)") as caught:
        await open_chat(retries=Retries(attempts=4)).complete(ask)
    assert (caught.value.kind, caught.value.status) == (kind, status)
    assert len(server.received) == 4


async def test_pauses_double_up_to_a_cap_with_full_jitter(server, open_chat, ask, time):
    server.script = [server.error(500)] * 6 + [server.answer()]
    chat = open_chat(retries=Retries(base=1.0, cap=10.0))
    await chat.complete(ask)
    assert time.slept == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    time.slept.clear()
    time.chance = 0.25
    server.script = [server.error(500)] * 3 + [server.answer()]
    await chat.complete(ask)
    assert time.slept == [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("retry-after: 17", 17.0),
        ("retry-after: 1.5", 1.5),
        ("retry-after-ms: 2500", 2.5),
        (f"retry-after: {formatdate(1_700_000_012, usegmt=True)}", 12.0),
    ],
)
async def test_the_servers_wish_is_honoured(server, open_chat, ask, time, header, seconds):
    server.script = [server.error(429, "slow down", header), server.answer()]
    response = await open_chat().complete(ask)
    assert response.call.attempts == 2
    assert response.call.latency == pytest.approx(seconds)
    assert time.slept == [seconds]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0.0),
        ({"retry-after": "Tue, 99 Nov 2023 22:13:00 GMT"}, None),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3.0),
        ({"retry-after-ms": "1", "retry-after": "3"}, 0.001),
    ],
)
def test_retry_after_in_every_form(headers, seconds):
    assert retry_after(headers, now=1_700_000_000.0) == seconds


async def test_a_wish_longer_than_the_patience_is_given_up_at_once(server, open_chat, ask, time):
    server.script = [server.error(429, "tomorrow", "retry-after: 86400"), server.answer()]
    chat = open_chat(retries=Retries(total=60.0))
    with pytest.raises(ProviderError, match=r"tomorrow \(1 attempt\)"):
        await chat.complete(ask)
    with pytest.raises(ProviderError, match=r"asked for a pause of 86400 s \(0 attempts\)") as caught:
        await chat.complete(ask)
    assert caught.value.kind == "rate_limit"
    assert len(server.received) == 1
    assert time.slept == []


async def test_the_total_time_ends_the_retries(server, open_chat, ask, time):
    server.script = [server.error(500)]
    with pytest.raises(ProviderError):
        await open_chat(retries=Retries(attempts=100, total=60.0, base=1.0, cap=8.0)).complete(ask)
    assert time.slept == [1.0, 2.0, 4.0] + [8.0] * 6
    assert len(server.received) == 10


async def test_a_server_that_hangs_up_in_the_middle_is_asked_again(server, open_chat, ask):
    server.script = [server.hang_up, server.answer()]
    response = await open_chat().complete(ask)
    assert (response.content, response.call.attempts) == ("Hi.", 2)


async def test_a_server_that_always_hangs_up(server, open_chat, ask):
    server.script = [server.hang_up]
    with pytest.raises(ProviderError, match="RemoteProtocolError") as caught:
        await open_chat(retries=Retries(attempts=2)).complete(ask)
    assert caught.value.kind == "connection"


async def test_a_server_that_drips_bytes_runs_into_the_timeout(server, open_chat, ask):
    server.script = [server.drip]
    chat = open_chat(timeout=0.2, retries=Retries(attempts=2))
    with pytest.raises(ProviderError, match=r"no whole answer within 0.2 s \(2 attempts\)") as caught:
        await asyncio.wait_for(chat.complete(ask), 60)  # Rather than for ever.
    assert caught.value.kind == "timeout"
    assert len(server.received) == 2


async def test_every_attempt_counts_in_the_budget(server, open_chat, ask):
    server.script = [server.error(500), server.error(500), server.answer()]
    budget = Budget(max_calls=5)
    chat = open_chat(budget=budget)
    await chat.complete(ask)
    assert budget.totals.calls == 3
    server.script = [server.error(500)]
    with pytest.raises(BudgetExhausted):
        await chat.complete(ask)
    assert budget.totals.calls == len(server.received) == 5


async def test_fifty_at_once_never_go_beyond_the_budget(server, open_chat, ask):
    server.script = [server.error(500), server.answer()] + [server.error(503), server.answer()] * 100
    budget = Budget(max_calls=23)
    chats = [open_chat(budget=budget) for _ in range(5)]
    outcomes = await asyncio.gather(*(chats[index % 5].complete(ask) for index in range(50)), return_exceptions=True)
    assert len(server.received) == budget.totals.calls == 23
    refused = [outcome for outcome in outcomes if isinstance(outcome, BudgetExhausted)]
    answered = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(refused) + len(answered) == 50
    assert budget.totals.usage.input_tokens == 100 * len(answered)


async def test_after_a_429_all_requests_to_the_endpoint_wait(server, open_chat, ask, time):
    server.script = [server.error(429, "slow down", "retry-after: 20"), server.answer()]
    with pytest.raises(ProviderError):
        await open_chat(retries=Retries(attempts=1)).complete(ask)
    assert time.slept == []
    other = await open_chat().complete(ask)
    assert (other.call.attempts, other.call.latency) == (1, 20.0)
    assert time.slept == [20.0]


async def test_after_a_429_fewer_requests_are_under_way_at_once(server, open_chat, ask, time):
    under_way = []

    async def reply(writer):
        if time.now < 1001.0:
            await server.error(429, "slow down", "retry-after: 1")(writer)
        else:
            under_way.append(server.under_way)
            await server.answer()(writer)

    server.takes = 0.01
    server.script = [reply]
    time.together = asyncio.Barrier(16)
    chat = open_chat()
    await asyncio.gather(*(chat.complete(ask) for _ in range(16)))
    assert len(under_way) == 16
    assert 2 <= max(under_way) <= 12


async def test_models_of_one_endpoint_share_a_throttle_without_being_told(server, ask):
    server.script = [server.error(429, "slow down", "retry-after: 3600"), server.answer()]
    one, two = OpenAIChat(server.url, "one"), OpenAIChat(server.url, "two")
    with pytest.raises(ProviderError, match="slow down"):
        await one.complete(ask)
    with pytest.raises(ProviderError, match="asked for a pause"):
        await two.complete(ask)
    assert len(server.received) == 1
    await one.close()
    await two.close()
