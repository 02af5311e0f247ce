"""Objectives, their budgets, and what `/metrics` tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agentkit.config import RouterSettings
from agentkit.records import Arm, ConversationId, Exchange, ResponseId, Target, TargetKind
from agentkit.serve.router import breaches
from agentkit.serve.router.objectives import Objectives
from agentkit.serve.routes import set_canary
from agentkit.serve.status import GONE
from tests.serve.router.instant import Way
from tests.serve.router.kept import real_world
from tests.serve.router.world import ADMIN, BASE, World, world
from tests.store.records import make_adapter

SETTINGS = RouterSettings(availability=0.9, latency=1.0, latency_share=0.75, window=600)


def test_a_budget_and_what_is_left_of_it() -> None:
    it = Objectives(SETTINGS, now=lambda: 0.0)
    for status, seconds in [(200, 0.1)] * 95 + [(502, 0.1)] * 3 + [(429, 0.0)] * 2:
        it.count(status, seconds)
    for status in [400, 422, GONE] * 10:
        it.count(status, 9.0)
    availability, latency = it.budgets()
    assert (availability.bad, availability.of) == (5, 100), (
        "what the caller did wrong, or broke off, is on neither side"
    )
    assert availability.burn == pytest.approx(5 / 100 / 0.1)
    assert availability.left == pytest.approx(1 - 5 / 10)
    assert (latency.bad, latency.of) == (0, 95), "among those that were answered"
    assert it.breaches() == []


def test_a_breach_in_words() -> None:
    it = Objectives(SETTINGS, now=lambda: 0.0)
    for _ in range(20):
        it.count(503, 0.1)
    for _ in range(30):
        it.count(200, 3.0)
    assert it.breaches() == [
        "availability 60.00% of 50 requests, objective 90.00%",
        "latency 0.00% of 30 requests, objective 75.00%",
    ]


def test_prompts_that_are_refused_hide_no_breach() -> None:
    it = Objectives(SETTINGS, now=lambda: 0.0)
    for status in [503] * 30 + [400] * 9_000:
        it.count(status, 0.1)
    assert it.breaches() == ["availability 0.00% of 30 requests, objective 90.00%"]


def test_a_few_requests_are_no_breach() -> None:
    it = Objectives(SETTINGS, now=lambda: 0.0)
    for _ in range(19):
        it.count(503, 0.1)
    assert it.breaches() == []


def test_what_is_long_ago_is_forgotten() -> None:
    now = [0.0]
    it = Objectives(SETTINGS, now=lambda: now[0])
    for _ in range(100):
        it.count(503, 0.1)
    now[0] = 580.0
    assert len(it.breaches()) == 1
    now[0] = 620.0
    assert it.breaches() == []
    it.count(200, 0.1)
    assert len(it._slices) == 1


def exchange(**more: object) -> Exchange:
    plain = Exchange(
        ResponseId("r"), ConversationId("c"), "", "k", "a", "s", 1, Arm.LIVE, BASE, "r0", "m", {}, {}, 200, latency=0.1
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def test_the_same_from_captured_exchanges() -> None:
    good, bad = [exchange()] * 40, [exchange(status=502, error="no"), exchange(error="the stream broke")] * 3
    gone = [exchange(status=GONE, error="the caller hung up"), exchange(status=400, error="the prompt is long")] * 50
    assert breaches([*good, *gone], SETTINGS) == []
    assert breaches([*good, *bad, *gone], SETTINGS) == ["availability 86.96% of 46 requests, objective 90.00%"]
    slow = [exchange(latency=5.0), exchange(latency=5.0, first_token=2.0)] * 20
    quick_to_begin = [exchange(latency=60.0, first_token=0.3)] * 40
    assert len(breaches(slow, SETTINGS)) == 1
    assert breaches(quick_to_begin, SETTINGS) == []


@pytest.mark.slow
def test_a_breach_holds_promotions() -> None:
    done = []
    admin = {"admin": lambda key, body: done.append((key, body["action"])) or {"number": 8}}
    with world(settings=RouterSettings(attempts=1), parts=admin) as it, it.client(ADMIN) as client:
        assert client.post("/v1/admin/routes", json={"action": "promote"}).status_code == 200
        it.upstream.ways = lambda _: Way(status=500)
        for _ in range(20):
            assert it.chat().status_code == 502
        it.exchanges(20)
        answer = client.post("/v1/admin/routes", json={"action": "promote"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "objectives_breached")
        assert "availability 0.00% of 20 requests, objective 99.00%" in answer.json()["error"]["message"]
        assert client.post("/v1/admin/routes", json={"action": "rollback"}).status_code == 200
        assert client.get("/v1/admin/routes").json()["breaches"]
        assert done == [("root", "promote"), ("root", "rollback")]
        assert it.metric("agentkit_objective_breached", slo="availability") == 1
        assert it.metric("agentkit_error_budget_left_ratio", slo="availability") == pytest.approx(-99)


def test_metrics_are_what_prometheus_reads(one: World) -> None:
    one.chat()
    one.chat(stream=True, model="pos/greet")
    one.exchanges(2)
    with one.client(None) as client:
        page = client.get("/metrics")
    found = {it.name: it for it in text_string_to_metric_families(page.text)}
    for name in (
        *("requests", "request_seconds", "first_token_seconds", "tokens", "refused", "retries", "no_consent"),
        *("running_requests", "queue_depth", "sheds", "ejections"),
        *("objective_ratio", "error_budget_left_ratio", "error_budget_burn", "objective_breached"),
        *("capture_offered", "capture_stored", "capture_dropped", "capture_spilled", "capture_depth", "capture_alarm"),
    ):
        assert f"agentkit_{name}" in found, name
    labels = {"agent": "pos", "step": "greet", "target": "refund-v1-3fa9", "arm": "live"}
    assert (one.metric("agentkit_requests_total", **labels, status="200") or 0) >= 1
    assert (one.metric("agentkit_first_token_seconds_count", **labels) or 0) >= 1
    assert (one.metric("agentkit_tokens_total", **labels, kind="output") or 0) >= 3


def test_callers_cannot_make_series_without_end() -> None:
    with world() as it:
        metrics = it.router.metrics
        from agentkit.records import Usage

        for number in range(600):
            metrics.finished((f"agent-{number}", "s", "base", "live"), 200, 0.1, None, Usage())
        other = {"agent": "other", "step": "other", "target": "base", "arm": "live", "status": "200"}
        assert it.metric("agentkit_requests_total", **other) == 100


def test_health_and_readiness(one: World) -> None:
    with one.client(None) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        serving = {"base": 1, "refund-v1-3fa9": 1, "frontier": 1}
        assert client.get("/readyz").json() == {"status": "ready", "revision": 7, "serving": serving}
        gone = one.upstreams.of.pop(BASE)
        try:
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()) == (
                503,
                {"status": "starting", "revision": 7, "serving": serving | {"base": 0}},
            )
        finally:
            one.upstreams.of[BASE] = gone
        one.router.draining = True
        try:
            assert client.get("/readyz").json()["status"] == "draining"
        finally:
            one.router.draining = False


def test_a_canary_that_is_still_loading_makes_no_router_unready(tmp_path: Path) -> None:
    with real_world(tmp_path) as real, real.it.client(None) as client:
        table, canary = real.table, Target(TargetKind.ADAPTER, "refund-v9-77aa")
        table.begin_once_up(lambda name: bool(real.it.upstreams.serving(Target(TargetKind.ADAPTER, name))))
        real.store.add_adapter(make_adapter(canary.name))
        made = set_canary(real.store, "pos", "refund", canary, 0.1, by="cli", why="a test")
        table.refresh()
        answer = client.get("/readyz")
        assert table.current.number == made.number
        assert (answer.status_code, answer.json()) == (
            200,
            {"status": "ready", "revision": 1, "serving": {"base": 1}},
        )
        real.it.upstreams.of[canary] = real.it.upstreams.of[BASE]
        table.refresh()
        serving = {"base": 1, canary.name: 1}
        assert client.get("/readyz").json() == {"status": "ready", "revision": made.number, "serving": serving}
        del real.it.upstreams.of[canary]
        assert client.get("/readyz").status_code == 503, "what answers users by now is missed"


def test_the_models_there_are(one: World) -> None:
    with one.client() as client:
        names = [it["id"] for it in client.get("/v1/models").json()["data"]]
        assert names == ["agentkit", "pos/greet", "pos/hard", "pos/refund"]
        assert client.get("/v1/models/pos/greet").json()["id"] == "pos/greet"
        assert client.get("/v1/models/pos/gr").status_code == 404
