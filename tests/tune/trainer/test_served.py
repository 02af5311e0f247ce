"""What is rewarded and evaluated is the model as it will be served: with the adapter merged, rounding included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.tune.phase import Phase
from tests.tune.trainer.tiny import prompt, write_phase

pytestmark = pytest.mark.slow


def trained(tiny: Path, folder: Path, dtype: str) -> Any:
    """A trainee with an adapter that changes what is said."""
    import torch

    from agentkit.tune.trainer.model import load_trainee

    trainee = load_trainee(Phase.read(write_phase(folder, tiny, method="sft", dtype=dtype)))
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in trainee.model.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=draw) * 0.1)
    return trainee


def state(trainee: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in trainee.model.state_dict().items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_model_as_served_is_the_merged_model_and_is_put_back_untouched(
    tiny: Path, tmp_path: Path, dtype: str
) -> None:
    import torch
    import transformers

    from agentkit.tune.merge import main
    from agentkit.tune.trainer.watch import save_adapter

    trainee = trained(tiny, tmp_path / "job", dtype)
    base = tmp_path / "base"
    plain = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=getattr(torch, dtype))
    plain.save_pretrained(base)
    trainee.tokenizer.save_pretrained(base)
    save_adapter(trainee, tmp_path / "adapter")
    assert sorted(it.name for it in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    arguments = [str(base), str(tmp_path / "adapter"), str(tmp_path / "merged")]
    if dtype == "bfloat16":  # once as the program that it is
        subprocess.run([sys.executable, "-m", "agentkit.tune.merge", *arguments], check=True, capture_output=True)
    else:
        assert main(arguments) == 0
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto").eval()
    assert merged.dtype == plain.dtype == getattr(torch, dtype)
    assert (tmp_path / "merged" / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()

    before, tokens = state(trainee), torch.arange(100, 130)[None]
    trainee.model.eval()
    with torch.no_grad():
        with trainee.as_served():
            served = trainee.model(tokens).logits
            assert not same(state(trainee), before), "inside, the weights are others"
        assert same(state(trainee), before)
        assert torch.equal(served, merged(tokens).logits)
        assert not torch.allclose(served, plain(tokens).logits, atol=0.1)
        if dtype == "float32":
            torch.testing.assert_close(trainee.model(tokens).logits, served, rtol=1e-3, atol=1e-3)


def test_an_error_inside_puts_the_weights_back_too(tiny: Path, tmp_path: Path) -> None:
    trainee = trained(tiny, tmp_path, "float32")
    before = state(trainee)
    with pytest.raises(RuntimeError, match="mishap"), trainee.as_served():
        raise RuntimeError("mishap")
    assert same(state(trainee), before)


def test_a_new_adapter_says_what_the_base_model_says(tiny: Path, tmp_path: Path) -> None:
    import torch

    from agentkit.tune.trainer.model import load_trainee

    trainee = load_trainee(Phase.read(write_phase(tmp_path, tiny, method="sft")))
    tokens = torch.arange(100, 130)[None]
    with torch.no_grad():
        adapted = trainee.model(tokens).logits
        with trainee.model.disable_adapter():
            assert torch.equal(adapted, trainee.model(tokens).logits)


def test_a_prompt_is_written_as_the_chat_template_has_it(tiny: Path) -> None:
    from agentkit.tune.trainer.model import load_tokenizer, prompt_ids

    tokenizer = load_tokenizer(str(tiny))
    assert tokenizer.decode(prompt_ids(prompt(0), tokenizer)) == (
        "<|im_start|>system\nYou paint.<|im_end|>\n"
        "<|im_start|>user\nPaint the door red, please.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_merging_says_what_is_wrong_with_its_call(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from agentkit.tune.merge import main

    def said(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        return capsys.readouterr().err

    assert "usage: python -m agentkit.tune.merge BASE ADAPTER" in said("base")
    assert "is there already" in said("base", "adapter", str(tmp_path))
    assert "nowhere: cannot be merged: " in said(str(tiny), str(tmp_path / "nowhere"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_start_that_is_no_adapter_is_named(tiny: Path, tmp_path: Path) -> None:
    from agentkit.tune.trainer.model import load_trainee

    phase = Phase.read(write_phase(tmp_path / "job", tiny, method="sft", start=str(tmp_path / "nowhere")))
    with pytest.raises(UsageError, match=r"start .*nowhere: the adapter cannot be loaded: "):
        load_trainee(phase)
