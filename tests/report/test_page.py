"""The page as text: closed to the outside, the same for the same run, and honest about what is missing."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from agentkit.records import Disturbance, Effect, Fork, ForkKind, RunId, Trial, TrialId, Verdict
from agentkit.report import gather, render
from agentkit.store import Store
from tests.report.report_records import RUN, stored, trial, trials


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return stored(tmp_path)


def page(store: Store, room: int = 8_000_000) -> str:
    return render(gather(store, store.run("last"), room=room))


@pytest.mark.slow
def test_equal_runs_give_equal_pages(store: Store) -> None:
    assert page(store) == page(store)


def test_the_policy_allows_this_script_and_this_style_and_nothing_else(store: Store) -> None:
    text = page(store)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'").split("; ")
    style, script = re.search(r"<style>(.*?)</style>", text, re.S), re.search(r"<script>(.*?)</script>", text, re.S)
    assert style is not None
    assert script is not None
    hashes = [f"'sha256-{b64encode(sha256(it[1].encode()).digest()).decode()}'" for it in (script, style)]
    assert allowed[0] == "default-src 'none'"
    assert allowed[1:3] == [f"script-src {hashes[0]}", f"style-src {hashes[1]}"]


def test_nothing_in_the_page_points_outside(store: Store) -> None:
    text = page(store)
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\sstyle=|\son\w+=", re.sub(r"<script.*?</script>", "", text, flags=re.S))


def test_the_script_makes_no_markup_of_texts() -> None:
    scripts = Path("agentkit/report/assets").glob("*.js")
    for file in scripts:
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
        assert not re.search(forbidden, file.read_text(encoding="utf-8")), file


def test_where_there_is_no_room_failures_come_first_and_the_page_says_what_is_missing(store: Store) -> None:
    contents = gather(store, store.run("last"), room=0)
    assert contents.left_out == 24
    assert "24 conversations found no room in this file" in render(contents)
    assert contents.index["trials"]["place"] is None


def test_failures_and_invalid_trials_are_packed_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.report.conversations.PIECE", 1)  # a piece for each conversation
    room = 3 * len(gather(store, store.run("last"), room=8_000_000).pieces[0])
    contents = gather(store, store.run("last"), room=room)
    index = contents.index["trials"]
    kept = {verdict for verdict, place in zip(index["verdict"], index["place"], strict=True) if place is not None}
    assert 0 < contents.left_out < 24
    assert "S" not in kept
    assert "I" in kept


def test_a_run_that_is_not_over_says_so(tmp_path: Path) -> None:
    run = replace(RUN, planned=30, status="interrupted")
    with stored(tmp_path, run=run) as store:
        assert "6 trials of 30 are still to be played" in page(store)


def test_a_run_of_invalid_trials_says_that_nothing_can_be_said(tmp_path: Path) -> None:
    broken = [replace(it, verdict=Verdict.INVALID, reason="<b>no answer</b>") for it in trials()]
    with stored(tmp_path, broken) as store:
        text = page(store)
    assert "Nothing can be said of demo yet" in text
    assert "No step was graded." in text
    assert "No step ever failed." not in text
    assert "&lt;b&gt;no answer&lt;/b&gt;" in text
    assert "<b>no answer" not in text


def test_times_sort_by_what_they_are_worth_and_not_by_how_they_are_written(tmp_path: Path) -> None:
    with stored(tmp_path, [replace(it, duration=0.05 if "refund" in it.key.scenario else 3.4) for it in trials()]) as s:
        text = page(s).replace("\xa0", " ")
    assert '<td class="n" data-value="0.05">50 ms</td>' in text
    assert '<td class="n" data-value="3.4">3.4 s</td>' in text


def test_conversations_that_nobody_graded_are_counted_as_invalid(tmp_path: Path) -> None:
    ungraded = [replace(it, verdict=Verdict.INVALID, steps=(), reason="not graded") for it in trials()]
    with stored(tmp_path, ungraded) as store:
        text = page(store)
    assert '24 conversations of 2 scenarios in 6 variants, <a href="#invalid">24 invalid</a>' in text


def test_a_scenario_of_which_no_variant_has_a_valid_trial_has_no_waterfall(tmp_path: Path) -> None:
    played = [
        replace(it, verdict=Verdict.INVALID, reason="no answer") if it.key.scenario == "shop/exchange" else it
        for it in trials()
        if (it.key.scenario, it.key.variant) != ("shop/exchange", "golden")
    ]
    with stored(tmp_path, played) as store:
        contents = gather(store, store.run("last"), room=8_000_000)
    assert {it.scenario for it in contents.waterfalls} == {"shop/refund"}
    assert "less are not drawn" not in render(contents)


def test_forks_are_counted_as_turns_and_found_by_every_variant_that_they_serve(tmp_path: Path) -> None:
    golden = [it for it in trials() if it.key.variant == "golden"]
    with stored(tmp_path, _forks(golden, "poem")) as store:
        contents = gather(store, store.run("last"), room=8_000_000)
    assert contents.index["trials"]["serves"] == [["golden", "poem"]] * 16
    text = render(contents).replace("\xa0", " ")
    assert "16 forked turns of 2 scenarios" in text
    headline = re.search(r"<h1[^>]*>(.*?)</h1>", text)
    assert headline is not None
    assert headline[1] == "The steps compound to 88 %: 88 % on the golden path, 88 % off it"


def test_forks_have_no_outcomes_by_detour_and_those_of_two_turns_are_no_repeats(tmp_path: Path) -> None:
    once = [it for it in trials() if it.key.variant == "golden" and it.key.repeat == 0]
    with stored(tmp_path, _forks(once, "tool:timeout@0.5")) as store:
        contents = gather(store, store.run("last"), room=8_000_000)
    assert contents.summary.detours == ()
    assert not contents.flaky.repeated
    assert "agentkit run --fork --samples 3</code>" in render(contents)


def _forks(golden: list[Trial], other: str) -> list[Trial]:
    """Both turns of each conversation as forks that count for another variant, too."""
    return [
        trial(
            len(golden) * turn + index,
            replace(it.key, variant=f"golden/{turn + 1}"),
            fails=it.verdict is Verdict.FAILURE,
            steps=it.steps,
            verdict=Verdict.OPEN,
            fork=Fork("golden", turn, 1 + 2 * turn, ForkKind.GOLDEN, ("golden", other)),
            disturbances=(Disturbance("tool:timeout", 0.5, Effect.TRIGGERED, 1, 1, "disturbed"),),
        )
        for turn in (0, 1)
        for index, it in enumerate(golden)
    ]


def test_a_flaky_step_shows_its_history_across_runs(store: Store) -> None:
    for day, agent in ((1, RUN.agent_hash), (2, "<b>another</b>")):
        earlier = replace(
            RUN, id=RunId(f"earlier-{day}"), agent_hash=agent, created_at=f"2026-01-0{day}T00:00:00+00:00"
        )
        store.create_run(earlier)
        store.add_trials([replace(it, id=TrialId(f"{day}{it.id}"), run=earlier.id) for it in trials(every=3)])
    text = render(gather(store, store.run(RUN.id), room=8_000_000)).replace("\xa0", " ")
    assert "in this run, or between it and the 2 runs before it that played these scenarios" in text
    row = next(it for it in text.split("<tr>") if ">shop/refund/golden#refund</a>" in it)
    shown = re.findall(
        r'<li class="h(\d+)( other)?" title="run ([^",]+)[^"]*"><strong>(\d+) %</strong> <span>(\d of \d)', row
    )
    assert [(run, other) for _, other, run, _, _ in shown] == [
        ("earlier-1", ""),
        ("earlier-2", " other"),
        (RUN.id, ""),
    ]
    assert [(share, counts) for *_, share, counts in shown] == [("0", "0 of 4"), ("0", "0 of 4"), ("75", "3 of 4")]
    assert '<time datetime="2026-01-01">01-01</time>' in row
    assert "A dashed box is a run of another agent" in text


def test_a_step_that_is_flaky_between_runs_alone_links_to_where_it_was_played(tmp_path: Path) -> None:
    once = [it for it in trials(every=1000) if it.key.repeat == 0 and it.index]
    with stored(tmp_path, once) as store:
        earlier = replace(RUN, id=RunId("earlier"), created_at="2026-01-01T00:00:00+00:00")
        store.create_run(earlier)
        store.add_trials([replace(it, id=TrialId(f"1{it.id}"), run=earlier.id) for it in trials(every=1)[1:12]])
        text = render(gather(store, store.run(RUN.id), room=8_000_000))
    assert "step=shop/refund/poem%23refund&amp;status=any" in text
    assert "flaky" in text


def test_all_that_is_asked_of_it_is_there(store: Store) -> None:
    text = page(store).replace("\xa0", " ")
    for part in (
        "78 % of conversations go right",
        "What to fix first",
        "its worst detour",
        "Faults and their intensity",
        "Flaky steps",
        "by fault of the infrastructure",
        "the endpoint did not answer within 120 s",
        "0123456789abcdef",
        "aa" * 32,
        "tool:timeout@0.5",
    ):
        assert part in text, part
