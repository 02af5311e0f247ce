"""`agentkit route`: the table, its changes and its history, as a user sees them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.records import AdapterState
from agentkit.store import Store
from tests.cli.conftest import Cli
from tests.serve.canary.traffic import play
from tests.serve.routes.conftest import PROMOTABLE, A, B, state
from tests.store.records import make_adapter


@pytest.fixture(scope="module")
def with_adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("store") / "store.db"
    with Store.open(f"sqlite:///{file}") as opened:
        opened.add_adapter(make_adapter(A.name, certificate=PROMOTABLE))
        opened.add_adapter(make_adapter(B.name, hash="44" * 32))
    return file


@pytest.fixture
def store(with_adapters: Path, tmp_path: Path) -> Iterator[Store]:
    (tmp_path / ".agentkit").mkdir()
    with Store.open(f"sqlite:///{shutil.copy(with_adapters, tmp_path / '.agentkit/agentkit.db')}") as opened:
        yield opened


def test_the_table_of_a_new_project(bare: Cli, store: Store) -> None:
    done = bare("route")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("*/*", "base", "revision 1", "the base model answers until a route is made"):
        assert word in done.stdout
    document = json.loads(bare("route", "--json", "-").stdout)
    assert (document["revision"], document["routes"][0]["live"]) == (1, {"kind": "base", "name": ""})


def test_a_canary_is_shown_with_its_figures_and_promoted_when_it_is_clean(bare: Cli, store: Store) -> None:
    done = bare("route", "canary", "till/refund", "refund-v1", "--share", "0.5")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        "revision 2: to be tried on a share of the conversations",
    )
    assert "till/refund: base, canary refund-v1-3fa9 50 %" in done.stdout
    refused = bare("route", "promote", "till/refund")
    assert (refused.returncode, "the canary is not clean: going: to be clean it needs 50 more" in refused.stderr) == (
        1,
        True,
    )
    play(store, good={"live": 0.6, "canary": 0.95}, conversations=300)
    shown = " ".join(bare("route").stdout.split())
    for words in ("clean:", "judged good:", "answered:", "quick enough (", "evidence that it is worse e ="):
        assert words in shown
    judgement = json.loads(bare("route", "--json", "-").stdout)["routes"][1]["judgement"]
    assert (judgement["verdict"], [it["name"] for it in judgement["criteria"]]) == (
        "clean",
        ["feedback", "errors", "latency"],
    )
    assert bare("route", "promote", "till/refund").returncode == 0
    assert state(store, A) is AdapterState.LIVE


def test_what_is_forced_wants_a_reason(bare: Cli, store: Store) -> None:
    bare("route", "canary", "till/refund", B.name)
    silent = bare("route", "promote", "till/refund", "--force")
    assert (silent.returncode, "--force: say with --why" in silent.stderr) == (2, True)
    done = bare("route", "promote", "till/refund", "--force", "--why", "an emergency")
    assert (done.returncode, "forced: refund-v2-77aa has no certificate" in " ".join(done.stdout.split())) == (0, True)
    history = bare("route", "history").stdout
    assert "an emergency" in history
    assert "forced:" in history


def test_back_and_the_history_of_it(bare: Cli, store: Store) -> None:
    bare("route", "set", "till", "refund-v1", "--force", "--why", "by hand")
    assert bare("route", "rollback").returncode == 2, "without a reason"
    done = bare("route", "rollback", "--repin", "--why", "it is rude")
    assert (done.returncode, "till/*: refund-v1-3fa9 → no route of its own" in done.stdout) == (0, True)
    shown = bare("route", "history", "--limit", "2").stdout
    assert [words in shown for words in ("it is rude", "by hand", "until a route is made")] == [True, True, False]
    assert "running conversations were moved, too" in shown
    found = json.loads(bare("route", "history", "--json", "-").stdout)["revisions"]
    assert [it["revision"] for it in found] == [3, 2, 1]
    assert found[0]["evidence"]["restores"] == 1
    again = bare("route", "rollback", "--why", "more")
    assert (again.returncode, "there is no earlier table" in again.stderr) == (2, True)


def test_a_canary_ends_by_hand(bare: Cli, store: Store) -> None:
    bare("route", "canary", "till/refund", "refund-v1")
    assert bare("route", "canary", "till/refund", "--off").returncode == 0
    assert state(store, A) is AdapterState.CANDIDATE
    assert bare("route", "canary", "till/refund").returncode == 2
    assert bare("route", "canary", "till/refund", "refund-v1", "--off").returncode == 2


def test_what_changes_nothing_makes_no_revision(bare: Cli, store: Store) -> None:
    done = bare("route", "set", "*/*", "base", "--json", "r.json")
    assert (done.returncode, done.stdout) == (0, "nothing changes: revision 1 says so already\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("set", "till/refund", "refnud-v1-3fa9"),
            "nothing is called 'refnud-v1-3fa9' that could answer (did you mean",
        ),
        (("set", "till/refund", "refund-v1"), "refund-v1-3fa9 is candidate and was never promoted"),
        (
            ("canary", "till/refund", "refund-v1", "--share", "10"),
            "share: found 10, expected more than 0 and less than 1",
        ),
        (("canary", "till/\x1b[31m", "refund-v1"), "expected 1 to 200 printable characters"),
        (("promote", "till/refund"), "till/refund has no canary"),
        (("promtoe", "till/refund"), "No such command"),
        (("--json", "x.json", "history"), "write it behind the command"),
    ],
)
def test_mistakes_are_told_and_change_nothing(bare: Cli, store: Store, words: tuple[str, ...], said: str) -> None:
    done = bare("route", *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert [it.number for it in store.revisions()] in ([], [1])
