"""Ten thousand conversations in one file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agentkit.gate import GateSettings, judge
from agentkit.gate.rows import recorded
from agentkit.measure import summarize
from agentkit.measure.rows import cells
from agentkit.records import Run, RunId, TrialId, TrialKey, Verdict
from agentkit.report import Baseline, gather, render
from agentkit.store import Store
from tests.report.conftest import Open
from tests.report.report_records import RUN, trial

TRIALS = 10_000
BASE = replace(RUN, id=RunId("20260101-000000-ba5e"), planned=TRIALS, created_at="2026-01-01T00:00:00.000+00:00")
WORDS = [f"{a}{b}" for a in "bcdfgklmnprst" for b in ("an", "el", "ir", "os", "um", "ade", "ine", "ort")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Twelve scenarios with five variants each; what people say differs from trial to trial."""
    with Store.open(f"sqlite:///{tmp_path / 'runs.db'}") as opened:
        fill(opened, replace(RUN, planned=TRIALS), 7)
        yield opened


def fill(store: Store, run: Run, seed: int) -> None:
    """A run whose conversations are those of any other seed, with other words and failures."""
    store.create_run(run)
    keys, rng = Random(7), Random(seed)
    for start in range(0, TRIALS, 500):
        batch = []
        for index in range(start, start + 500):
            variant = ("golden", "poem", "rude", "vague", "tool:timeout@1")[index % 5]
            key = TrialKey(f"shop/s{index // 5 % 12}", variant, keys.getrandbits(46))
            played = trial(index, key, fails=rng.random() < 0.2)
            messages = [
                replace(it, content=f"{it.content} {' '.join(rng.choices(WORDS, k=12))}") for it in played.messages
            ]
            trace = f"{rng.getrandbits(128):032x}"
            changes: dict[str, Any] = {"trace_id": trace, "conversation_id": trace, "run": run.id}
            id_ = TrialId(f"{rng.getrandbits(48):012x}")
            batch.append(replace(played, id=id_, messages=tuple(messages), **changes))
        store.add_trials(batch)


def written(store: Store, folder: Path, **options: Any) -> Path:
    file = folder / "run.html"
    file.write_text(render(gather(store, store.run(RUN.id), room=7_000_000, **options)), encoding="utf-8")
    return file


@pytest.mark.slow
def test_ten_thousand_conversations_fit_and_open_lazily(open_page: Open, store: Store, tmp_path: Path) -> None:
    large = written(store, tmp_path)
    assert large.stat().st_size < 8_000_000
    opened = open_page(large)
    page = opened.page
    assert "no room" not in page.locator("#conversations").inner_text()
    assert page.locator("#list tbody tr").count() == 50
    assert page.locator("#count").inner_text().startswith("10,000 of 10,000 conversations")
    assert page.locator("*").count() < 12_000
    opened.go("#/trial/9876")
    page.locator("#reader .message.user .text", has_text="S-9876").wait_for()
    assert opened.trouble == []


@pytest.mark.slow
def test_with_a_baseline_as_large_the_file_keeps_its_limit(open_page: Open, store: Store, tmp_path: Path) -> None:
    fill(store, BASE, 8)
    sides = [recorded(store.run(run), store.grades(run)) for run in (BASE.id, RUN.id)]
    verdict = judge(*sides, GateSettings(compounded=False), suspects=False).document()
    ended = {it.key: it.verdict is Verdict.SUCCESS for it in store.trials(BASE.id)}
    summary = summarize(cells(store.grades(BASE.id)), deterministic=False, seed=7)
    base = Baseline(BASE.agent, BASE.agent_hash, BASE.id, BASE.created_at, verdict, summary, ended, BASE.id)
    large = written(store, tmp_path, baseline=base)
    assert large.stat().st_size < 8_000_000
    opened = open_page(large)
    page = opened.page
    assert "no room" not in page.locator("#conversations").inner_text()
    assert page.locator("*").count() < 12_000
    page.select_option("#against-filter", "worse")
    page.locator("#list tbody a").first.click()
    page.locator("#reader .head", has_text="The same conversation succeeded with the baseline.").wait_for()
    assert page.locator("#reader .message").count() > 0
    assert opened.trouble == []
