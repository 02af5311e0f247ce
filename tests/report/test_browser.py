"""The page as people use it, in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.report.conftest import Open, written
from tests.report.report_records import stored, trials

pytestmark = pytest.mark.slow


def test_the_verdict_is_what_one_sees_first(open_page: Open, report: Path) -> None:
    opened = open_page(report)
    heading = opened.page.locator("h1").first
    assert heading.inner_text().replace("\xa0", " ").startswith("78 % of conversations go right")
    assert heading.bounding_box()["y"] < 300  # type: ignore[index]
    opened.shot("first")
    assert opened.trouble == []


def test_conversations_are_unpacked_only_when_one_is_opened(open_page: Open, report: Path) -> None:
    opened = open_page(report)
    rows = opened.page.locator("#list tbody tr")
    assert rows.count() == 24
    assert opened.page.locator("#reader *").count() == 0
    rows.first.locator("a").first.click()
    opened.page.wait_for_selector("#reader .message")
    assert opened.page.locator("#reader h1").inner_text().startswith("shop/refund · golden")
    assert opened.trouble == []


def test_filter_sort_and_search(open_page: Open, report: Path) -> None:
    page = open_page(report).page
    shown = page.locator("#list tbody tr")
    page.select_option("#verdict-filter", "F")
    assert shown.count() == 5
    page.select_option("#scenario-filter", "shop/exchange")
    assert page.locator("#count").inner_text() == "2 of 24 conversations, 0 successes"
    page.click("#clear")
    page.fill("#search", "timeout infrastructure")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.fill("#search", "")
    expect(page.locator("#list tbody tr")).to_have_count(24)
    page.click("#list th button:text('seconds')")
    page.click("#list th button:text('seconds')")
    seconds = [float(text) for text in page.locator("#list tbody tr td:last-child").all_inner_texts()]
    assert seconds == sorted(seconds, reverse=True)
    assert page.locator("#list th[aria-sort=descending]").inner_text() == "seconds"


def test_times_sort_by_what_they_are_worth(open_page: Open, tmp_path: Path) -> None:
    fast = [replace(it, duration=0.05 if "refund" in it.key.scenario else 3.4) for it in trials()]
    with stored(tmp_path, fast) as store:
        page = open_page(written(store, tmp_path)).page
    table = page.locator("#spending table.sortable").first
    table.locator("button:text('median')").click()
    assert table.locator("tbody th").all_inner_texts() == ["shop/exchange", "shop/refund"]
    table.locator("button:text('median')").click()
    assert table.locator("tbody th").all_inner_texts() == ["shop/refund", "shop/exchange"]


def test_search_in_what_was_said(open_page: Open, report: Path) -> None:
    page = open_page(report).page
    page.fill("#search", "refund sale s-17.")
    expect(page.locator("#list tbody tr")).to_have_count(0)
    page.check("#inside")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    assert page.locator("#list tbody tr td:first-child").inner_text() == "17"


def test_a_step_leads_to_the_conversations_in_which_it_failed(open_page: Open, report: Path) -> None:
    page = open_page(report).page
    fall = page.locator("#losses .fall", has_text="shop/refund").first
    fall.evaluate("it => { it.open = true; it.querySelector('details').open = true }")
    fall.locator("tbody a", has_text="refund").click()
    page.wait_for_selector("#step-filter:not([hidden])")
    assert "failed: shop/refund/golden#refund" in page.locator("#step-filter").inner_text()
    assert set(page.locator("#list td .verdict").all_inner_texts()) == {"failure"}


def test_an_address_opens_a_conversation_at_its_failed_step(open_page: Open, report: Path) -> None:
    opened = open_page(report, "#/trial/0/refund")
    page = opened.page
    grade = page.locator(".grade.failed.here")
    assert "the golden path expected\nrefund(" in grade.inner_text()
    assert "tender: expected card, found cash" in grade.inner_text()
    assert "✗ refund" in page.locator(".failed-here").first.inner_text()
    assert "00000000000000000000000000000000" in page.locator(".bits").first.inner_text()
    assert page.locator(".thinks .text").first.text_content() == "The customer has confirmed, so I refund."
    page.click("text=← All conversations")
    page.wait_for_selector("#report:not([hidden])")
    assert opened.trouble == []


def test_what_a_planted_fault_hid_is_shown(open_page: Open, report: Path) -> None:
    page = open_page(report, "#/trial/4").page
    call = page.locator("details.call[open]")
    assert "planted: tool:timeout" in call.inner_text()
    call.locator("text=had nothing been planted").click()
    assert '"refunded": 43' in call.inner_text()


def test_keys(open_page: Open, report: Path) -> None:
    page = open_page(report).page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("#reader .turn")
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile("#/trial/1$"))
    expect(
        page.locator("#reader").get_by_text(re.compile(r"^2 of \d+$"))
    ).to_be_visible()  # what a key does is shown soon
    page.keyboard.press("k")
    expect(page).to_have_url(re.compile("#/trial/0$"))
    expect(page.locator("#reader").get_by_text(re.compile(r"^1 of \d+$"))).to_be_visible()
    page.keyboard.press("f")
    page.wait_for_selector(".grade.failed.here")
    page.keyboard.press("Escape")
    page.wait_for_selector("#report:not([hidden])")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()


def test_light_and_dark(open_page: Open, report: Path) -> None:
    page = open_page(report, color_scheme="dark").page
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.keyboard.press("t")
    assert page.evaluate(paper) != dark
    light = open_page(report).page.evaluate(paper)
    assert page.evaluate(paper) == light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("hash", ["", "#/trial/0", "#/trial/4"])
def test_it_is_accessible(open_page: Open, report: Path, scheme: str, hash: str) -> None:
    opened = open_page(report, hash, color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true })")
    found = Axe().run(opened.page).response["violations"]
    serious = [it for it in found if it["impact"] in ("serious", "critical")]
    assert [(it["id"], it["nodes"][0]["html"][:200]) for it in serious] == []


@pytest.mark.parametrize("hash", ["", "#/trial/4"])
def test_it_fits_a_phone(open_page: Open, report: Path, hash: str) -> None:
    opened = open_page(report, hash, viewport={"width": 390, "height": 844})
    opened.shot(f"phone{hash.replace('/', '-')}")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    if not hash:
        assert opened.page.locator(".chart.narrow").first.is_visible()
        assert not opened.page.locator(".chart.wide").first.is_visible()


def test_it_prints(open_page: Open, report: Path) -> None:
    opened = open_page(report, color_scheme="dark")
    assert opened.page.pdf().startswith(b"%PDF")
    opened.page.emulate_media(media="print")
    opened.shot("print")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not opened.page.locator("header.bar").is_visible()
