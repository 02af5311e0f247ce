"""Publishing an adapter: what is refused, what is written, and that a changed folder is noticed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from agentkit.errors import AdapterError, ExitCode
from agentkit.serve.adapter_folder import Manifest, adapter_hash, find_adapter, verify
from agentkit.serve.model_hash import file_hash
from agentkit.tune import adapter as module
from agentkit.tune import publish
from agentkit.tune.adapter import slug
from tests.tune.small_lora import MODULES, lora_config, lora_tensors, make_card, write_lora, write_safetensors

ROOT = Path(__file__).parents[2]
FILES = {"README.md", "adapter_config.json", "adapter_model.safetensors", "manifest.json"}


def test_a_published_folder_holds_four_files_that_nobody_may_write(base: Path, source: Path, adapters: Path) -> None:
    found = publish(source, adapters, make_card(base), base_folder=base)
    assert {path.name for path in found.path.iterdir()} == FILES
    assert found.name == found.path.name == f"refund-v1-{found.manifest.hash[:4]}"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in found.path.iterdir())
    assert found.manifest.hash == adapter_hash(
        {name: file_hash(found.path / name) for name in FILES - {"README.md", "manifest.json"}}
    )
    assert sorted(path.name for path in adapters.iterdir()) == [".lock", found.name]
    assert (found.path / "adapter_model.safetensors").read_bytes() == (
        source / "adapter_model.safetensors"
    ).read_bytes()


def test_the_configuration_says_nothing_of_the_machine_that_trained(base: Path, source: Path, adapters: Path) -> None:
    found = publish(source, adapters, make_card(base))
    config = json.loads((found.path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert "private" not in "".join(path.read_text(errors="replace") for path in found.path.iterdir())


def test_the_manifest_says_where_it_comes_from(base: Path, source: Path, adapters: Path) -> None:
    card = make_card(base, parents=("refund-v1-0000",), reward_hash="ee" * 8)
    manifest = publish(source, adapters, card).manifest
    for name in ("step", "scenarios", "base", "base_hash", "parents", "job", "data_hash", "reward_hash"):
        assert getattr(manifest, name) == getattr(card, name)
    assert (manifest.seeds, manifest.versions) == ({"training": 7}, {"peft": "0.21.2"})
    assert manifest.card["examples"] == 16


def test_the_model_card_has_the_front_matter_of_a_model_hub(base: Path, source: Path, adapters: Path) -> None:
    text = (publish(source, adapters, make_card(base)).path / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front)["base_model"] == "tiny"
    assert yaml.safe_load(front)["library_name"] == "peft"
    assert "| examples | 16 |" in body
    assert "Nothing yet when this was published" in body


def test_words_of_others_mean_nothing_in_the_model_card(base: Path, source: Path, adapters: Path) -> None:
    hostile = "x |\n# Title <script>alert(1)</script> [link](javascript:1)\x1b[2J"
    card = make_card(base, data=hostile, limits=("---\nbase_model: other",), certificate={"verdict": hostile})
    text = (publish(source, adapters, card).path / "README.md").read_text()
    assert "\x1b" not in text
    assert "<script>" not in text.replace("\\<", "")
    assert "\n# Title" not in text
    assert [line for line in text.splitlines() if line == "---"] == ["---", "---"]
    assert "\\[link\\]" in text


def test_versions_of_a_step_are_counted(base: Path, source: Path, tmp_path: Path, adapters: Path) -> None:
    names = [
        publish(write_lora(tmp_path / str(seed), seed), adapters, make_card(base, step=step)).name
        for seed, step in enumerate(["refund", "refund", "greet", "refund"])
    ]
    assert [name[:-5] for name in names] == ["refund-v1", "refund-v2", "greet-v1", "refund-v3"]


def test_versions_that_only_the_registry_knows_count_too(base: Path, source: Path, adapters: Path) -> None:
    assert publish(source, adapters, make_card(base), taken=["refund-v7-3fa9", "other"]).name.startswith("refund-v8-")


def test_a_collision_of_the_short_hash_gets_more_digits(base: Path, source: Path, adapters: Path) -> None:
    found = publish(source, adapters, make_card(base)).manifest.hash
    other = adapters.with_name("others")
    again = publish(source, other, make_card(base), taken=[f"refund-v1-{found[:5]}", f"greet-v1-{found[:9]}"])
    assert again.name == f"refund-v2-{found[:6]}"


def test_the_same_weights_are_published_once(base: Path, source: Path, adapters: Path) -> None:
    first = publish(source, adapters, make_card(base))
    again = publish(source, adapters, make_card(base, job="job-2"))
    assert again == first
    assert publish(source, adapters, make_card(base, step="greet")).name.startswith("greet-v1-")


def test_two_at_once_take_two_versions(base: Path, tmp_path: Path, adapters: Path) -> None:
    sources = [write_lora(tmp_path / str(seed), seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda it: publish(it, adapters, make_card(base)), sources))
    assert sorted(it.name[:9] for it in found) == [f"refund-v{number}" for number in range(1, 7)]


def test_a_process_that_dies_while_it_publishes_leaves_no_adapter(base: Path, source: Path, adapters: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom agentkit.tune import adapter\n"
        "from tests.tune.small_lora import make_card\n"
        "adapter.os.rename = lambda *_: os._exit(9)\n"
        "adapter.publish(Path(sys.argv[1]), Path(sys.argv[2]), make_card(Path(sys.argv[3])))\n"
    )
    command = [sys.executable, "-c", code, str(source), str(adapters), str(base)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert [path.name[:7] for path in adapters.iterdir() if path.is_dir()] == [".draft-"]
    found = publish(source, adapters, make_card(base))
    assert sorted(path.name for path in adapters.iterdir()) == [".lock", found.name], "the draft is swept away"


def test_nothing_is_overwritten(base: Path, source: Path, adapters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = adapters / "refund-v1-aaaa"
    there.mkdir(parents=True)
    (there / "precious").touch()
    monkeypatch.setattr(module, "_name", lambda *_: there.name)
    with pytest.raises(AdapterError, match="the adapter cannot be written there"):
        publish(source, adapters, make_card(base))
    assert [path.name for path in there.iterdir()] == ["precious"]
    assert not list(adapters.glob(".draft-*"))


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt"])
def test_a_pickle_is_refused(base: Path, source: Path, adapters: Path, name: str) -> None:
    (source / name).write_bytes(b"\x80\x04")
    with pytest.raises(AdapterError, match=rf"{name}: is a pickle, which can run code when it is loaded"):
        publish(source, adapters, make_card(base))
    assert not adapters.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + b"\0" * 100, "it is a pickle"),
        (b"\x80\x04" + b"\xff" * 100, "it is a pickle"),
        (b"", "it has only 0 bytes"),
        (b"\xff" * 50, "its header is longer than the file"),
        ((4).to_bytes(8, "little") + b"[[[[" + b"\0" * 9, "its header cannot be read"),
        ((2).to_bytes(8, "little") + b"{}" + b"\0" * 9, "expected 10 bytes, found 19"),
        ((2).to_bytes(8, "little") + b"{}", "it holds no tensor"),
    ],
)
def test_what_is_no_safetensors_is_refused(
    base: Path, source: Path, adapters: Path, content: bytes, message: str
) -> None:
    (source / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(AdapterError, match=message) as error:
        publish(source, adapters, make_card(base))
    assert str(source) in str(error.value), "the file that the user knows is named"
    assert [path.name for path in adapters.iterdir()] == [".lock"]


def test_a_cut_off_file_is_refused(base: Path, source: Path, adapters: Path) -> None:
    path = source / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AdapterError, match="is no whole safetensors file"):
        publish(source, adapters, make_card(base))


A, B = (f"base_model.model.{MODULES[0]}.lora_{side}.weight" for side in "AB")


def changed(**tensors: Any) -> dict[str, Any]:
    names = {"A": A, "B": B}
    return {**lora_tensors(), **{names.get(name, name): tensor for name, tensor in tensors.items()}}


@pytest.mark.parametrize(
    ("tensors", "config", "message"),
    [
        (changed(A=np.full((2, 6), np.nan, np.float32)), {}, "lora_A.weight: holds numbers that are not finite"),
        (changed(B=np.full((6, 2), np.inf, np.float32)), {}, "lora_B.weight: holds numbers that are not finite"),
        (changed(B=np.full((6, 2), 0x7F80, np.uint16)), {}, "lora_B.weight: holds numbers that are not finite"),
        ({k: v * 0 if "lora_B" in k else v for k, v in lora_tensors().items()}, {}, "every lora_B is zero"),
        (changed(A=np.ones((3, 6), np.float32)), {}, r"lora_A: found the rank 3, expected 2 \(adapter_config.json\)"),
        (changed(), {"r": 3}, "lora_A: found the rank 2, expected 3"),
        (changed(), {"r": True}, "r: found True, expected the rank"),
        (changed(), {"rank_pattern": {"layers.1.self_attn.q_proj": 4}}, r"layers.1.self_attn.q_proj: lora_A: found"),
        (changed(A=np.ones((2, 6), np.int64)), {}, "found the type I64, expected one of F64, F32"),
        (changed(A=np.ones(12, np.float32)), {}, r"found the shape \[12\], expected a matrix"),
        ({k: v for k, v in lora_tensors().items() if k != B}, {}, "q_proj: its lora_B is missing"),
        (
            {k: v for k, v in lora_tensors().items() if "layers.1" not in k},
            {},
            "layers.1.self_attn.q_proj: is a target",
        ),
        (changed(), {"target_modules": ["q_proj"]}, "v_proj: is none of the target_modules"),
        (changed(), {"target_modules": ["q_proj", "v_proj", "o_proj"]}, "o_proj: no tensor is of such a module"),
        (changed(), {"target_modules": []}, r"target_modules: found \[\], expected names of modules"),
        (changed(A=np.ones((2, 5), np.float32)), {}, r"found \[6, 5\] in and out, expected \[6, 6\] of the base model"),
        (changed(weird=np.ones(2, np.float32)), {}, "weird: expected a name like base_model.model"),
        (changed(), {"modules_to_save": ["lm_head"]}, "modules_to_save: found .* without it"),
        (changed(), {"use_dora": True}, "use_dora: found True"),
        (changed(), {"bias": "all"}, "bias: found 'all', expected 'none'"),
        (changed(), {"peft_type": "IA3"}, "peft_type: found 'IA3', expected 'LORA'"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    base: Path, source: Path, adapters: Path, tensors: dict[str, Any], config: dict[str, Any], message: str
) -> None:
    write_lora(source, config=lora_config(**config), tensors=tensors)
    with pytest.raises(AdapterError, match=message):
        publish(source, adapters, make_card(base), base_folder=base)
    assert [path.name for path in adapters.iterdir()] == [".lock"]


def test_a_module_that_the_base_model_lacks_is_refused(base: Path, source: Path, adapters: Path) -> None:
    tensors = {name.replace("layers.1", "layers.7"): tensor for name, tensor in lora_tensors().items()}
    write_lora(source, tensors=tensors)
    with pytest.raises(AdapterError, match=r"model.layers.7.self_attn.q_proj: the base model has no such module"):
        publish(source, adapters, make_card(base), base_folder=base)


def test_a_rank_of_its_own_is_allowed_where_the_configuration_says_so(base: Path, source: Path, adapters: Path) -> None:
    tensors = changed(A=np.ones((4, 6), np.float32), B=np.ones((6, 4), np.float32))
    write_lora(source, config=lora_config(rank_pattern={r"layers\.0\.self_attn\.q_proj": 4}), tensors=tensors)
    assert publish(source, adapters, make_card(base), base_folder=base).name


def test_half_precision_is_read(base: Path, source: Path, adapters: Path) -> None:
    half = {name: (it.view(np.uint32) >> 16).astype(np.uint16) for name, it in lora_tensors().items()}
    write_lora(source, tensors=half)
    assert publish(source, adapters, make_card(base), base_folder=base).name


def test_another_base_model_than_the_card_says_is_refused(base: Path, source: Path, adapters: Path) -> None:
    card = make_card(base)
    (base / "tokenizer.json").write_text("{ }")
    with pytest.raises(AdapterError, match=r"base: its hash is .*…, but the card says"):
        publish(source, adapters, card, base_folder=base)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_hash": "short"}, "model card: base_hash: found 'short'"),
        ({"data_hash": ""}, "model card: data_hash: found ''"),
        ({"seeds": {"a": "b"}}, "model card: seeds.a: found 'b'"),
        ({"training": {"a": object()}}, "model card: is no plain JSON"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused(
    base: Path, source: Path, adapters: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(AdapterError, match=message):
        publish(source, adapters, make_card(base, **changes))
    assert [path.name for path in adapters.iterdir()] == [".lock"]


def test_a_folder_without_an_adapter_is_refused(base: Path, tmp_path: Path, adapters: Path) -> None:
    with pytest.raises(AdapterError, match="there is no such folder"):
        publish(tmp_path / "nowhere", adapters, make_card(base))
    (tmp_path / "empty").mkdir()
    with pytest.raises(AdapterError, match=r"found no adapter_model\.safetensors in it"):
        publish(tmp_path / "empty", adapters, make_card(base))


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "[" * 100_000])
def test_a_broken_configuration_is_refused(base: Path, source: Path, adapters: Path, text: str) -> None:
    (source / "adapter_config.json").write_text(text)
    with pytest.raises(AdapterError, match=r"adapter_config.json: (is no JSON|found a)"):
        publish(source, adapters, make_card(base))


def tampered(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    if path.exists():
        path.chmod(0o644)
    path.write_bytes(content)


def edited(folder: Path, **changes: Any) -> None:
    document = json.loads((folder / "manifest.json").read_text())
    tampered(folder, "manifest.json", json.dumps(document | changes).encode())


@pytest.mark.parametrize("name", sorted(FILES - {"manifest.json"}))
def test_one_changed_byte_is_noticed(base: Path, source: Path, adapters: Path, name: str) -> None:
    folder = publish(source, adapters, make_card(base)).path
    assert verify(folder).path == folder
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    tampered(folder, name, bytes(content))
    with pytest.raises(AdapterError, match=rf"{name}: was changed: its hash is") as error:
        verify(folder)
    assert error.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_noticed(base: Path, source: Path, adapters: Path, name: str) -> None:
    folder = publish(source, adapters, make_card(base)).path
    (folder / name).unlink()
    with pytest.raises(AdapterError, match=name):
        verify(folder)


def test_a_link_in_place_of_a_file_is_noticed(base: Path, source: Path, adapters: Path) -> None:
    folder = publish(source, adapters, make_card(base)).path
    (folder / "README.md").rename(adapters / "README.md")
    (folder / "README.md").symlink_to(adapters / "README.md")
    with pytest.raises(AdapterError, match=r"README\.md: expected a file, found a link"):
        verify(folder)


def test_a_pickle_beside_the_weights_is_noticed(base: Path, source: Path, adapters: Path) -> None:
    folder = publish(source, adapters, make_card(base)).path
    tampered(folder, "adapter_model.bin", b"\x80\x04")
    with pytest.raises(AdapterError, match=r"adapter_model.bin: is not in the manifest, and is a pickle"):
        verify(folder)


def test_weights_of_another_adapter_are_noticed_though_the_manifest_lists_them(
    base: Path, source: Path, adapters: Path
) -> None:
    folder = publish(source, adapters, make_card(base)).path
    write_safetensors(adapters / "other", lora_tensors(5))
    tampered(folder, "adapter_model.safetensors", (adapters / "other").read_bytes())
    files = {name: file_hash(folder / name) for name in FILES - {"manifest.json"}}
    edited(folder, files=files)
    with pytest.raises(AdapterError, match="hash: is not that of the files it lists"):
        verify(folder)
    edited(folder, files=files, hash=adapter_hash(files))
    with pytest.raises(AdapterError, match="its name ends in"):
        verify(folder)


def test_a_name_that_is_not_the_folders_is_noticed(base: Path, source: Path, adapters: Path) -> None:
    folder = publish(source, adapters, make_card(base)).path
    moved = folder.rename(folder.with_name("greet-v1-" + folder.name[-4:]))
    with pytest.raises(AdapterError, match=r"name: found 'refund-v1-\w+', expected 'greet-v1-"):
        verify(moved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hash": "xx"}, "hash: String should match pattern"),
        ({"format": 2}, "format: Input should be 1"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"files": {}}, "files: expected adapter_model.safetensors, adapter_config.json and README.md"),
        ({"files": {"../../../etc/passwd": "00" * 32}}, "../../../etc/passwd: is missing"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    base: Path, source: Path, adapters: Path, changes: dict[str, Any], message: str
) -> None:
    folder = publish(source, adapters, make_card(base)).path
    edited(folder, **changes)
    with pytest.raises(AdapterError, match=message):
        verify(folder)


def test_a_manifest_that_was_replaced_as_a_whole_is_told_from_the_registered_one(
    base: Path, source: Path, adapters: Path
) -> None:
    found = publish(source, adapters, make_card(base))
    assert verify(found.path, manifest_hash=found.manifest_hash) == found
    edited(found.path, data_hash="00" * 32)
    assert isinstance(verify(found.path).manifest, Manifest), "by itself it is consistent"
    with pytest.raises(AdapterError, match=r"manifest\.json: its hash is .* it was changed"):
        verify(found.path, manifest_hash=found.manifest_hash)


def test_an_adapter_is_found_by_its_whole_name_only(base: Path, source: Path, adapters: Path) -> None:
    with pytest.raises(AdapterError, match="no adapter is called 'refund-v1-aaaa'; no adapter is in that folder yet"):
        find_adapter("refund-v1-aaaa", adapters)
    found = publish(source, adapters, make_card(base))
    assert find_adapter(found.name, adapters) == found
    with pytest.raises(AdapterError, match=rf"no adapter is called 'refund-v1' \(did you mean '{found.name}'\?\)"):
        find_adapter("refund-v1", adapters)
    with pytest.raises(AdapterError, match="no adapter is called"):
        find_adapter(os.path.join("..", adapters.name, found.name), adapters)


@pytest.mark.parametrize(
    ("step", "expected"),
    [("refund", "refund"), ("point_of_sale/refund:Find Sale", "point_of_sale-refund-find-sale"), ("☃", "step")],
)
def test_a_step_is_written_in_names_as_letters_and_digits(step: str, expected: str) -> None:
    assert slug(step) == expected
    assert slug("x" * 200) == "x" * 80
