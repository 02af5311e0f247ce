"""Turn a Llama-architecture GGUF file into a bfloat16 safetensors folder that vLLM, transformers and TRL load.

Runs as a program of its own, `python convert.py SOURCE FOLDER`, so that the caller never imports what it
needs. Reads the weights, the configuration and the byte-level BPE vocabulary out of the one file: nothing is fetched.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, dequantize, quantize
from safetensors import TensorSpec, serialize_file

CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")
CONTROL_TOKEN = 3
"""`tokenizer.ggml.token_type` of a special token, such as <|im_end|>."""

WEIGHTS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class Source:
    """The fields of one GGUF file, by name."""

    def __init__(self, path: Path) -> None:
        self.reader = GGUFReader(path)
        found = self["general.architecture"]
        if found != "llama" or self["tokenizer.ggml.model"] != "gpt2" or self["tokenizer.ggml.pre"] != "smollm":
            raise SystemExit(f"{path}: expected a Llama model with SmolLM's tokenizer, found {found!r}")

    def __getitem__(self, field: str) -> Any:
        found = self.reader.get_field(field)
        if found is None:
            raise SystemExit(f"no field {field!r} in the GGUF file")
        return found.contents()

    def llama(self, field: str) -> Any:
        return self[f"llama.{field}"]


def weight_name(name: str) -> str:
    """`blk.3.attn_q.weight` -> `model.layers.3.self_attn.q_proj.weight`."""
    *block, part, kind = name.split(".")
    prefix = f"model.layers.{block[1]}." if block else ""
    return f"{prefix}{WEIGHTS[part]}.{kind}"


def rotary_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo GGUF's interleaving of each head's rotary pairs: rows (0, 1, 2, 3, …) -> (0, 2, …, 1, 3, …)."""
    return weight.reshape(heads, -1, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write_weights(source: Source, folder: Path) -> None:
    heads = {"attn_q": source.llama("attention.head_count"), "attn_k": source.llama("attention.head_count_kv")}
    tensors: dict[str, np.ndarray] = {}
    specs: dict[str, TensorSpec] = {}
    for tensor in source.reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        part = tensor.name.split(".")[-2]
        if part in heads:
            values = rotary_halves(values, heads[part])
        name = weight_name(tensor.name)
        data = tensors[name] = np.ascontiguousarray(quantize(values, GGMLQuantizationType.BF16))
        specs[name] = TensorSpec(
            dtype="bfloat16", shape=list(values.shape), data_ptr=data.ctypes.data, data_len=data.nbytes
        )
    serialize_file(specs, folder / "model.safetensors", metadata={"format": "pt"})


def write_config(source: Source, folder: Path) -> None:
    tied = all(tensor.name != "output.weight" for tensor in source.reader.tensors)
    tokens = {
        "bos_token_id": source["tokenizer.ggml.bos_token_id"],
        "eos_token_id": source["tokenizer.ggml.eos_token_id"],
        "pad_token_id": source["tokenizer.ggml.padding_token_id"],
    }
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": source.llama("embedding_length"),
        "intermediate_size": source.llama("feed_forward_length"),
        "max_position_embeddings": source.llama("context_length"),
        "num_attention_heads": source.llama("attention.head_count"),
        "num_hidden_layers": source.llama("block_count"),
        "num_key_value_heads": source.llama("attention.head_count_kv"),
        "rms_norm_eps": source.llama("attention.layer_norm_rms_epsilon"),
        "rope_theta": source.llama("rope.freq_base"),
        "tie_word_embeddings": tied,
        "vocab_size": source.llama("vocab_size"),
        **tokens,
    }
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", tokens)


def write_tokenizer(source: Source, folder: Path) -> None:
    """SmolLM splits every digit off, then as GPT-2 does; both matter to how identifiers and amounts are read."""
    tokens: list[str] = source["tokenizer.ggml.tokens"]
    special = [i for i, kind in enumerate(source["tokenizer.ggml.token_type"]) if kind == CONTROL_TOKEN]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": tokens[i], **flags} for i in special],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in source["tokenizer.ggml.merges"]],
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
        },
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[source["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[source["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[source["tokenizer.ggml.padding_token_id"]],
        "unk_token": tokens[source["tokenizer.ggml.unknown_token_id"]],
        "model_max_length": source.llama("context_length"),
        "clean_up_tokenization_spaces": False,
    }
    write_json(folder / "tokenizer.json", tokenizer)
    write_json(folder / "tokenizer_config.json", settings)
    shutil.copyfile(CHAT_TEMPLATE, folder / "chat_template.jinja")


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


def convert(path: Path, folder: Path) -> None:
    """Write the model of the GGUF file at `path` into the existing, empty `folder`."""
    source = Source(path)
    write_weights(source, folder)
    write_config(source, folder)
    write_tokenizer(source, folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
