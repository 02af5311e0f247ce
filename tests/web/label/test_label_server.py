"""What the label page's server takes, and from whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import httpx
import pytest

from agentkit.errors import UsageError
from agentkit.records import Feedback, FeedbackKind, Source
from agentkit.store import Store
from agentkit.web.label import Labeller
from agentkit.web.label.sent import Seals
from tests.collect.feedback.talks import said
from tests.report.test_hostile import PAYLOADS
from tests.web.label.conftest import Serve, captured, refunds
from tests.web.test_server import raw

Client = Callable[[Labeller], httpx.Client]


class Person:
    """Somebody with a browser, as far as forms go."""

    def __init__(self, client: httpx.Client, labeller: Labeller) -> None:
        self.client = client
        self.origin = labeller.url.rstrip("/")

    def token(self, page: str = "/") -> str:
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.client.get(page).text)
        assert found is not None
        return found[1]

    def send(self, path: str, *, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        told = {"token": self.token()} | fields
        return self.client.post(path, data=told, headers={"Origin": self.origin, **(headers or {})})


@pytest.fixture
def labeller(store: Store, serve: Serve) -> Labeller:
    store.add_exchanges(refunds(3))
    return serve()


@pytest.fixture
def ann(client: Client, labeller: Labeller) -> Person:
    return Person(client(labeller), labeller)


def test_a_verdict_is_recorded_and_leads_to_the_next(ann: Person, store: Store) -> None:
    page = ann.client.get("/").text
    (response,) = re.findall(r'name="response" value="([^"]+)"', page)
    answer = ann.send("/label", response=response, mark="wrong", comment="in cash\r\nagain")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?said=wrong")
    (label,) = store.feedback(source=Source.EXPERT)
    assert (label.by, label.response, label.value, label.text) == ("ann", response, 0.0, "in cash\nagain")
    page = ann.client.get("/?said=wrong").text
    assert "Judged wrong." in page
    assert "1 judged, 5 open" in page
    assert f'value="{response}"' not in page
    assert "You have judged it: <strong>wrong</strong>" in ann.client.get(f"/item/{response}").text
    assert ann.send("/undo").headers["Location"] == f"/item/{response}?said=undone"
    assert store.feedback() == []
    assert ann.send("/undo").headers["Location"] == "/?said=nothing"


def test_a_better_call_and_a_better_text_are_recorded(ann: Person, store: Store) -> None:
    arguments = '{\r\n  "sale": "S-1"\r\n}'
    sent = ann.send(
        "/label", response="r1.refund", mark="better", form="call", tool="refund", arguments=arguments, text="ignored"
    )
    assert sent.status_code == 303
    ann.send("/label", response="r1.say_amount", mark="better", text="You get 59.90 back, on your card.")
    call, text = store.feedback(source=Source.EXPERT)
    assert call.kind is text.kind is FeedbackKind.CORRECTION
    assert call.answer is not None
    assert call.answer["tool_calls"][0]["function"] == {"name": "refund", "arguments": '{"sale":"S-1"}'}
    assert text.answer == {"role": "assistant", "content": "You get 59.90 back, on your card."}


@pytest.mark.parametrize(
    ("given", "mended"),
    [('{"total":59.90,"to":"card"}', '{"total":60,"to":"card"}'), ('{"total": 59.90}', '{"total": 60}')],
)
def test_json_is_laid_out_to_be_mended_and_kept_in_its_own_spacing(
    client: Client, store: Store, serve: Serve, given: str, mended: str
) -> None:
    request = {"messages": [{"role": "user", "content": "How much?"}], "response_format": {"type": "json_object"}}
    store.add_exchanges(
        [captured("r", "c", "total", request=request, response={"role": "assistant", "content": given})]
    )
    labeller = serve()
    ann = Person(client(labeller), labeller)
    found = re.search(r'(?s)<textarea name="text".*?>\n(.*?)</textarea>', ann.client.get("/item/r").text)
    assert found is not None
    stood = unescape(found[1])
    assert stood.startswith('{\n  "total": 59.90')
    as_browsers_do = stood.replace("\n", "\r\n")
    untouched = ann.send("/label", response="r", mark="better", text=as_browsers_do)
    assert untouched.status_code == 400
    assert "is the one that was given" in untouched.text
    assert ann.send("/label", response="r", mark="better", text=as_browsers_do.replace("59.90", "60")).is_redirect
    (label,) = store.feedback(source=Source.EXPERT)
    assert label.answer == {"role": "assistant", "content": mended}


@pytest.mark.slow
def test_what_cannot_be_kept_comes_back_to_be_mended(ann: Person, store: Store) -> None:
    for fields, words in (
        ({"form": "call", "tool": "refund", "arguments": "{sale}"}, "arguments: found what is no JSON"),
        ({"form": "call", "tool": "refund", "arguments": "{}"}, "&#39;sale&#39; is a required property"),
        ({"form": "call", "tool": "refnd", "arguments": "{}"}, "did you mean &#39;refund&#39;?"),
        ({"form": "message", "message": '{"role": "user"}'}, "expected &#39;assistant&#39;"),
        ({"form": "text", "text": "  "}, "better answer: is empty"),
    ):
        page = ann.send("/label", response="r1.refund", mark="better", comment="so & so", **fields)
        assert page.status_code == 400, fields
        assert words in page.text
        assert "so &amp; so" in page.text
        assert '<details id="better" open>' in page.text
        sent = [value for name, value in fields.items() if name != "message"]
        assert all(value.replace("'", "&#39;").replace('"', "&#34;") in page.text for value in sent)
    assert store.feedback() == []


def test_a_second_verdict_of_another_kind_is_refused(ann: Person, store: Store) -> None:
    ann.send("/label", response="r1.refund", mark="right")
    assert ann.send("/label", response="r1.refund", mark="right").status_code == 303
    assert ann.send("/label", response="r1.refund", mark="wrong").status_code == 409
    assert ann.send("/label", response="r1.refund", mark="maybe").status_code == 400
    assert ann.send("/label", response="r9", mark="right").status_code == 404
    assert len(store.feedback()) == 1


def test_an_answer_that_is_forgotten_while_it_is_judged_is_gone(
    ann: Person, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = store.add_feedback

    def late(it: Feedback) -> bool:
        store.forget("user-1", [it.conversation])
        return add(it)

    monkeypatch.setattr(store, "add_feedback", late)
    page = ann.send("/label", response="r1.refund", mark="right")
    assert (page.status_code, "S-1" in page.text) == (404, False)
    assert "the answer r1.refund is gone" in page.text
    assert store.feedback() == []


def test_no_other_site_changes_anything(ann: Person, store: Store) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "evil.example"},
        {"Cookie": "x=y", "Origin": "http://evil.example:80"},
    ):
        assert ann.send("/label", headers=headers, response="r1.refund", mark="right").status_code == 403, headers
        assert ann.send("/undo", headers=headers).status_code == 403, headers
    assert store.feedback() == []


@pytest.mark.slow
def test_a_form_without_its_token_changes_nothing(ann: Person, store: Store, labeller: Labeller) -> None:
    fields = {"response": "r1.refund", "mark": "right"}
    for token in ("", "0" * 64, "\u202e", Seals().token("ann"), labeller.seals.token("bob"), labeller.seals.token("")):
        assert ann.send("/label", token=token, **fields).status_code == 403, token
    assert store.feedback() == []


def test_only_small_forms_are_read(ann: Person, labeller: Labeller) -> None:
    def post(content: bytes, **headers: str) -> int:
        always = {"Origin": ann.origin, "Content-Type": "application/x-www-form-urlencoded"}
        return ann.client.post("/label", content=content, headers=always | headers).status_code

    assert post(b"x" * 1_000_001) == 413
    assert post(b"{}", **{"Content-Type": "application/json"}) == 415
    assert post(b"{}", **{"Content-Type": "text/plain"}) == 415
    assert post(b"&".join(b"a%d=1" % n for n in range(40))) == 400
    assert post(b"mark=right&mark=wrong") == 400
    assert post(b"\xff\xfe=1") == 400
    assert post(b"a=%ff") == 400
    for length in ("Content-Length: -7", "Content-Length: 7e1", "X: 1", f"Content-Length: {'9' * 5000}"):
        head = f"POST /label HTTP/1.1\r\nHost: 127.0.0.1:{labeller.port}\r\nOrigin: {ann.origin}\r\n"
        kind = "Content-Type: application/x-www-form-urlencoded\r\n"
        assert raw(labeller, f"{head}{kind}{length}\r\n\r\n")[9:12] in ("411", "413"), length
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"):
        assert ann.client.request(method, "/label").status_code == 405


def test_it_asks_who_judges_and_remembers(client: Client, store: Store, serve: Serve) -> None:
    store.add_exchanges(refunds(1))
    labeller = serve(None)
    bob = Person(client(labeller), labeller)
    assert "Who is judging?" in bob.client.get("/").text
    assert bob.send("/label", response="r0.refund", mark="right").status_code == 404
    assert bob.send("/name", name="<b>").status_code == 400
    assert bob.send("/name", name=" Bob ").status_code == 303
    assert bob.send("/label", response="r0.refund", mark="right").status_code == 303
    assert store.feedback()[0].by == "Bob"
    cookie = bob.client.cookies[labeller.cookie]
    for forged in (f"ann.{cookie.rpartition('.')[2]}", "ann", "ann.", f"{Seals().cookie('x', 'ann')}", '"'):
        stranger = httpx.get(labeller.url, headers={"Cookie": f"{labeller.cookie}={forged}"}, trust_env=False)
        assert "Who is judging?" in stranger.text


@pytest.mark.parametrize(
    "header",
    [
        "{own}",
        "prefs=dark mode; {own}",
        'prefs={{"theme":"dark"}};{own}',
        'alone; x="; {own}',
        "{name}=Ann.é; {name}=Ann.0; {name}; {own}; prefs=dark mode",
    ],
)
def test_cookies_of_other_programs_do_not_hide_its_own(header: str) -> None:
    seals, name = Seals(), "agentkit-label-8322"
    own = seals.cookie(name, "Ann Ö.").partition(";")[0]
    assert seals.expert(name, header.format(own=own, name=name)) == "Ann Ö."
    assert Seals().expert(name, header.format(own=own, name=name)) is None
    assert seals.expert("agentkit-label-8323", header.format(own=own, name=name)) is None


def test_only_those_who_may_judge_do(client: Client, store: Store, serve: Serve) -> None:
    labeller = serve(None, experts=("ann", "bob"))
    eve = Person(client(labeller), labeller)
    assert '<option value="bob">' in eve.client.get("/").text
    assert eve.send("/name", name="eve").status_code == 400
    assert eve.send("/name", name="ann").status_code == 303
    with pytest.raises(UsageError, match="'eve' may not judge here"):
        Labeller(store, labeller.settings, expert="eve")


@pytest.mark.slow
def test_every_answer_is_guarded(ann: Person) -> None:
    for path in ("/", "/queue", "/agreement", "/item/r1.refund", "/item/none", "/nothing", "/assets/label.css"):
        headers = ann.client.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
        assert headers["Referrer-Policy"] == "same-origin", "else the browser would not say where a form comes from"
    assert ann.client.get("/item/none").status_code == ann.client.get("/assets/../server.py").status_code == 404
    assert ann.client.get("/", headers={"Host": "evil.example"}).status_code == 403


def test_queue_and_agreement_say_what_is_known(ann: Person, store: Store) -> None:
    store.add_feedback(said("c1", 0.0, response="r1.refund"))
    store.add_feedback(said("c1", 1.0, response="r1.refund", source=Source.JUDGE))
    now = captured("x", "x", "x").at
    for n, value in enumerate((1.0, 1.0, 0.0, 0.0)):
        for by, other in (("ann", value), ("bob", 1.0 if n == 3 else value)):
            told = said(f"c{n}", other, response=f"lot{n}", source=Source.EXPERT, by=by, at=now)
            store.add_feedback(told)
    page = ann.client.get("/agreement").text
    assert "Below 10 answers it says next to nothing." in page
    queue = ann.client.get("/queue").text
    assert queue.count("<tr>") == 7
    assert "by score" in queue


def test_hostile_texts_are_texts(client: Client, store: Store, serve: Serve) -> None:
    text = "".join(PAYLOADS)
    call = {"id": text, "function": {"name": text, "arguments": f'{{"a": {text!r}'}}
    answer: dict[str, Any] = {"role": "assistant", "content": text, "tool_calls": [call], "reasoning_content": text}
    tool = {"type": "function", "function": {"name": text, "parameters": {"type": text}}}
    messages = [{"role": role, "content": text, "name": text} for role in ("system", "user", "tool", text)]
    request = {"messages": messages, "tools": [tool]}
    id = f"r{text}"
    store.add_exchanges(
        [captured(id, text, text, agent=text, request=request, response=answer),
         captured("long", "long", "x", response={"role": "assistant", "content": "A<b>" * 300_000})]
    )  # fmt: skip
    labeller = serve()
    someone = client(labeller)
    for path in ("/", "/queue", "/agreement", "/item/long", f"/item/{httpx.QueryParams({'x': id})}"):
        page = someone.get(path).text
        assert "<script>window" not in page
        assert "<img src=x" not in page
        assert "<iframe" not in page
        assert "\x1b" not in re.sub(r"(?s)<textarea.*?</textarea>|value=\"[^\"]*\"", "", page)
        assert "\u202e" not in re.sub(r"(?s)<textarea.*?</textarea>|value=\"[^\"]*\"", "", page)
    assert "This page keeps 200,000 of 1,200,000 characters." in someone.get("/item/long").text
