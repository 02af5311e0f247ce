"""From a folder to the registry: only what is whole, once, and again after a crash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.errors import AdapterError, StoreError
from agentkit.records import AdapterState
from agentkit.store import Store
from agentkit.tune import publish
from agentkit.tune.registry import check_registered, left_behind, publish_and_register, register
from tests.tune.small_lora import make_card, write_lora

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def test_what_is_published_is_a_candidate_with_all_that_its_manifest_says(
    store: Store, base: Path, source: Path, adapters: Path
) -> None:
    card = make_card(base, certificate={"verdict": "better"}, reward_hash="ee")
    found = publish_and_register(store, source, adapters, card, base_folder=base)
    assert store.adapters() == [found]
    folder = check_registered(found)
    assert (found.hash, found.manifest_hash) == (folder.manifest.hash, folder.manifest_hash)
    assert (found.state, found.step, found.scenarios) == (AdapterState.CANDIDATE, "refund", ("shop/refund",))
    assert found.certificate == {"verdict": "better"}
    assert found.card["examples"] == 16
    assert (found.card["data_hash"], found.card["reward_hash"]) == (card.data_hash, "ee")
    assert left_behind(store, adapters) == []


def test_a_version_is_not_taken_twice_though_its_folder_is_gone(
    store: Store, base: Path, tmp_path: Path, adapters: Path
) -> None:
    first = publish_and_register(store, write_lora(tmp_path / "a", 1), adapters, make_card(base))
    adapters.rename(tmp_path / "gone")
    second = publish_and_register(store, write_lora(tmp_path / "b", 2), adapters, make_card(base))
    assert (first.name[:9], second.name[:9]) == ("refund-v1", "refund-v2")


@pytest.mark.slow
def test_a_process_that_dies_between_folder_and_row_is_made_up_for(
    store: Store, base: Path, source: Path, adapters: Path
) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from agentkit.store import Store\nfrom agentkit.tune import registry\n"
        "from tests.tune.small_lora import make_card\n"
        "registry.register = lambda *_: os._exit(9)\n"
        "store, source, folder, base = sys.argv[1:]\n"
        "registry.publish_and_register(Store.open(store), Path(source), Path(folder), make_card(Path(base)))\n"
    )
    command = [sys.executable, "-c", code, store.url, str(source), str(adapters), str(base)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert store.adapters() == []
    (left,) = left_behind(store, adapters)
    assert left.problem == ""
    again = publish_and_register(store, source, adapters, make_card(base))
    assert again.path == str(left.path)
    assert store.adapters() == [again]


def test_a_broken_folder_gets_no_row(store: Store, base: Path, source: Path, adapters: Path) -> None:
    folder = publish(source, adapters, make_card(base)).path
    (folder / "README.md").unlink()
    with pytest.raises(AdapterError, match=r"README\.md: is missing"):
        register(store, folder)
    assert store.adapters() == []
    (left,) = left_behind(store, adapters)
    assert "is missing" in left.problem


def test_a_folder_that_was_made_anew_under_a_known_name_is_refused(
    store: Store, base: Path, source: Path, adapters: Path
) -> None:
    found = publish_and_register(store, source, adapters, make_card(base))
    folder = Path(found.path)
    manifest = folder / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(
        manifest.read_text().replace('"training":7', '"training":8').replace('"training": 7', '"training": 8')
    )
    with pytest.raises(AdapterError, match="it was changed"):
        check_registered(found)
    with pytest.raises(StoreError, match="another adapter is registered as"):
        register(store, folder)
