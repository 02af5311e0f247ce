"""The baseline's conversations beside the run's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from agentkit.gate import write_baseline
from agentkit.gate.rows import recorded
from agentkit.records import Verdict
from agentkit.report import Contents, gather, render
from agentkit.report.page import _environment
from agentkit.store import Store
from tests.report.conftest import Open, written
from tests.report.paired_runs import BASE, BETTER, OTHERWISE, SAME, WORSE, against, pair
from tests.report.report_records import RUN
from tests.report.test_hostile import PAYLOADS, assert_quiet, hostile


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with pair(tmp_path) as opened:
        yield opened


def contents(store: Store, room: int = 8_000_000) -> Contents:
    return gather(store, store.run(RUN.id), baseline=against(store), room=room)


def test_only_the_pairs_that_changed_are_there_and_those_that_got_worse_come_first(store: Store) -> None:
    found = contents(store)
    beside = found.index["beside"]["trials"]
    keys = set(zip(beside["instance"], beside["repeat"], beside["cell"], strict=True))
    assert len(keys) == len(beside["index"]) == len(WORSE) + 2
    assert sorted(beside["index"]) == sorted(23 - place for place in (*WORSE, BETTER, OTHERWISE))
    candidate = found.index["trials"]
    assert (
        "".join(candidate["base"][place] + candidate["verdict"][place] for place in (*WORSE, BETTER)) == "SF" * 5 + "FS"
    )
    assert found.beside is not None
    assert (found.left_out, found.beside.left_out) == (0, 0)
    assert all(place >= max(candidate["place"]) + 1 for place in beside["place"])  # in pieces of their own


@pytest.mark.slow
def test_the_run_itself_takes_the_room_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.report.conversations.PIECE", 1)  # a piece for each conversation
    whole = contents(store)
    own = sum(len(it) for it in whole.pieces[:24])
    found = contents(store, room=own + 2 * len(whole.pieces[24]))
    assert found.left_out == 0
    assert found.beside is not None
    assert 0 < found.beside.left_out < len(WORSE) + 2
    kept = found.index["beside"]["trials"]
    worse = {23 - place for place in WORSE}
    assert {index for index, place in zip(kept["index"], kept["place"], strict=True) if place is not None} <= worse
    assert f"{found.beside.left_out} conversations of the baseline found no room in this file" in render(found)
    cut = contents(store, room=0)
    assert (cut.left_out, cut.beside and cut.beside.left_out) == (24, len(WORSE) + 2)


@pytest.mark.slow
def test_what_got_worse_or_better_is_listed_with_links(store: Store) -> None:
    text = render(contents(store))
    worse = text.partition("<summary>Got worse: 5 conversations</summary>")[2].partition("</details>")[0]
    assert re.findall(r'href="#/trial/(\d+)"', worse) == [str(place) for place in WORSE]
    assert "failed: refund" in worse
    better = text.partition("<summary>Got better: 1 conversation</summary>")[2].partition("</details>")[0]
    assert re.findall(r'href="#/trial/(\d+)"', better) == [str(BETTER)]
    assert "holds no conversations" not in re.sub(r"<script.*?</script>", "", text, flags=re.S)


@pytest.mark.slow
def test_steps_that_find_no_room_are_told_for_what_they_are(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_environment().globals, "most_steps", 2)
    text = render(gather(store, store.run(RUN.id), baseline=against(store), room=8_000_000))
    assert "and 14 more steps, which fell less, rose, or are on one side only" in text


@pytest.mark.slow
def test_a_baseline_file_has_no_conversations_and_the_page_says_so(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    write_baseline(recorded(store.run(BASE.id), store.grades(BASE.id)), file)
    base = against(store, str(file))
    assert (base.run, base.stored) == (BASE.id, None)
    found = gather(store, store.run(RUN.id), baseline=base, room=8_000_000)
    assert found.beside is None
    assert "beside" not in found.index
    text = re.sub(r"<script.*?</script>", "", render(found), flags=re.S)
    assert "The baseline is a file, which holds no conversations: <code>--baseline RUN</code>" in text
    assert "Got worse: 5 conversations" in text


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paired")
    with pair(folder) as store:
        return written(store, folder, baseline=against(store))


@pytest.mark.slow
def test_both_conversations_stand_side_by_side_and_stacked_on_a_phone(open_page: Open, report: Path) -> None:
    opened = open_page(report, f"#/trial/{WORSE[1]}")
    page = opened.page
    page.wait_for_selector("#reader.paired .turn.pair")
    opened.shot("beside")
    base, here = (page.locator(".turn.pair", has_text="Turn 2").locator(".side").nth(at) for at in (0, 1))
    assert base.locator("h3.whose").inner_text() == "Baseline"
    assert here.locator("h3.whose").inner_text() == "This run"
    assert base.locator(".grade.passed .name").first.inner_text().split() == ["✓", "passed:", "refund"]
    assert here.locator(".grade.failed .name").inner_text().split() == ["✗", "failed:", "refund"]
    assert "tender: expected card, found cash" in here.inner_text()
    assert "tender: expected card" not in base.inner_text()
    left, right = base.bounding_box(), here.bounding_box()
    assert left is not None
    assert right is not None
    assert abs(left["y"] - right["y"]) < 2
    assert right["x"] > left["x"] + left["width"] / 2
    assert "refund: passed with the baseline, failed here" in page.locator(".changed").inner_text()
    assert "The same conversation succeeded with the baseline." in page.locator(".head").inner_text()
    assert f"trial {23 - WORSE[1]}" in page.locator(".head").inner_text()
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map((it) => it.id)).size") == page.evaluate(
        "document.querySelectorAll('[id]').length"
    )
    assert opened.trouble == []
    phone = open_page(report, f"#/trial/{WORSE[1]}", viewport={"width": 390, "height": 844})
    phone.page.wait_for_selector("#reader.paired .turn.pair")
    phone.shot("beside-phone")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    sides = [phone.page.locator(".turn.pair .side").nth(at).bounding_box() for at in (0, 1)]
    assert sides[0] is not None
    assert sides[1] is not None
    assert sides[1]["y"] >= sides[0]["y"] + sides[0]["height"]
    assert sides[0]["x"] == sides[1]["x"]


@pytest.mark.slow
def test_lists_lead_there_and_the_baseline_can_be_hidden(open_page: Open, report: Path) -> None:
    opened = open_page(report)
    page = opened.page
    page.locator("summary", has_text="Got worse").click()
    page.locator(".turned a", has_text="#0").click()
    page.wait_for_selector("#reader.paired .turn.pair")
    page.keyboard.press("f")
    here = page.locator(".grade.failed.here")
    expect(here).to_have_count(1)
    assert here.locator("xpath=ancestor::div[contains(@class, 'side')]").locator("h3.whose").inner_text() == "This run"
    page.click("text=Baseline beside")
    expect(page.locator(".turn.pair")).to_have_count(0)
    assert page.locator(".turn").count() > 1
    page.click("text=Baseline beside")
    expect(page.locator(".turn.pair").first).to_be_visible()
    opened.go("#/conversations?against=steps")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.locator("#list tbody a").first.click()
    page.wait_for_selector("#reader.paired .turn.pair")
    assert "asks_first: failed with the baseline, passed here" in page.locator(".changed").inner_text()
    assert "(as before)" in page.locator(".side.base").nth(1).inner_text()
    opened.go(f"#/trial/{SAME}")
    page.wait_for_selector("#reader:not(.paired) .turn")
    assert "Every step got the same grade, so it is not shown beside." in page.locator(".head").inner_text()
    assert opened.trouble == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("hash", ["", f"#/trial/{WORSE[0]}"])
def test_it_is_accessible(open_page: Open, report: Path, scheme: str, hash: str) -> None:
    opened = open_page(report, hash, color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true })")
    found = Axe().run(opened.page).response["violations"]
    serious = [it for it in found if it["impact"] in ("serious", "critical")]
    assert [(it["id"], it["nodes"][0]["html"][:200]) for it in serious] == []


@pytest.mark.slow
def test_a_hostile_baseline_is_quiet_beside_a_hostile_run(open_page: Open, tmp_path: Path) -> None:
    played = [replace(hostile(index, text), run=RUN.id) for index, text in enumerate(PAYLOADS)]
    failed = [replace(it, verdict=Verdict.FAILURE, run=BASE.id) for it in played]
    base = [replace(it, id=f"b{it.id[1:]}") for it in failed]  # type: ignore[arg-type]
    everywhere = " ".join(PAYLOADS)
    run = replace(RUN, agent=everywhere, scenarios={it.key.scenario: "aa" for it in played})
    with pair(tmp_path, base, played, run) as store:
        found = replace(against(store, run=store.run(RUN.id)), agent=everywhere)
        contents = gather(store, store.run(RUN.id), baseline=found, room=8_000_000)
        file = tmp_path / "run.html"
        file.write_text(render(contents), encoding="utf-8")
    assert contents.beside is not None
    assert len(contents.index["beside"]["trials"]["index"]) > 10
    opened = open_page(file)
    assert_quiet(opened)
    for index in range(len(PAYLOADS)):
        opened.go(f"#/trial/{index}")
        opened.page.locator("#reader .bits code", has_text=str(index)).first.wait_for()
        opened.page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true })")
        assert_quiet(opened)
    assert opened.page.locator("#reader.paired").count() == 1
