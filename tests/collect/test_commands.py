"""`agentkit collect` and `agentkit forget`, as they are typed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agentkit.cli import app
from agentkit.collect.draft import write_drafts
from agentkit.collect.pseudonym import pseudonym
from agentkit.config import Config
from agentkit.errors import ExitCode, StoreError, UsageError
from agentkit.records import ConversationId, Feedback, FeedbackKind, ResponseId, Source
from agentkit.store import Store
from tests.collect.conversations import LOOK_UP, REFUND, exchanges

Typed = Callable[..., Result]


@pytest.fixture
def typed(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Runs a command in an empty project, and gives what it said; `fails`: the error that it ends with."""
    (tmp_path / "pyproject.toml").write_text("[tool.agentkit]\n")
    monkeypatch.chdir(tmp_path)
    Path(".agentkit").mkdir()
    shutil.copy(empty_store, ".agentkit/agentkit.db")

    def run(*words: str, fails: type[Exception] | None = None) -> Result:
        result = CliRunner().invoke(app, words, standalone_mode=False)
        assert (None if result.exception is None else type(result.exception)) is fails, result.output
        return result

    return run


@pytest.fixture
def captured(typed: Typed) -> None:
    anna = pseudonym("Anna", ".agentkit/collect")
    with Store.open() as store:
        made = exchanges("c1", *LOOK_UP, user=anna), exchanges("c2", *LOOK_UP, *REFUND, user=None)
        store.add_exchanges([it for some in made for it in some])
        bad = Feedback(
            "f", "2026-03-01T00:00:00Z", Source.USER, "till", FeedbackKind.THUMB, ConversationId("c1"),
            response=ResponseId("c1-1"), value=0.0, text="rude",
        )  # fmt: skip
        store.add_feedback(bad)


def test_status_of_nothing(typed: Typed) -> None:
    said = typed("collect").output
    assert said.splitlines() == [
        "0 exchanges of 0 conversations, 0 users",
        "0 spill files wait for the store, 0.0 MB",
        "kept for 90 days",
    ]
    result = typed("collect", "draft")
    assert result.return_value == ExitCode.NOT_JUDGED
    assert result.output == "no conversation was captured that fits\n"
    assert typed("collect", "export", "-o", "out").return_value == ExitCode.NOT_JUDGED


@pytest.mark.usefixtures("captured")
def test_status(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(".agentkit/agentkit.db", "other.db")
    with Store.open("sqlite:///other.db") as store:
        store.add_exchanges(exchanges("c3", *LOOK_UP, user=None))
    monkeypatch.setenv("AGENTKIT_STORE", "sqlite:///other.db")
    assert "8 exchanges of 3 conversations" in typed("collect").output
    monkeypatch.delenv("AGENTKIT_STORE")
    found = json.loads(typed("collect", "status", "--json", "-").output)
    assert (found["exchanges"], found["conversations"], found["users"], found["spill_files"]) == (6, 2, 1, 0)


@pytest.mark.usefixtures("captured")
def test_drafts_bad_first_then_the_rest(typed: Typed) -> None:
    said = typed("collect", "draft", "--bad-first", "--limit", "1", "--json", "drafts.json").output
    assert "regression scenarios/__drafts__/demo/c1.yaml" in said
    assert "judged bad by user till: rude" in said
    assert "1 drafts: try them with `agentkit run scenarios/__drafts__ --agent scripted:1.0`" in said
    assert [it["conversation"] for it in json.loads(Path("drafts.json").read_text())] == ["c1"]
    said = typed("collect", "draft").output
    assert "draft      scenarios/__drafts__/demo/c2.yaml" in said
    assert "no draft   'c1': was drafted before" in said
    assert typed("collect", "draft", "--bad-only", "-o", "other").output.count("regression ") == 1


@pytest.mark.usefixtures("captured")
def test_a_user_is_forgotten(typed: Typed) -> None:
    typed("collect", "export", "-o", "data")
    typed("collect", "draft")
    said = typed("forget", "--user", "Anna", "--json", "gone.json").output
    assert "is forgotten, and what arrives later is not kept" in said
    assert "removed: 2 exchanges, 1 judgements, 0 pins, 4 lines of data sets and drafts" in said
    assert json.loads(Path("gone.json").read_text())["exchanges"] == 2
    assert len(Path("data/exchanges.jsonl").read_text().splitlines()) == 4
    assert json.loads(typed("collect", "status", "--json", "-").output)["forgotten"] == 1


@pytest.mark.usefixtures("captured")
@pytest.mark.parametrize("elsewhere", [True, False])
def test_drafts_of_a_forgotten_user_go_wherever_they_were_written(typed: Typed, elsewhere: bool) -> None:
    if elsewhere:  # in another order, so that the system prompt beside them is Anna's
        typed("collect", "draft", "-o", "elsewhere")
        drafts = Path("elsewhere/demo")
    else:  # as `agentkit loop` writes them
        with Store.open() as store:
            write_drafts(store, [ConversationId("c1"), ConversationId("c2")], Path(Config().loop.drafts), None)
        drafts = Path(".agentkit/drafts/demo")
    assert (drafts / "c1.yaml").exists()
    said = typed("forget", "--user", "Anna").output
    assert f"{2 if elsewhere else 1} lines of data sets and drafts" in said
    assert "is not there now" not in said
    assert not (drafts / "c1.yaml").exists()
    assert (drafts / "c2.yaml").exists()


@pytest.mark.usefixtures("captured")
def test_what_was_written_for_training_is_forgotten_and_what_is_away_is_named(
    typed: Typed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    typed("label", "export", "--kto", "-o", "thumbs.jsonl")
    typed("collect", "export", "-o", "data")
    Path("data").rename(tmp_path_factory.mktemp("volume") / "data")
    anna = pseudonym("Anna", ".agentkit/collect")
    said = typed("forget", "--user", anna, "--json", "gone.json").output
    assert f"so is whoever calls themselves that ({pseudonym(anna, '.agentkit/collect')})" in said
    assert ", 1 lines of data sets and drafts" in said
    assert f"is not there now, so that nothing was removed from it: {Path('data').absolute()}" in said
    assert json.loads(Path("gone.json").read_text())["missing"] == [str(Path("data").absolute())]
    assert not Path("thumbs.jsonl").exists()


@pytest.mark.usefixtures("captured")
def test_old_exchanges_are_pruned(typed: Typed) -> None:
    assert typed("collect", "prune", "--before", "2026-03-01T12:00:01Z").output == "2 exchanges deleted\n"
    Path("pyproject.toml").write_text("[tool.agentkit.collect]\nretention_days = 0.5\n")
    assert typed("collect", "prune", "--before", "0d").output.endswith("exchanges deleted\n")


def test_what_cannot_be_is_told(typed: Typed) -> None:
    typed("collect", "draft", "--since", "tuesday", fails=StoreError)
    typed("forget", "--user", "Anna", fails=UsageError)
    typed("collect", "draft", "--since", "9999999999d", fails=UsageError)
