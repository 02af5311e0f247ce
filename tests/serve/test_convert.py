"""GGUF to safetensors: the weights, the configuration and the tokenizer mean the same afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gguf", reason="comes with the model server")

from safetensors import safe_open
from tokenizers import Tokenizer

from agentkit.serve.convert import convert
from tests.serve.tiny_gguf import FEED_FORWARD, HEADS, HIDDEN, KV_HEADS, write_tiny_gguf


@pytest.fixture(scope="module")
def weights_and_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, np.ndarray], Path]:
    folder = tmp_path_factory.mktemp("model")
    source = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    weights = write_tiny_gguf(source)
    convert(source, folder)
    return weights, folder


def read(folder: Path, name: str) -> np.ndarray:
    """A bfloat16 tensor as float32, which numpy has."""
    header_length = int.from_bytes((raw := (folder / "model.safetensors").read_bytes())[:8], "little")
    entry = json.loads(raw[8 : 8 + header_length])[name]
    assert entry["dtype"] == "BF16"
    begin, end = (8 + header_length + offset for offset in entry["data_offsets"])
    bits = np.frombuffer(raw[begin:end], dtype="<u2").astype(np.uint32) << 16
    return bits.view(np.float32).reshape(entry["shape"])


@pytest.mark.parametrize(
    ("found", "source"),
    [
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight"),
        ("model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight"),
        ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"),
        ("model.norm.weight", "output_norm.weight"),
    ],
)
def test_weights(weights_and_folder: tuple[dict[str, np.ndarray], Path], found: str, source: str) -> None:
    weights, folder = weights_and_folder
    np.testing.assert_allclose(read(folder, found), weights[source], atol=0.03)


@pytest.mark.parametrize(("part", "heads"), [("q", HEADS), ("k", KV_HEADS)])
def test_rotary_weights_come_in_halves(
    weights_and_folder: tuple[dict[str, np.ndarray], Path], part: str, heads: int
) -> None:
    """transformers rotates row i of a head with row i + size/2, GGUF with its neighbour."""
    weights, folder = weights_and_folder
    size = HIDDEN // HEADS
    interleaved = weights[f"blk.0.attn_{part}.weight"].reshape(heads, size, HIDDEN)
    halves = read(folder, f"model.layers.0.self_attn.{part}_proj.weight").reshape(heads, size, HIDDEN)
    np.testing.assert_allclose(halves[:, : size // 2], interleaved[:, 0::2], atol=0.03)
    np.testing.assert_allclose(halves[:, size // 2 :], interleaved[:, 1::2], atol=0.03)


def test_every_weight_is_there(weights_and_folder: tuple[dict[str, np.ndarray], Path]) -> None:
    weights, folder = weights_and_folder
    with safe_open(folder / "model.safetensors", framework="np") as file:
        assert len(list(file.keys())) == len(weights)


def test_configuration(weights_and_folder: tuple[dict[str, np.ndarray], Path]) -> None:
    config = json.loads((weights_and_folder[1] / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["hidden_size"], config["intermediate_size"]) == (HIDDEN, FEED_FORWARD)
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (HEADS, KV_HEADS)
    assert config["tie_word_embeddings"] is True
    assert config["eos_token_id"] == 2


def test_tokenizer_splits_digits_and_keeps_special_tokens(
    weights_and_folder: tuple[dict[str, np.ndarray], Path],
) -> None:
    tokenizer = Tokenizer.from_file(str(weights_and_folder[1] / "tokenizer.json"))
    text = "<|im_start|>ab 12 Grüße, 東京<|im_end|>"
    encoding = tokenizer.encode(text)
    assert encoding.tokens[:2] == ["<|im_start|>", "ab"]
    assert "12" not in encoding.tokens
    assert encoding.ids[-1] == 2
    assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == text


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "other.gguf", tokenizer="llama-bpe")
    with pytest.raises(SystemExit, match="SmolLM's tokenizer"):
        convert(tmp_path / "other.gguf", tmp_path)
