"""The label page in a real browser, by keyboard alone, and against what conversations may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from agentkit.records import FeedbackKind, Source
from agentkit.store import Store
from agentkit.web.label import Labeller
from tests.collect.feedback.talks import said
from tests.report.conftest import Opened
from tests.report.test_hostile import PAYLOADS
from tests.web.label.conftest import Serve, captured, refunds

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    found = Opened(page)
    page.on("console", lambda message: found.trouble.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.trouble.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (found.trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (it) => console.error(`policy: ${it.blockedURI}`))"
    )
    yield found
    context.close()


def start(opened: Opened, labeller: Labeller, path: str = "") -> Page:
    home = (labeller.url, "data:,")
    opened.page.on("request", lambda it: it.url.startswith(home) or opened.trouble.append(it.url[:200]))
    opened.page.goto(labeller.url + path)
    ready(opened.page)
    return opened.page


def ready(page: Page) -> None:
    page.wait_for_selector("html[data-ready]", state="attached")


def press(page: Page, *keys: str) -> None:
    """Keys whose last one leads to another page."""
    *before, last = keys
    for key in before:
        page.keyboard.press(key)
    with page.expect_navigation():
        page.keyboard.press(last)
    ready(page)


def write(page: Page, text: str) -> None:
    """In place of what stands in the field that has the focus."""
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def test_five_answers_are_judged_by_keyboard_alone(opened: Opened, store: Store, serve: Serve) -> None:
    store.add_exchanges(refunds(3))
    page = start(opened, serve())
    judged: list[str] = []

    def next_id() -> str:
        judged.append(page.locator("#verdict input[name=response]").input_value())
        return judged[-1]

    next_id()
    press(page, "r")
    expect(page.get_by_role("status")).to_have_text("Judged right.")
    next_id()
    page.keyboard.press("c")
    page.keyboard.type("rude, wrong and so on")  # r and w are letters here
    page.keyboard.press("Escape")
    press(page, "w")
    first = next_id()
    press(page, "s")
    assert next_id() != first
    page.keyboard.press("b")
    expect(page.locator("#better")).to_have_attribute("open", "")
    if page.locator("input[name=form]:checked").input_value() == "call":
        expect(page.locator("#arguments")).to_be_focused()
        write(page, '{"sale": "S-7", "amount": 59.9}')
    else:
        expect(page.locator("#text")).to_be_focused()
        write(page, "You get 59.90 back on your card.")
    press(page, "Control+Enter")
    next_id()
    press(page, "w")
    press(page, "u")
    expect(page.get_by_role("status")).to_have_text("Taken back: judge it anew.")
    assert page.locator("#verdict input[name=response]").input_value() == judged[-1]
    press(page, "r")
    labels = store.feedback(source=Source.EXPERT)
    assert [it.response for it in labels] == judged
    assert len(set(judged)) == 5
    assert [it.kind for it in labels] == [
        FeedbackKind.THUMB, FeedbackKind.THUMB, FeedbackKind.COMMENT, FeedbackKind.CORRECTION, FeedbackKind.THUMB
    ]  # fmt: skip
    assert [it.value for it in labels] == [1.0, 0.0, None, 0.0, 1.0]
    assert labels[1].text == "rude, wrong and so on"
    better = labels[3].answer
    assert better is not None
    assert better["content"] == "You get 59.90 back on your card." or "S-7" in str(better["tool_calls"])
    assert opened.trouble == []


def test_a_corrected_call_is_kept_and_a_broken_one_comes_back(opened: Opened, store: Store, serve: Serve) -> None:
    store.add_exchanges(refunds(1))
    page = start(opened, serve(), "item/r0.refund")
    page.keyboard.press("b")
    write(page, "{sale}")
    press(page, "Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("arguments: found what is no JSON")
    expect(page.locator("#arguments")).to_have_value("{sale}")
    assert opened.trouble.pop().startswith("console error: Failed to load resource: the server responded with a status")
    page.locator("#tool").select_option("find_sale")
    page.locator("#arguments").fill('{"sale": "S-0"}')
    press(page, "Control+Enter")
    (label,) = store.feedback()
    assert label.answer is not None
    assert label.answer["tool_calls"][0]["function"] == {"name": "find_sale", "arguments": '{"sale":"S-0"}'}
    assert opened.trouble == []


def test_a_second_expert_judges_blind_and_their_kappa_shows(opened: Opened, store: Store, serve: Serve) -> None:
    store.add_exchanges(refunds(6))
    for n in range(6):
        for step, value in (("refund", 0.0), ("say_amount", float(n % 2))):
            now = captured("x", "x", "x").at
            store.add_feedback(said(f"c{n}", value, response=f"r{n}.{step}", source=Source.EXPERT, by="ann", at=now))
    page = start(opened, serve(None, second_share=1.0))
    page.keyboard.type("bob")
    press(page, "Enter")
    assert re.search(r"\bann\b", page.locator("main").inner_text()) is None
    for _ in range(12):
        id = page.locator("#verdict input[name=response]").input_value()
        press(page, "r" if id.endswith("say_amount") else "w")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is open for you")
    expect(page.locator(".trust")).to_contain_text("κ 0.50 (")
    page.get_by_role("link", name="Agreement").click()
    row = page.get_by_role("row", name="ann and bob")
    expect(row).to_contain_text("75")
    expect(row).to_contain_text("0.50 (")
    assert opened.trouble == []


def test_it_is_accessible_in_both_themes_and_on_a_phone(opened: Opened, store: Store, serve: Serve) -> None:
    store.add_exchanges(refunds(4))
    judged(store)
    page = start(opened, serve(second_share=0.5, window=10), "item/r1.say_amount")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900 if width > 400 else 740})
        for path in ("item/r1.refund", "item/r1.say_amount", "queue", "agreement"):
            page.goto(serve_url(page) + path)
            ready(page)
            if path.endswith("refund"):
                page.keyboard.press("b")
            for theme in ("light", "dark"):
                assert page.evaluate("document.documentElement.dataset.theme ?? 'light'") == theme
                found = Axe().run(page).response["violations"]
                assert [(it["id"], it["nodes"][0]["html"][:90]) for it in found] == []
                opened.shot(f"label-{width}-{path.replace('/', '-')}-{theme}")
                page.keyboard.press("Escape")
                page.keyboard.press("t")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert opened.trouble == []


def serve_url(page: Page) -> str:
    found: str = page.evaluate("location.origin + '/'")
    return found


def judged(store: Store) -> None:
    """Enough labels and verdicts of a judge for an agreement and two windows."""
    now = captured("x", "x", "x").at
    for n in range(60):
        for by, source, value in (
            ("ann", Source.EXPERT, n % 3 > 0),
            ("bob", Source.EXPERT, n % 3 > 0 or n % 4 == 0),
            ("llm", Source.JUDGE, (n % 3 > 0) == (n < 30)),
        ):
            told = said(f"d{n}", float(value), response=f"d{n}.0", source=source, by=by, at=now)
            store.add_feedback(told)


def test_what_conversations_hold_runs_nothing(opened: Opened, store: Store, serve: Serve) -> None:
    for n, text in enumerate(PAYLOADS):
        call = {"id": "a", "function": {"name": text, "arguments": text}}
        answer: dict[str, Any] = {"role": "assistant", "content": text, "tool_calls": [call], "reasoning": text}
        tool = {"type": "function", "function": {"name": text, "parameters": {}}}
        messages = [{"role": role, "content": text, "name": text} for role in ("system", "user", "tool", text)]
        request = {"messages": messages, "tools": [tool]}
        store.add_exchanges([captured(f"h{n}", f"h{n}", text, agent=text, request=request, response=answer)])
    store.add_exchanges([captured("h", "h", "x", response={"role": "assistant", "content": "A<b>" * 300_000})])
    page = start(opened, serve())
    for path in (*(f"item/h{n}" for n in range(len(PAYLOADS))), "item/h", "queue", "?said=<script>", ""):
        page.goto(serve_url(page) + path)
        ready(page)
        page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true })")
        page.wait_for_timeout(20)
        assert page.evaluate("window.pwned") is None
        assert page.locator("iframe, object, embed, base, img, main link, main script, main style").count() == 0
        assert page.evaluate("[...document.forms].every((it) => new URL(it.action).origin === location.origin)")
        assert opened.trouble == []
    page.goto(serve_url(page) + "item/h0")
    expect(page.locator("#asked .text").first).to_have_text(PAYLOADS[0])
    page.goto(serve_url(page) + "item/h14")
    assert "U+202E" in page.locator("#asked").inner_text()


def test_another_page_cannot_make_the_browser_judge(browser: Browser, store: Store, serve: Serve) -> None:
    store.add_exchanges(refunds(1))
    labeller = serve()
    context = browser.new_context()
    page = context.new_page()
    page.goto("data:text/html,<title>elsewhere</title>")
    page.set_content(
        f"<form action='{labeller.url}label' method=post><input name=response value=r0.refund>"
        "<input name=mark value=right><input name=token value=x></form>"
    )
    with page.expect_navigation() as navigation:
        page.evaluate("document.forms[0].submit()")
    assert navigation.value is not None
    assert navigation.value.status == 403
    assert store.feedback() == []
    context.close()
