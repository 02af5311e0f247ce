"""Options of a group that stand before one of its commands: `--store` reaches it, whatever else does not is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

GROUPS = [
    ("serve", ("keys",)),
    ("serve", ("keys", "add", "alice")),
    ("loop", ("status",)),
    ("route", ("history",)),
]


@pytest.mark.parametrize(("group", "words"), GROUPS)
def test_the_store_that_a_group_is_told_is_that_of_its_commands(
    bare: Cli, tmp_path: Path, group: str, words: tuple[str, ...]
) -> None:
    told, elsewhere = (f"sqlite:///{tmp_path / name}" for name in ("told.db", "elsewhere.db"))
    done = bare(group, "--store", told, *words, AGENTKIT_STORE=elsewhere)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.db")) == [tmp_path / "told.db"]


def test_what_a_command_itself_is_told_comes_first(bare: Cli, tmp_path: Path) -> None:
    told, nearer = (f"sqlite:///{tmp_path / name}" for name in ("told.db", "nearer.db"))
    assert bare("serve", "--store", told, "keys", "--store", nearer, "add", "alice").returncode == 0
    assert list(tmp_path.rglob("*.db")) == [tmp_path / "nearer.db"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("loop", "--json", "x.json", "status"), "--json does not reach `status`"),
        (("serve", "--port", "9", "keys"), "--port does not reach `keys`"),
        (("serve", "keys", "--json", "-", "add", "alice"), "--json does not reach `add`"),
        (("label", "--expert", "ann", "status"), "--expert does not reach `status`"),
    ],
)
def test_what_does_not_reach_a_command_is_refused(bare: Cli, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = bare(*words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []
