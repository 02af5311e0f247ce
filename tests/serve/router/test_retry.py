"""Upstreams that fail: another one is asked as long as nothing was answered, and what broke off says so."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agentkit.config import RouterSettings
from agentkit.serve.upstream import Upstream
from tests.serve.router.instant import Way
from tests.serve.router.world import BASE, World, world


def failing(two: World, way: Way) -> None:
    """The first upstream that is asked behaves so, the other one well."""
    asked: list[int] = []
    for place, instant in enumerate(two.instants):

        def ways(_: object, place: int = place) -> Way:
            asked.append(place)
            return way if place == asked[0] else Way()

        instant.ways = ways


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "way",
    [
        Way(status=500),
        Way(status=502),
        Way(status=503),
        Way(status=504),
        Way(status=429),
        Way(status=401, body=b'{"error": {"message": "wrong key sk-abcdefghijklmnop123456"}}'),
        Way(status=404, body=b'{"error": {"message": "The model `x` does not exist."}}'),
        Way(cut_after=0),
        Way(body=b"this is no JSON"),
        Way(body=b'{"choices": []}'),
        Way(body=b'data: {"error": {"message": "the engine is dead"}}\n\n'),
        Way(body=b""),
    ],
    ids=lambda it: f"{it.status}-{(it.body or b'').decode()[:12]}" if isinstance(it, Way) else "",
)
def test_another_one_answers(two: World, way: Way, stream: bool) -> None:
    failing(two, way)
    answer = two.chat(stream=stream)
    assert answer.status_code == 200, answer.text
    assert "well" in answer.text
    kept = two.exchange()
    assert (kept.status, kept.attempts, kept.error) == (200, 2, None)


def test_none_does(two: World) -> None:
    for instant in two.instants:
        instant.ways = lambda _: Way(status=500, body=b'{"error": {"message": "out\\u001b[2J of <b>memory</b>"}}')
    answer = two.chat()
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert error["type"] == "server_error"
    assert "HTTP 500: out" in error["message"]
    assert "\x1b" not in error["message"]
    kept = two.exchange()
    assert (kept.status, kept.attempts, kept.response) == (502, 4, None)
    assert kept.error == error["message"]
    assert sum(len(it.seen) for it in two.instants) == 4
    assert answer.headers["x-request-id"] == kept.id


def test_what_the_caller_did_wrong_is_passed_on(two: World) -> None:
    body = b'{"error": {"message": "max_tokens is too large", "code": 400}}'
    for instant in two.instants:
        instant.ways = lambda _: Way(status=400, body=body)
    answer = two.chat()
    assert answer.status_code == 400
    assert "max_tokens is too large" in answer.json()["error"]["message"]
    assert two.exchange().attempts == 1, "another one would say the same"


def test_an_upstream_without_room(two: World) -> None:
    for instant in two.instants:
        instant.ways = lambda _: Way(status=429, headers=((b"retry-after", b"7"),))
    answer = two.chat()
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 7


def test_secrets_in_what_an_upstream_says_are_not_passed_on(two: World) -> None:
    body = b'{"error": {"message": "no access with sk-abcdefghijklmnop123456"}}'
    for instant in two.instants:
        instant.ways = lambda _: Way(status=500, body=body)
    assert "sk-abc" not in two.chat().text


def test_nobody_listens(two: World) -> None:
    serving = two.upstreams.of[BASE]
    dead = Upstream("dead", "http://127.0.0.1:9/v1", "tiny")
    try:
        two.upstreams.of[BASE] = [dead, serving[0]]
        assert all(two.chat().status_code == 200 for _ in range(8))
        assert two.router.balance.health("dead").failures > 0
        assert {it.replica for it in two.exchanges(8)} == {serving[0].name}
    finally:
        two.upstreams.of[BASE] = serving


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_stream_that_breaks_says_so(two: World, count: int) -> None:
    failing(two, Way(cut_after=count))
    answer = two.chat(stream=True)
    assert answer.status_code == 200
    events = [it for it in answer.text.split("\n\n") if it]
    assert len(events) == count + 1
    assert "data: [DONE]" not in events, "it is not done"
    name, data = events[-1].split("\n")
    assert name == "event: error"
    error = json.loads(data.removeprefix("data: "))["error"]
    assert (error["type"], error["code"]) == ("server_error", "stream_broken")
    kept = two.exchange()
    assert kept.attempts == 1
    assert "broke" in (kept.error or "")
    assert two.metric("agentkit_error_budget_burn", slo="availability"), "it counts as failed"


def test_a_stream_without_an_end_is_broken(two: World) -> None:
    failing(two, Way(finish=None, tail=()))
    assert "event: error" in two.chat(stream=True).text
    failing(two, Way(tail=()))
    assert "event: error" not in two.chat(stream=True).text, "it said why it finished"


@pytest.mark.slow
def test_too_slow_is_not_tried_again() -> None:
    with world(2) as it:
        for target, serving in it.upstreams.of.items():
            it.upstreams.of[target] = [replace(up, timeout=0.05) for up in serving]
        for instant in it.instants:
            instant.ways = lambda _: Way(hang=1)
        answer = it.chat()
        assert answer.status_code == 504
        assert it.exchange().attempts == 1
        assert answer.json()["error"]["code"] == "upstream_timeout"


@pytest.mark.slow
def test_a_stream_that_stalls() -> None:
    with world(settings=RouterSettings(idle_time=0.05)) as it:
        it.upstream.ways = lambda _: Way(pause=0.5)
        answer = it.chat(stream=True)
        assert "event: error" in answer.text
        assert "nothing more within" in answer.text


def test_retries_have_a_budget() -> None:
    with world(2, RouterSettings(retry_share=0.0)) as it:
        it.router._chats._relay._budget._left = 2
        for instant in it.instants:
            instant.ways = lambda _: Way(status=500)
        assert [it.chat().status_code for _ in range(3)] == [502] * 3
        assert [kept.attempts for kept in it.exchanges(3)] == [3, 1, 1]
