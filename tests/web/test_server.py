"""What the server answers, and whom."""

from __future__ import annotations

import socket

import httpx
import pytest

from agentkit.store import Store
from agentkit.web import Viewer
from agentkit.web.guarded import LoopbackServer
from tests.report.test_hostile import PAYLOADS
from tests.web.conftest import AddRun, add_trials


def test_a_run_in_progress_shows_how_far_it_is(client: httpx.Client, store: Store, add_run: AddRun) -> None:
    add_run("a", played=12, status="running")
    (row,) = client.get("/api/runs").json()["runs"]
    assert (row["status"], row["played"], row["planned"]) == ("running", 12, 24)
    add_trials(store, "a", 12, 24)
    store.update_run("a", status="finished", spent={})  # type: ignore[arg-type]
    (row,) = client.get("/api/runs").json()["runs"]
    assert (row["status"], row["played"], row["pending"]) == ("finished", 24, False)
    assert row["compounded"].endswith("%")
    assert "–" in row["range"]


@pytest.mark.slow
def test_the_report_is_that_of_now(client: httpx.Client, store: Store, add_run: AddRun) -> None:
    add_run("20260101-aa", played=12, status="running")
    page = client.get("/run/20260101")
    assert page.status_code == 200
    assert "12 trials of 24 are still to be played" in page.text
    assert client.get("/run/20260101-aa").text == page.text
    add_trials(store, "20260101-aa", 12, 24)
    assert "still to be played" not in client.get("/run/last").text


@pytest.mark.slow
def test_run_against_run_is_judged_as_the_gate_judges(client: httpx.Client, add_run: AddRun) -> None:
    add_run("good", every=1000)
    add_run("bad", every=1, status="interrupted")
    page = client.get("/compare", params={"base": "good", "candidate": "bad"})
    assert page.status_code == 200
    assert '<p class="outcome fail">Fail</p>' in page.text
    assert "run good of 2026" in page.text
    assert "run bad is not finished (interrupted)" in page.text
    assert '<p class="outcome fail">' not in client.get("/compare", params={"base": "bad", "candidate": "good"}).text


def test_a_comparison_that_cannot_be_made_says_why(client: httpx.Client, add_run: AddRun) -> None:
    add_run("good")
    add_run("empty", played=0)
    for query, status, said in (
        ("", 400, "expected one run for each side"),
        ("?base=good&base=good&candidate=good", 400, "expected one run for each side"),
        ("?base=good&candidate=good", 400, "both sides are run good"),
        ("?base=good&candidate=empty", 409, "run empty: nothing was played yet"),
        ("?base=goof&candidate=good", 404, "did you mean &#39;good&#39;?"),
        ("?base=good&candidate=../runs.json", 404, "no run"),
    ):
        page = client.get("/compare" + query)
        assert (page.status_code, said in page.text) == (status, True), query


def test_an_unknown_run_and_other_paths_are_not_found(client: httpx.Client, add_run: AddRun) -> None:
    add_run("20260101-aa")
    page = client.get("/run/20260101-ab")
    assert page.status_code == 404
    assert "did you mean &#39;20260101-aa&#39;?" in page.text
    assert client.get("/run/").status_code == 404
    assert client.get("/favicon.ico").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../server.py",
        "/assets/%2e%2e/server.py",
        "/../../etc/passwd",
        "/run/../../etc/passwd",
        "/run/%2e%2e%2f",
    ],
)
def test_no_path_leads_to_a_file(viewer: Viewer, add_run: AddRun, path: str) -> None:
    add_run("a")
    answer = raw(viewer, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{viewer.port}\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 404 ")
    assert "root:" not in answer


def test_another_host_name_is_refused(client: httpx.Client, viewer: Viewer) -> None:
    for host in (
        "evil.example",
        f"evil.example:{viewer.port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"0.0.0.0:{viewer.port}",
        "",
    ):
        assert client.get("/api/runs", headers={"Host": host}).status_code == 403, host
    for host in (f"127.0.0.1:{viewer.port}", f"LOCALHOST:{viewer.port}"):
        assert client.get("/api/runs", headers={"Host": host}).status_code == 200, host
    assert raw(viewer, "GET / HTTP/1.0\r\n\r\n").startswith("HTTP/1.1 403 ")


def test_other_sites_may_link_and_no_more(client: httpx.Client) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=link).status_code == 200
    for change in ({"Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}):
        for site in ("cross-site", "same-site"):
            assert client.get("/", headers={**link, **change, "Sec-Fetch-Site": site}).status_code == 403


def test_nothing_can_be_changed(client: httpx.Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        answer = client.request(method, "/")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET"), method


def test_it_listens_on_loopback_alone_and_every_answer_is_guarded(client: httpx.Client, viewer: Viewer) -> None:
    assert viewer.server_address[0] == "127.0.0.1"
    for path in ("/", "/nothing", "/api/runs", "/history", "/assets/view.css", "/assets/view.js"):
        headers = client.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.slow
def test_hostile_names_are_texts_wherever_they_stand(client: httpx.Client, add_run: AddRun) -> None:
    text = "".join(PAYLOADS)
    for n in range(2):
        add_run(f"{n}{text}", agent=text, created_at=f"2026-0{n + 1}-01T00:00:00+00:00")
    rows = client.get("/api/runs").json()["runs"]
    assert "⟨U+202E⟩" in rows[0]["agent"] + rows[0]["shown"]
    for path in ("/history", f"/run/{'x'}<script>", "/<script>alert(1)</script>", rows[0]["path"]):
        page = client.get(path)
        assert "<script>window.pwned" not in page.text
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text


def raw(viewer: LoopbackServer, request: str) -> str:
    """The answer to these very bytes, whatever a client library would make of them."""
    with socket.create_connection(("127.0.0.1", viewer.port), timeout=30) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")
