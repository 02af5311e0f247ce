"""`python -m agentkit.tune.merge BASE ADAPTER [ADAPTER…] OUT`: a model's folder with adapters merged into its weights.

A process of its own, since it loads torch and PEFT. The sum is made in float32 and rounded once, to the type of base.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

TEXT = frozenset(
    (
        "added_tokens.json",
        "chat_template.jinja",
        "generation_config.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
    )
)
"""Files of a model that an adapter does not change."""


def main(arguments: list[str]) -> int:
    """Merge; OUT must not be there. Exit code 2 for a wrong call, and for folders that cannot be merged."""
    if len(arguments) < 3:
        print("usage: python -m agentkit.tune.merge BASE ADAPTER [ADAPTER...] OUT", file=sys.stderr)
        return 2
    base, *adapters, out = map(Path, arguments)
    if out.exists():
        print(f"{out}: is there already", file=sys.stderr)
        return 2
    try:
        model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
        dtype = model.dtype
        model = model.float()
        for adapter in adapters:
            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload(safe_merge=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        print(f"{base} and {', '.join(map(str, adapters))}: cannot be merged: {error}", file=sys.stderr)
        return 2
    model.to(dtype).save_pretrained(out)
    for name in sorted(TEXT):
        if (base / name).is_file():
            shutil.copyfile(base / name, out / name)
    return 0


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    sys.exit(main(sys.argv[1:]))
