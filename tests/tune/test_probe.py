"""The probe of an adapter: published with it, read back, or made once where it is served."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import AdapterError, EngineError
from agentkit.serve import probe as probe_module
from agentkit.serve.adapter_folder import PROBE, WEIGHTS, verify
from agentkit.serve.model_hash import file_hash
from agentkit.serve.probe import probe_of, read_probe
from agentkit.tune import publish
from tests.tune.small_lora import make_card

PROGRAM = """
import hashlib, json, sys
base, adapter, out, *prompts = sys.argv[1:]
if "words" in base:
    sys.exit("RuntimeError: words")
weights = hashlib.sha256(open(adapter + "/adapter_model.safetensors", "rb").read()).hexdigest()
row = {"tokens": [1, 2, 3], "start": 2, "adapter": [-1.0], "base": [-2.0]}
open(out, "w").write(json.dumps({"weights": weights, "prompts": [row]}))
"""


def document(source: Path, **changes: Any) -> dict[str, Any]:
    row = {"tokens": [5, 6, 7], "start": 1, "adapter": [-0.1, -0.2], "base": [-1.0, -2.0]}
    return {"weights": file_hash(source / WEIGHTS), "prompts": [row | changes]}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    monkeypatch.setattr(probe_module, "PROGRAM", (sys.executable, "-S", "-E", str(file)))
    monkeypatch.setattr(probe_module, "_SOURCE", file)
    return file


def test_it_is_published_and_guarded_with_the_adapter(base: Path, source: Path, adapters: Path) -> None:
    (source / PROBE).write_text(json.dumps(document(source)))
    adapter = publish(source, adapters, make_card(base))
    assert PROBE in adapter.manifest.files
    assert probe_of(adapter, base).prompts[0].adapter == (-0.1, -0.2)
    (adapter.path / PROBE).chmod(0o644)
    (adapter.path / PROBE).write_text(json.dumps(document(source, adapter=[-0.1, -0.3])))
    with pytest.raises(AdapterError, match=r"probe\.json: was changed"):
        verify(adapter.path)


def test_one_of_other_weights_is_not_published(base: Path, source: Path, adapters: Path) -> None:
    (source / PROBE).write_text(json.dumps(document(source) | {"weights": "ab" * 32}))
    with pytest.raises(AdapterError, match="is of weights abababababab"):
        publish(source, adapters, make_card(base))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adapter": [-0.1]}, "expected one number for each of the 2 tokens of the answer, found 1"),
        ({"start": 3}, "expected one number for each of the 0 tokens"),
        ({"base": [-1.0, "NaN"]}, "base"),
        ({"tokens": [5, -6, 7]}, "tokens"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_probe_is_told(source: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    file = tmp_path / PROBE
    file.write_text(json.dumps(document(source, **changes)))
    with pytest.raises(AdapterError, match=words):
        read_probe(file, source / WEIGHTS)
    with pytest.raises(AdapterError, match="cannot be read"):
        read_probe(tmp_path / "nowhere", source / WEIGHTS)


def test_where_it_is_missing_it_is_made_once(
    base: Path, source: Path, adapters: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = publish(source, adapters, make_card(base))
    assert probe_of(adapter, base).prompts[0].base == (-2.0,)
    monkeypatch.setattr(probe_module, "PROGRAM", ("false",))
    assert probe_of(adapter, base).prompts[0].base == (-2.0,)


def test_where_it_cannot_be_made_that_is_said(
    base: Path, source: Path, adapters: Path, program: Path, tmp_path: Path
) -> None:
    adapter = publish(source, adapters, make_card(base))
    with pytest.raises(EngineError, match=r"(?s)extra `tune` installed\?.*RuntimeError: words"):
        probe_of(adapter, base.rename(tmp_path / "words"))
    with pytest.raises(EngineError, match="no folder of a model to make one with"):
        probe_of(adapter, tmp_path / "nowhere")
