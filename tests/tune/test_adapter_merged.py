"""The model with adapters in its weights: made once, attested, and refused where it is not what it should be."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentkit.errors import AdapterError, EngineError
from agentkit.serve import merged
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.attest import share_merged
from agentkit.serve.merged import merged_model, merged_name
from agentkit.tune import publish
from tests.tune.small_lora import lora_config, make_card, write_base, write_lora


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(merged, "PROGRAM", (sys.executable, str(Path(__file__).with_name("numpy_merge.py"))))
    monkeypatch.setattr(merged, "_SOURCE", Path(__file__).with_name("numpy_merge.py"))


@pytest.fixture
def one(base: Path, source: Path, adapters: Path) -> AdapterFolder:
    return publish(source, adapters, make_card(base))


@pytest.fixture
def two(base: Path, tmp_path: Path, adapters: Path) -> AdapterFolder:
    scaled = lora_config(use_rslora=True, alpha_pattern={"layers.1.self_attn.v_proj": 3})
    return publish(write_lora(tmp_path / "two", 2, config=scaled), adapters, make_card(base, step="greet"))


def cached(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "models").iterdir())


def test_merged_once_and_found_again(base: Path, one: AdapterFolder, tmp_path: Path) -> None:
    said: list[str] = []
    folder = merged_model(base, [one], on_progress=said.append)
    assert said == [f"merging {one.name} into {folder}"]
    assert folder.name.startswith(f"base+{one.name}-")
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    assert merged_model(base, [one], on_progress=said.append) == folder
    assert len(said) == 1
    assert cached(tmp_path) == [folder]
    assert share_merged(base, folder, [one.path]) == pytest.approx(1, abs=0.02)


def test_two_processes_that_merge_at_once_agree(base: Path, one: AdapterFolder, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: merged_model(base, [one]), range(2))
    assert first == second
    assert cached(tmp_path) == [first]


@pytest.mark.slow
def test_other_adapters_and_another_program_are_other_folders(
    base: Path, one: AdapterFolder, two: AdapterFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [merged_model(base, chosen) for chosen in ([one], [two], [one, two])]
    monkeypatch.setattr(merged, "_SOURCE", Path(__file__))
    folders.append(merged_model(base, [one]))
    assert cached(tmp_path) == sorted(folders)
    assert len(set(folders)) == 4


def test_several_adapters_are_all_in_the_weights(base: Path, one: AdapterFolder, two: AdapterFolder) -> None:
    whole = merged_model(base, [one])
    assert share_merged(base, whole, [one.path]) == pytest.approx(1, abs=0.02)
    assert share_merged(base, base, [one.path]) == 0
    assert share_merged(base, whole, [two.path]) != pytest.approx(1, abs=0.2)
    assert merged_name("tiny", [one, two]) == f"tiny+{one.name}+{two.name}"
    assert merged_name("tiny", []) == "tiny"


@pytest.mark.parametrize(("times", "share"), [("0", "0%"), ("2", "200%"), ("-1", "-100%")])
def test_a_merge_that_did_nothing_or_too_much_is_refused(
    base: Path, one: AdapterFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: str, share: str
) -> None:
    monkeypatch.setenv("NUMPY_MERGE_TIMES", times)
    with pytest.raises(EngineError, match=f"merging failed: {share} of the changes of {one.name} are in the merged"):
        merged_model(base, [one])
    assert cached(tmp_path) == []


def test_changes_that_were_rounded_away_are_told(
    base: Path, one: AdapterFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPY_MERGE_TIMES", "0.4")
    said: list[str] = []
    merged_model(base, [one], on_progress=said.append)
    assert "only 40% of what the adapters change is left in the merged weights" in said[1]


def test_a_program_that_fails_is_quoted(
    base: Path, one: AdapterFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMPY_MERGE_FAILS", "No module named 'peft'")
    with pytest.raises(EngineError, match=r"is the extra `tune` installed\?\):\nNo module named 'peft'"):
        merged_model(base, [one])
    assert cached(tmp_path) == []


def test_a_program_that_writes_half_a_model_is_refused(
    base: Path, one: AdapterFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os, sys; os.mkdir(sys.argv[-1])"
    monkeypatch.setattr(merged, "PROGRAM", (sys.executable, "-c", code))
    with pytest.raises(EngineError, match=r"merging wrote no whole model: config\.json, tokenizer\.json is missing"):
        merged_model(base, [one])
    assert cached(tmp_path) == []


def test_an_adapter_for_another_model_is_refused(base: Path, one: AdapterFolder, tmp_path: Path) -> None:
    other = write_base(tmp_path / "other", seed=4)
    with pytest.raises(AdapterError, match=f"adapter {one.name} is for tiny with another hash: found"):
        merged_model(other, [one])
    assert not (tmp_path / "cache" / "models").exists()


def test_without_the_program_it_is_said(base: Path, one: AdapterFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged, "_SOURCE", Path("nowhere.py"))
    with pytest.raises(EngineError, match=r"adapters cannot be merged: nowhere\.py is missing from this installation"):
        merged_model(base, [one])
