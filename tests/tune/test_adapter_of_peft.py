"""What the real PEFT writes is published as it is, and read back by PEFT as the adapter that it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.errors import AdapterError
from agentkit.tune import publish
from tests.tune.small_lora import make_card

pytestmark = pytest.mark.slow


def test_an_adapter_of_a_real_model_is_published_and_loads_again(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="comes with training")  # here: collecting need not wait for it
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(7)
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    base = tmp_path / "base"
    transformers.LlamaForCausalLM(config).save_pretrained(base)
    (base / "tokenizer.json").write_text("{}")

    def model() -> object:
        return transformers.AutoModelForCausalLM.from_pretrained(base)

    lora = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    trained = peft.get_peft_model(model(), lora)
    trained.save_pretrained(tmp_path / "untrained")
    with pytest.raises(AdapterError, match="every lora_B is zero"):
        publish(tmp_path / "untrained", tmp_path / "adapters", make_card(base), base_folder=base)
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    trained.save_pretrained(tmp_path / "trained")
    found = publish(tmp_path / "trained", tmp_path / "adapters", make_card(base), base_folder=base)
    tokens = torch.arange(10).reshape(1, 10)
    again = peft.PeftModel.from_pretrained(model(), found.path)
    with torch.no_grad():
        expected, plain = trained(tokens).logits, model()(tokens).logits  # type: ignore[operator]
        assert torch.equal(again(tokens).logits, expected)
        assert not torch.allclose(plain, expected)
