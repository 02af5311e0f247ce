"""Who may come in, and how often."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from agentkit.records import ApiKey, KeyLimits
from agentkit.serve.keys import KeyRing, digest
from agentkit.serve.router import KeyDoor, OpenDoor
from agentkit.serve.router.limits import KeyUse
from agentkit.serve.router.refused import Refused
from tests.serve.router.instant import Way
from tests.serve.router.world import ADMIN, HELLO, KEY, TIGHT, FakeKeys, World, world

PRIVATE = ("/v1/models", "/v1/models/pos", "/v1/admin/routes")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {KEY}",
        KEY,
        f"Bearer {digest(KEY)}",
        "Bearer " + "x" * 9000,
    ],
)
def test_without_a_good_key_nothing_is_told(one: World, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    with httpx.Client(base_url=one.url, headers=headers, trust_env=False) as client:
        answers = [client.get(path) for path in PRIVATE]
        answers += [
            client.post(path, json=HELLO) for path in ("/v1/chat/completions", "/v1/feedback", "/v1/admin/routes")
        ]
    assert {it.status_code for it in answers} == {401}
    assert len({it.text for it in answers}) == 1, "the same words, whatever was wrong"
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert one.upstream.seen == []


def test_only_an_admin_sees_and_changes_routes(one: World) -> None:
    with one.client() as client:
        for answer in (client.get("/v1/admin/routes"), client.post("/v1/admin/routes", json={"action": "rollback"})):
            assert answer.status_code == 403
            assert answer.json()["error"]["type"] == "permission_error"
    with one.client(ADMIN) as client:
        found = client.get("/v1/admin/routes").json()
    assert found["number"] == 7
    assert {"agent": "pos", "step": "greet"}.items() <= found["routes"][2].items()


def test_a_new_key_is_good_at_once_and_a_revoked_one_soon_is_not(one: World) -> None:
    one.keys.rows.append(ApiKey("dave", digest("sk-agentkit-dave"), ""))
    try:
        assert one.chat("sk-agentkit-dave").status_code == 200
        one.keys.rows[-1] = replace(one.keys.rows[-1], revoked_at="2026-01-01T00:00:00Z")
        one.router.parts.door.ring._read_at -= 10
        assert one.chat("sk-agentkit-dave").status_code == 401
    finally:
        one.keys.rows.pop()


async def test_guessing_does_not_ask_the_store() -> None:
    keys = FakeKeys()
    ring = KeyRing(keys, pause=0.01)
    assert keys.asked == 1
    assert await asyncio.gather(*(ring.find(f"guess {guess}") for guess in range(100))) == [None] * 100
    assert keys.asked == 2, "one look for all of them"
    assert await ring.find("x" * 300) is None
    assert keys.asked == 2, "no key is as long as that"


async def test_a_store_in_trouble_shuts_nobody_out(caplog: pytest.LogCaptureFixture) -> None:
    from agentkit.errors import StoreError

    class Broken(FakeKeys):
        def api_keys(self) -> list[ApiKey]:
            if self.asked:
                raise StoreError("the disk is gone")
            return super().api_keys()

    now = [0.0]
    ring = KeyRing(Broken(), now=lambda: now[0])
    now[0] = 100.0
    found = await ring.find(KEY)
    assert found is not None
    assert "the disk is gone" in caplog.text


class Hanging(FakeKeys):
    """A store that answers when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.go_on.set()

    def api_keys(self) -> list[ApiKey]:
        self.go_on.wait()
        return super().api_keys()


async def test_a_store_that_hangs_is_waited_for_once_and_not_for_long(caplog: pytest.LogCaptureFixture) -> None:
    keys, now = Hanging(), [0.0]
    ring = KeyRing(keys, pause=0.0, brief=0.01, long=0.02, now=lambda: now[0])
    keys.go_on.clear()
    try:
        async with asyncio.timeout(10):
            for now[0] in (10.0, 20.0):
                assert await ring.find(KEY) is not None
                with pytest.raises(TimeoutError, match="does not say which keys are good"):
                    await ring.find("sk-agentkit-new")
                with pytest.raises(Refused) as refused:
                    await KeyDoor(ring).admit({"headers": [(b"authorization", b"Bearer sk-agentkit-new")]})
                assert (refused.value.status, refused.value.code) == (503, "keys_unread")
    finally:
        keys.rows[0] = replace(keys.rows[0], revoked_at="2026-01-01T00:00:00Z")
        keys.rows.append(ApiKey("dave", digest("sk-agentkit-new"), ""))
        keys.go_on.set()
    assert ring._reading is not None
    await ring._reading
    assert caplog.text.count("those that were known stay so") == 1
    ring._long = 10.0
    assert await ring.find("sk-agentkit-new") is not None
    assert await ring.find(KEY) is None, "revoked"


async def test_keys_are_read_while_all_other_threads_are_busy() -> None:
    keys, busy, loop = FakeKeys(), threading.Event(), asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    waiting = loop.run_in_executor(None, busy.wait)
    ring = KeyRing(keys, pause=0.0)
    keys.rows.append(ApiKey("dave", digest("sk-agentkit-new"), ""))
    try:
        async with asyncio.timeout(10):
            assert await ring.find("sk-agentkit-new") is not None
    finally:
        busy.set()
        await waiting


def test_a_store_that_hangs_stops_no_request_but_of_unknown_keys() -> None:
    keys = Hanging()
    with world(parts={"door": KeyDoor(KeyRing(keys, brief=0.01, long=0.05))}) as it:
        keys.go_on.clear()
        try:
            answer = it.chat("sk-agentkit-new")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "keys_unread")
            it.router.parts.door.ring._read_at -= 10  # type: ignore[attr-defined]
            assert it.chat(KEY).status_code == 200
        finally:
            keys.go_on.set()


def test_a_key_has_its_limits() -> None:
    with world() as it:
        answers = [it.chat(TIGHT) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        error = answers[-1].json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 21
        assert it.chat(KEY).status_code == 200, "others are none the worse"
        assert it.metric("agentkit_refused_total", status="429", code="rate_limit_exceeded") == 2


def test_feedback_counts_as_a_request_of_its_key() -> None:
    with world(parts={"feedback": lambda key, body: {"of": key}}) as it, it.client(TIGHT) as client:
        answers = [client.post("/v1/feedback", json={"thumb": "up"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
        assert it.chat(TIGHT).status_code == 429, "what may be asked a minute is one"


def test_limits_are_refilled_evenly() -> None:
    now = [0.0]
    use, key = KeyUse(now=lambda: now[0]), ApiKey("k", "", "", limits=KeyLimits(per_minute=60))

    def ask() -> float | None:
        try:
            with use.entered(key):
                return None
        except Refused as refused:
            return refused.retry_after

    assert [ask() for _ in range(60)] == [None] * 60
    assert ask() == pytest.approx(1.0)
    now[0] = 2.0
    assert [ask(), ask()] == [None, None]
    assert ask() is not None
    now[0] = 3600.0
    assert [ask() for _ in range(61)].count(None) == 60, "never more than a minute's worth"


def test_so_many_at_the_same_time() -> None:
    use, key = KeyUse(), ApiKey("k", "", "", limits=KeyLimits(concurrent=2))
    same = pytest.raises(Refused, match="2 requests answered at the same time")
    with use.entered(key), use.entered(key), same, use.entered(key):
        pass
    with use.entered(key):
        pass


def test_a_share_of_the_limits_where_several_processes_have_them() -> None:
    use, key = KeyUse(share=0.5), ApiKey("k", "", "", limits=KeyLimits(concurrent=4))
    with use.entered(key), use.entered(key), pytest.raises(Refused), use.entered(key):
        pass


def test_without_keys_only_this_machine_is_answered() -> None:
    with world(parts={"door": OpenDoor(KeyRing(FakeKeys()))}) as it:
        assert it.chat(None).status_code == 200
        assert it.exchange().key == "anybody"
        for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "0.0.0.0"):
            answer = it.chat(None, headers={"host": host})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_host"), host
        with it.client(None) as client:
            assert client.get("/v1/admin/routes").status_code == 403, "never an admin"
            good = {"authorization": f"Bearer {ADMIN}", "host": "localhost:1"}
            assert client.get("/v1/admin/routes", headers=good).status_code == 200


def test_keys_are_in_no_log(one: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    one.chat("sk-agentkit-guess-this-one")
    one.chat(KEY, model="../x")
    one.upstream.ways = lambda _: Way(status=500)
    one.chat(KEY)
    threading.Event().wait(0.05)
    assert "401" in caplog.text
    for secret in ("sk-agentkit", "theirs"):
        assert secret not in caplog.text
