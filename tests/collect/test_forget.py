"""A user is forgotten wherever something of them is kept, and what cannot be taken back is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from agentkit.collect.draft import write_drafts
from agentkit.collect.export import FILE, export
from agentkit.collect.forget import Gone, forget
from agentkit.collect.provenance import Origin, files_of, read_provenance, strike, write_provenance
from agentkit.collect.pseudonym import pseudonym
from agentkit.collect.spill import SegmentWriter, encode, segments
from agentkit.config import CollectSettings
from agentkit.errors import UsageError
from agentkit.records import ConversationId, Feedback, FeedbackKind, JobId, ResponseId, Source
from agentkit.store import Store
from tests.collect.captured import make_exchange
from tests.collect.conversations import LOOK_UP, exchanges
from tests.store.records import make_adapter, make_job


@pytest.fixture
def anna(settings: CollectSettings) -> str:
    return pseudonym("Anna", settings.folder)


def gone(store: Store, settings: CollectSettings, tmp_path: Path, user: str = "Anna", wait: float = 0.0) -> Gone:
    return forget(store, settings, user, scenarios=tmp_path / "scenarios", jobs=tmp_path / "jobs", wait=wait)


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
    spilled.append([encode(make_exchange("late", user=anna)), encode(make_exchange("other", user=None))])
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


def _made(folder: Path) -> bool:
    folder.mkdir(parents=True)
    return True


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


def test_adapters_that_learned_from_a_user_are_named(
    store: Store, settings: CollectSettings, tmp_path: Path, anna: str
) -> None:
    for name in ("job-1", "job-2"):
        folder = tmp_path / "jobs" / name
        store.create_job(make_job(name, folder=str(folder)))
        folder.mkdir(parents=True)
        (folder / "rows.jsonl").write_bytes(b'{"a": 1}\n{"b": 2}\n')
    own, other = (Origin(ResponseId(it), ConversationId(it), user) for it, user in (("x", anna), ("y", None)))
    write_provenance(tmp_path / "jobs" / "job-1", {"rows.jsonl": [[own, other], [other]]})
    write_provenance(tmp_path / "jobs" / "job-2", {"rows.jsonl": [[other], [other]]})
    store.add_adapter(make_adapter("one", job=JobId("job-1"), parents=()))
    store.add_adapter(make_adapter("two", job=JobId("job-2"), parents=(), hash="00" * 32))
    store.add_adapter(make_adapter("grown", job=JobId("job-2"), parents=("one",), hash="01" * 32))
    found = gone(store, settings, tmp_path)
    assert found.adapters == ("one", "grown")
    assert found.lines == 1
    assert (tmp_path / "jobs" / "job-1" / "rows.jsonl").read_bytes() == b'{"b": 2}\n'
    assert (tmp_path / "jobs" / "job-2" / "rows.jsonl").read_bytes() == b'{"a": 1}\n{"b": 2}\n'


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
            files_of(tmp_path, "user", [])


def test_a_file_that_is_one_whole_is_deleted(tmp_path: Path) -> None:
    mine, other = (Origin(ResponseId(it), ConversationId(it), it) for it in ("me", "you"))
    write_provenance(tmp_path, {"a.yaml": [[mine, other]], "b.yaml": [[other]]})
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("x")
    assert files_of(tmp_path, "me", []) == ["a.yaml"]
    assert strike(tmp_path, "me", []) == 1
    assert [it.name for it in sorted(tmp_path.iterdir())] == ["b.yaml", "provenance.json"]


def test_an_export_does_not_go_among_other_files(store: Store, settings: CollectSettings, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="holds other files, expected a folder of its own"):
        export(store, settings, [], tmp_path)
