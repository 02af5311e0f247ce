"""Bytes sent to a URL that is no model's: what agents behind HTTP share with chat models."""

import httpx
import pytest

from agentkit.errors import ConfigError, ProviderError
from agentkit.llm import Budget
from agentkit.llm.endpoint import checked_headers, checked_url
from agentkit.llm.post import Post
from agentkit.llm.retry import Retries
from agentkit.llm.throttle import Throttle

SECRET = "correct-horse-battery-staple"


@pytest.fixture
async def open_post(server, time):
    opened = []
    throttle = Throttle(time.clock)

    def open_(**settings):
        defaults = {"headers": {}, "timeout": 60.0, "clock": time.clock, "throttle": throttle}
        opened.append(Post("the shop", httpx.URL(server.url), **defaults | settings))
        return opened[-1]

    yield open_
    for post in opened:
        await post.close()


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_bytes_go_out_and_bytes_come_back(server, open_post, time, method):
    server.script = [server.error(503), server.error(429, "slow down", "retry-after: 7"), server.raw(200, b"\xff\x00")]
    budget = Budget()
    posted = await open_post(budget=budget).send(b'{"a": 1}', method=method)
    assert (posted.content, posted.attempts, posted.latency) == (b"\xff\x00", 3, 7.5)
    assert time.slept == [0.5, 7.0]
    assert budget.totals.calls == 3
    assert [(it.method, it.path, it.body) for it in server.received] == [(method, "/v1", {"a": 1})] * 3


async def test_a_content_type_of_ones_own_wins(server, open_post):
    await open_post().send(b"{}")
    await open_post(headers={"Content-Type": "application/vnd.shop+json"}).send(b"{}")
    sent = [received.headers["content-type"] for received in server.received]
    assert sent == ["application/json", "application/vnd.shop+json"]


async def test_cookies_are_not_kept(server, open_post):
    server.script = [server.raw(200, b"{}", "set-cookie: session=first; Path=/")]
    post = open_post()
    for _ in range(2):
        await post.send(b"{}")
    assert all("cookie" not in received.headers for received in server.received)


async def test_the_end_of_the_patience_names_who_and_where_without_secrets(server, open_post, caplog):
    caplog.set_level("DEBUG")
    server.script = [server.error(503, f"not for {SECRET}")]
    post = open_post(headers={"x-shop": SECRET}, secrets=[SECRET], retries=Retries(attempts=2))
    with pytest.raises(ProviderError) as caught:
        await post.send(b"{}")
    assert str(caught.value) == f"the shop at {server.url}: HTTP 503: not for [redacted] (2 attempts)"
    assert (caught.value.kind, caught.value.status) == ("server", 503)
    assert "attempt 1 failed" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("url", ["http://me:hunter2@host/v1", "http://host/v1?token=hunter2"])
def test_a_url_that_holds_a_secret_is_refused(url):
    with pytest.raises(ConfigError, match="place: holds a user, password or key") as caught:
        checked_url(url, "place", "the_setting")
    assert str(caught.value).endswith("name that in the_setting")
    assert "hunter2" not in str(caught.value)


def test_a_header_that_is_a_secret_is_refused():
    assert checked_headers({"x-team": "returns"}, "place", "the_setting") == {"x-team": "returns"}
    with pytest.raises(ConfigError, match="place: 'Authorization' is a secret") as caught:
        checked_headers({"Authorization": "hunter2"}, "place", "the_setting")
    assert "hunter2" not in str(caught.value)
