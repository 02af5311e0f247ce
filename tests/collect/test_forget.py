"""A user is forgotten wherever something of them is kept, and what cannot be taken back is named."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from agentkit.collect.draft import write_drafts
from agentkit.collect.export import FILE, export
from agentkit.collect.forget import Gone, forget
from agentkit.collect.labels.rows import judgements
from agentkit.collect.provenance import Origin, files_of, read_provenance, strike, write_lines, write_provenance
from agentkit.collect.pseudonym import pseudonym
from agentkit.collect.spill import SegmentWriter, encode, segments
from agentkit.config import CollectSettings
from agentkit.errors import UsageError
from agentkit.records import ConversationId, Feedback, FeedbackKind, ResponseId, Source
from agentkit.scenario import load
from agentkit.scenario.suite import load_suite
from agentkit.store import Store
from agentkit.tune.feedback_rows import export_judgements
from agentkit.tune.job import Work
from agentkit.tune.jobs import new_job
from agentkit.tune.prompt import Prompt, of_target
from agentkit.tune.training import PREFERENCES
from tests.collect.captured import make_exchange
from tests.collect.conversations import LOOK_UP, REFUND, exchanges
from tests.collect.feedback.talks import exchange, said
from tests.store.records import make_adapter
from tests.tune.small_lora import write_base
from tests.tune.test_job import work

OTHER = ConversationId("conv-2")


@pytest.fixture
def anna(settings: CollectSettings) -> str:
    return pseudonym("Anna", settings.folder)


def gone(store: Store, settings: CollectSettings, tmp_path: Path, user: str = "Anna", wait: float = 0.0) -> Gone:
    return forget(store, settings, user, scenarios=[tmp_path / "scenarios"], jobs=tmp_path / "jobs", wait=wait)


def test_all_that_is_kept_of_a_user_goes(store: Store, settings: CollectSettings, tmp_path: Path, anna: str) -> None:
    theirs, others = (
        exchanges("c1", *LOOK_UP, user=anna),
        exchanges("c2", *LOOK_UP, user=pseudonym("Bob", settings.folder)),
    )
    store.add_exchanges([*theirs, *others])
    store.add_feedback(
        Feedback("f", "2026-03-01T00:00:00Z", Source.USER, "till", FeedbackKind.THUMB, ConversationId("c1"), value=0.0)
    )
    out, drafts = tmp_path / "export", tmp_path / "scenarios" / "__drafts__"
    assert export(store, settings, store.exchanges(), out) == 4
    write_drafts(store, [ConversationId("c1"), ConversationId("c2")], drafts, None)
    confirmed = tmp_path / "scenarios" / "shop" / "c1.yaml"
    confirmed.parent.mkdir()
    shutil.copy(drafts / "demo" / "c1.yaml", confirmed)
    spilled = SegmentWriter(Path(settings.folder) / "spill") if _made(Path(settings.folder) / "spill") else None
    assert spilled is not None
    late = [make_exchange("late", user=anna), make_exchange("other", conversation=OTHER, user=None)]
    spilled.append([encode(it) for it in (*late, *exchanges("c1", *LOOK_UP, *REFUND, user=None))])
    spilled.close()

    found = gone(store, settings, tmp_path)

    assert (found.user, found.exchanges, found.feedback, found.lines) == (anna, 2, 1, 3)
    assert found.scenarios == (confirmed,)
    assert found.held == found.adapters == ()
    assert {it.id for it in store.exchanges()} == {"c2-0", "c2-1", "other"}
    assert [orjson.loads(line)["conversation"] for line in (out / FILE).read_bytes().splitlines()] == ["c2", "c2"]
    assert not (drafts / "demo" / "c1.yaml").exists()
    assert (drafts / "demo" / "c2.yaml").exists()
    assert segments(Path(settings.folder) / "spill") == []
    again = gone(store, settings, tmp_path)
    assert (again.exchanges, again.lines) == (0, 0)
    kept = {it for it in tmp_path.rglob("*") if it.is_file() and anna.encode() in it.read_bytes()}
    assert kept <= {tmp_path / f"store.db{end}" for end in ("", "-wal", "-shm")}, "only that they are forgotten"


def test_a_system_prompt_beside_drafts_goes_with_its_user_and_the_other_drafts_load(
    store: Store, settings: CollectSettings, tmp_path: Path, anna: str
) -> None:
    for name, user in (("c1", "Bob"), ("c2", "Anna")):
        captured = exchanges(name, *LOOK_UP, user=pseudonym(user, settings.folder))
        for it in captured:
            it.request["messages"][0]["content"] = f"You talk with {user}."
        store.add_exchanges(captured)
    folder = tmp_path / "scenarios" / "__drafts__" / "demo"
    write_drafts(store, [ConversationId("c1"), ConversationId("c2")], folder.parent, None)
    policy = folder / "policy.md"
    assert policy.read_text() == "You talk with Anna."
    found = gone(store, settings, tmp_path)
    assert (found.lines, found.scenarios) == (2, ())
    assert policy.read_text() == "You talk with Bob."
    assert [it.id for it in load([folder])] == ["demo/c1"]
    assert gone(store, settings, tmp_path, "Bob").lines == 2
    assert policy.read_text() == ""
    assert load_suite(folder)[1] == []


def _made(folder: Path) -> bool:
    folder.mkdir(parents=True)
    return True


def test_a_user_whose_own_name_looks_like_a_pseudonym_is_forgotten_by_it(
    store: Store, settings: CollectSettings, tmp_path: Path, anna: str
) -> None:
    other = exchanges("c1", *LOOK_UP, user=anna)
    their_name = pseudonym("somebody", tmp_path / "elsewhere")
    kept_as = pseudonym(their_name, settings.folder)
    store.add_exchanges([*other, *exchanges("c2", *LOOK_UP, user=kept_as)])
    export(store, settings, store.exchanges(), tmp_path / "export")
    found = gone(store, settings, tmp_path, their_name)
    assert (found.user, found.also, found.exchanges, found.lines) == (their_name, kept_as, 2, 2)
    assert store.traffic().forgotten == 2
    assert {it.conversation for it in store.exchanges()} == {"c1"}
    found = gone(store, settings, tmp_path, anna)
    assert (found.user, found.also, found.exchanges) == (anna, pseudonym(anna, settings.folder), 2)
    assert gone(store, settings, tmp_path).also is None


def test_a_running_process_is_waited_for_and_named(
    store: Store, settings: CollectSettings, tmp_path: Path, anna: str
) -> None:
    folder = Path(settings.folder) / "spill"
    folder.mkdir(parents=True)
    held = SegmentWriter(folder)
    held.append([encode(make_exchange("late", user=anna))])
    assert gone(store, settings, tmp_path, wait=0.05).held == (held.path,)
    held.close()
    assert gone(store, settings, tmp_path).held == ()
    assert store.exchanges() == []


@pytest.mark.parametrize("method", ["dpo", pytest.param("kto", marks=pytest.mark.slow)])
def test_what_a_job_made_of_judgements_goes_and_adapters_that_learned_from_it_are_named(
    store: Store,
    settings: CollectSettings,
    tmp_path: Path,
    anna: str,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    before = asyncio.run(work(store, tmp_path, write_base(tmp_path / "base"), monkeypatch))
    before = replace(before, settings=before.settings.model_copy(update={"method": method}))
    prompts = list(of_target(before._compiled()[1]))
    others = [pseudonym(name, settings.folder) for name in ("Bob", "Cyd")]
    correct(store, prompts[:2], users=others)
    after = replace(before, job=new_job(store, "refund", before.settings))
    assert [it.id for it in after._compiled()[1]] == [it.id for it in before._compiled()[1]]
    decide(before, monkeypatch)
    correct(store, prompts[2:4], users=[anna, *others], first=2)
    decide(after, monkeypatch)
    store.add_adapter(make_adapter("one", job=after.job.id, parents=()))
    store.add_adapter(make_adapter("two", job=before.job.id, parents=(), hash="00" * 32))
    store.add_adapter(make_adapter("grown", job=before.job.id, parents=("one",), hash="01" * 32))
    kept, struck = (it.folder / PREFERENCES for it in (before, after))
    unchanged, rows = kept.read_bytes(), struck.read_bytes().splitlines()

    found = gone(store, settings, tmp_path)

    theirs = [row for row in rows if orjson.loads(row)["prompt"] == prompts[2].id][: found.lines]
    assert found.lines == (1 if method == "dpo" else 2)
    assert b'\\"no\\"' in b"".join(theirs)
    for row in theirs:
        rows.remove(row)
    assert struck.read_bytes().splitlines() == rows
    assert kept.read_bytes() == unchanged
    assert found.adapters == ("one", "grown")


def correct(store: Store, prompts: Sequence[Prompt], *, users: Sequence[str], first: int = 0) -> None:
    """Experts say what would have been right at production's requests, which are these prompts word for word."""
    wrong = {"role": "assistant", "content": '{"action": "reply", "arguments": {"text": "no"}}'}
    for n, (prompt, user) in enumerate(zip(prompts, users, strict=False), start=first):
        captured: dict[str, Any] = {"agent": "demo", "request": prompt.request, "response": wrong, "user": user}
        store.add_exchanges([exchange(f"r{n}", f"c{n}", "refund", **captured)])
        better = {"role": "assistant", "content": prompt.golden}
        store.add_feedback(
            said(f"c{n}", 0.0, response=f"r{n}", source=Source.EXPERT, kind=FeedbackKind.CORRECTION, answer=better)
        )


def decide(job: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's own stage that writes what it will learn from, with a model that always says the same."""

    async def sampled(served: object, prompts: Sequence[Prompt], n: int, seed: int) -> list[list[str]]:
        return [["?"] * n for _ in prompts]

    monkeypatch.setattr("agentkit.tune.job.sample_served", sampled)
    job._decide(cast(Any, None), job._compiled()[1])


def test_judgements_that_were_written_for_training_elsewhere_go_too(
    store: Store, settings: CollectSettings, tmp_path: Path, anna: str
) -> None:
    talks = [exchange(f"r{n}", f"c{n}", "find", asked=f"asked {n}", user=user) for n, user in enumerate((anna, None))]
    store.add_exchanges(talks)
    heard = [said(f"c{n}", 1.0, response=f"r{n}") for n in range(2)]
    file = tmp_path / "thumbs.jsonl"
    export_judgements(judgements(talks, heard), file, "kto", settings)
    assert gone(store, settings, tmp_path).lines == 1
    (row,) = file.read_bytes().splitlines()
    assert b"asked 1" in row


def test_conversations_that_only_a_data_set_knows_are_forgotten_too(
    store: Store, settings: CollectSettings, tmp_path: Path, anna: str
) -> None:
    (tmp_path / "jobs" / "job-1").mkdir(parents=True)
    origin = Origin(ResponseId("x"), ConversationId("pruned"), anna)
    write_provenance(tmp_path / "jobs" / "job-1", {"rows.jsonl": [[origin]]})
    store.add_exchanges([make_exchange("without user", conversation=ConversationId("pruned"), user=None)])
    assert gone(store, settings, tmp_path).exchanges == 1


@pytest.mark.parametrize(("user", "said"), [(" ", "found an empty name"), ("Anna", "nobody was ever captured here")])
def test_who_cannot_be_known_is_told(
    store: Store, settings: CollectSettings, tmp_path: Path, user: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        gone(store, settings, tmp_path, user)
    assert not (Path(settings.folder) / "secret.key").exists()


def test_provenance_that_is_none_is_told(tmp_path: Path) -> None:
    assert read_provenance(tmp_path) == {}
    for content in (b"[]", b'{"files": {"a": [[["x"]]]}}', b"{"):
        (tmp_path / "provenance.json").write_bytes(content)
        with pytest.raises(UsageError, match=r"provenance\.json: is not what was written"):
            files_of(tmp_path, ["user"], [])


def origins(*users: str) -> list[list[Origin]]:
    """Of a file of a line for each."""
    return [[Origin(ResponseId(it), ConversationId(it), it)] for it in users]


def die_at(file: int, patch: pytest.MonkeyPatch) -> None:
    """The process ends before that file that it writes is there."""
    calls, moved = iter(range(1, 9)), Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        if next(calls) == file:
            raise KeyboardInterrupt
        return moved(self, target)

    patch.setattr(Path, "replace", replace_or_die)


@pytest.mark.parametrize("crash", range(1, 4))
def test_a_crash_never_leaves_lines_with_the_origins_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: int
) -> None:
    file = tmp_path / "rows.jsonl"
    write_lines(file, [b"me", b"you"], origins("me", "you"))
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        die_at(crash, patch)
        write_lines(file, [b"you", b"me", b"her"], origins("you", "me", "her"))
    assert not file.exists() or file.read_bytes() == b"you\nme\nher\n"
    strike(tmp_path, ["you"], [])
    assert not file.exists() or file.read_bytes() == b"me\nher\n"


@pytest.mark.parametrize("crash", [1, 2])
def test_a_crash_while_lines_are_removed_costs_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: int
) -> None:
    file = tmp_path / "rows.jsonl"
    write_lines(file, [b"me", b"you", b"her", b"him"], origins("me", "you", "her", "him"))
    with monkeypatch.context() as patch:
        die_at(crash, patch)
        with pytest.raises(KeyboardInterrupt):
            strike(tmp_path, ["me"], [])
    assert strike(tmp_path, ["me"], []) == 1
    assert file.read_bytes() == b"you\nher\nhim\n"
    assert strike(tmp_path, ["her"], []) == 1
    assert file.read_bytes() == b"you\nhim\n"


@pytest.mark.parametrize("content", [b"you\nher\nhim\nit\nmore\n", b"you\nher\n", b""])
def test_a_file_with_other_lines_than_were_written_is_named_before_anything_goes(
    store: Store, settings: CollectSettings, tmp_path: Path, anna: str, content: bytes
) -> None:
    store.add_exchanges([make_exchange("a", user=anna)])
    file = tmp_path / "jobs" / "job-1" / "rows.jsonl"
    write_lines(file, [b"me", b"you", b"her", b"him"], origins(anna, "you", "her", "him"))
    file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"{file}: found \d lines, expected the 4 that were written, of which 1 are"):
        gone(store, settings, tmp_path)
    assert [it.id for it in store.exchanges()] == ["a"]
    assert file.read_bytes() == content
    file.unlink()
    assert gone(store, settings, tmp_path).exchanges == 1


def test_a_data_set_that_is_not_there_now_is_named_and_reached_later(
    store: Store, settings: CollectSettings, tmp_path: Path, anna: str
) -> None:
    store.add_exchanges([make_exchange("a", user=anna), make_exchange("b", conversation=OTHER, user=None)])
    away, here = tmp_path / "volume", tmp_path / "here"
    export(store, settings, store.exchanges(), away)
    away.rename(tmp_path / "unmounted")
    away.mkdir()
    export(store, settings, store.exchanges(), here)
    found = gone(store, settings, tmp_path)
    assert (found.lines, found.missing) == (1, (away,))
    away.rmdir()
    (tmp_path / "unmounted").rename(away)
    found = gone(store, settings, tmp_path)
    assert (found.lines, found.missing) == (1, ())
    assert [orjson.loads(it)["id"] for it in (away / FILE).read_bytes().splitlines()] == ["b"]


def test_a_file_that_is_one_whole_is_deleted(tmp_path: Path) -> None:
    mine, other = (Origin(ResponseId(it), ConversationId(it), it) for it in ("me", "you"))
    write_provenance(tmp_path, {"a.yaml": [[mine, other]], "b.yaml": [[other]]})
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("x")
    assert files_of(tmp_path, ["me"], []) == ["a.yaml"]
    assert strike(tmp_path, ["me"], []) == 1
    assert [it.name for it in sorted(tmp_path.iterdir())] == ["b.yaml", "provenance.json"]


def test_an_export_does_not_go_among_other_files(store: Store, settings: CollectSettings, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="holds other files, expected a folder of its own"):
        export(store, settings, [], tmp_path)
