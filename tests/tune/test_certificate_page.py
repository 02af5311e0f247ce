"""The certificate's page: what stands in it, that hostile text is inert, and how it looks to people and to axe."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from agentkit.errors import UsageError
from agentkit.tune.certificate import CertificateSettings, certify, stopped
from agentkit.tune.general import GENERAL_PROMPTS, GeneralAnswer, compare_general
from agentkit.tune.page import render
from agentkit.tune.paired import compare_answers
from agentkit.tune.seeds import Trained
from tests.report.conftest import Open, browser, open_page
from tests.tune.proof_records import Plays, recorded_plays

__all__ = ["browser", "open_page"]

PAYLOAD = "</style><script>document.title='owned'</script><img src=x onerror=alert(1)>\u202e\x1b[31m{{ 7 * 7 }}"


def document(said: str = "Paris", step: str = "say_amount") -> dict:
    """A refused certificate with everything in it."""
    base, warm = recorded_plays("base", Plays(noise=0.2)), recorded_plays("warm", Plays({"refund": 0.6}, noise=0.2))
    tuned = recorded_plays(f"tuned {said}", Plays({"refund": 0.75, step: 0.4}, detours=40, noise=0.2))
    seeds = [Trained(s, recorded_plays(f"seed{s}", Plays({"refund": 0.75}, noise=0.2)), warm) for s in (1, 2, 3)]
    answers = [GeneralAnswer(it.id, said, True) for it in GENERAL_PROMPTS]
    general = compare_general(answers, answers)
    alone = compare_answers("step refund given a right history", [False] * 20, [True] * 15 + [False] * 5)
    hashes = {"data": "ab" * 32, said: said}
    it = certify(
        "refund",
        base,
        tuned,
        warm=warm,
        seeds=seeds,
        general=general,
        given_right_history=alone,
        hashes=hashes,
        notes=[said],
    )
    return json.loads(json.dumps(it.document()))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("certificate") / "certificate.html"
    file.write_text(render(document(PAYLOAD)), encoding="utf-8")
    return file


def test_the_page_says_what_the_document_says():
    found = document()
    text = render(found)
    assert "Refuse" in text
    assert found["sentence"].replace("<", "&lt;") in text
    assert "Reinforcement (tuned less warm start)" in text
    assert "mean of 3 seeds" in text
    assert re.search(r"given a right history</th>\s*<td class=\"n\">0\s%</td>\s*<td class=\"n\">75\s%", text)
    del found["given_right_history"]
    assert "given a right history" not in render(found), "of an earlier version"
    assert all(one["step"] in text for one in found["others"])
    assert text.count('<svg class="interval') >= len(found["others"])


def test_equal_documents_give_equal_pages_and_nothing_is_fetched():
    text = render(document())
    assert text == render(document())
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text


def test_hostile_text_is_escaped_and_what_is_invisible_is_spelled_out():
    text = render(document(PAYLOAD))
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "⟨U+202E⟩" in text
    assert "{{ 7 * 7 }}" in text


def test_a_stopped_job_and_a_certificate_without_data_have_a_page():
    text = render(stopped("refund", ["the empty answer is paid"], hashes={}).document())
    assert "Stopped by the audit" in text
    assert "nothing was measured" in text
    base = recorded_plays("base", Plays(instances=3, detours=3))
    tuned = recorded_plays("tuned", Plays({"refund": 1.0}, instances=3, detours=3))
    alone = certify("refund", base, tuned, hashes={}, settings=CertificateSettings(ask_general=False))
    assert "Inconclusive" in render(alone.document())


@pytest.mark.parametrize("wrong", [{}, {"schema": 99, "verdict": "promote"}, {"schema": 1, "verdict": "<b>"}])
def test_what_is_no_certificate_has_no_page(wrong: dict):
    with pytest.raises(UsageError, match="not a certificate: found schema"):
        render(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_quiet_accessible_and_fits_the_screen(open_page: Open, page: Path, scheme: str, width: int):
    opened = open_page(page, color_scheme=scheme, viewport={"width": width, "height": 850})
    opened.page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true })")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    serious = [
        (it["id"], it["nodes"][0]["html"][:200])
        for it in Axe().run(opened.page).response["violations"]
        if it["impact"] in ("serious", "critical")
    ]
    assert serious == []
    opened.shot(f"certificate-{scheme}-{width}")
    assert opened.page.title() == "refund: Refuse"
    assert opened.trouble == []


@pytest.mark.slow
def test_it_prints_with_every_row(open_page: Open, page: Path):
    opened = open_page(page)
    opened.page.emulate_media(media="print")
    assert not opened.page.locator(".bar").is_visible()
    assert opened.page.locator("#others tbody tr").last.is_visible()
