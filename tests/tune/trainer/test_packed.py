"""Rows that are packed give what they give alone: hidden states, log-probabilities and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PAD = 2
Rows = list[tuple[list[int], list[int]]]
"""Of each row: prompt and completion."""


def lora_model(tiny: Path) -> Any:
    """With an adapter that changes something, and the same weights at each call."""
    import peft
    import torch
    import transformers

    base = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.copy_(torch.randn(weight.shape, generator=draw) * 0.1)
    return model


def batch(rows: Rows) -> tuple[Any, Any]:
    """As TRL makes it: prompts padded on the left, completions on the right."""
    import torch

    left, right = max(len(prompt) for prompt, _ in rows), max(len(answer) for _, answer in rows)
    ids = [[PAD] * (left - len(p)) + p + a + [PAD] * (right - len(a)) for p, a in rows]
    mask = [[0] * (left - len(p)) + [1] * (len(p) + len(a)) + [0] * (right - len(a)) for p, a in rows]
    return torch.tensor(ids), torch.tensor(mask)


def made(prompts: list[int], group: int, completions: tuple[int, int] = (3, 9), seed: int = 0) -> Rows:
    """`group` completions of each of the prompts with these lengths."""
    import random

    draw = random.Random(seed)
    heads = [[draw.randrange(3, 49000) for _ in range(length)] for length in prompts]
    return [
        (head, [draw.randrange(3, 49000) for _ in range(draw.randint(*completions))])
        for head in heads
        for _ in range(group)
    ]


def computed(model: Any, rows: Rows) -> tuple[Any, Any, dict[str, Any]]:
    """Hidden states and log-probabilities where rows hold tokens, and the adapter's gradients of a weighted sum."""
    import torch

    ids, mask = batch(rows)
    model.zero_grad()
    hidden = model.base_model.model.model(input_ids=ids, attention_mask=mask).last_hidden_state
    scores = model.get_base_model().lm_head(hidden)[:, :-1].log_softmax(-1)
    logprobs = scores.gather(-1, ids[:, 1:, None])[..., 0]
    left = ids.shape[1] - max(len(answer) for _, answer in rows)
    real = mask[:, 1:].bool() & (torch.arange(1, ids.shape[1]) >= left)
    weights = torch.cos(torch.arange(real.numel(), dtype=torch.float32)).view_as(logprobs)
    (logprobs * weights * real).sum().backward()
    gradients = {name: it.grad.clone() for name, it in model.named_parameters() if it.grad is not None}
    return hidden.detach()[mask.bool()], logprobs.detach()[real], gradients


def compare(tiny: Path, rows: Rows) -> None:
    import torch

    from agentkit.tune.trainer.packed import share_prompts

    model = lora_model(tiny)
    plain = computed(model, rows)
    share_prompts(model.base_model.model.model)
    packed = computed(model, rows)
    assert len(plain[2]) == len(packed[2]) == 2 * 7 * 2, "A and B of seven projections in two layers"
    torch.testing.assert_close(packed[0], plain[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(packed[1], plain[1], rtol=1e-4, atol=1e-4)
    for name, expected in plain[2].items():
        scale = float(expected.abs().max())
        assert scale > 0, name
        torch.testing.assert_close(packed[2][name], expected, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.parametrize(
    ("prompts", "group", "shuffled"), [([40], 4, False), ([50, 31], 4, False), ([44, 60, 52], 3, True)]
)
def test_packed_rows_give_what_they_give_alone(tiny: Path, prompts: list[int], group: int, shuffled: bool) -> None:
    import random

    from agentkit.tune.trainer.packed import pack

    rows = made(prompts, group)
    if shuffled:
        random.Random(4).shuffle(rows)
    packing = pack(*batch(rows))
    assert packing is not None, "the case is one in which rows are packed"
    assert len(packing.ids) == len(prompts)
    compare(tiny, rows)


def test_rows_that_are_computed_one_by_one_give_what_the_packed_batch_gives(tiny: Path) -> None:
    import torch

    from agentkit.tune.trainer.packed import share_prompts

    rows = made([50, 31], 4)
    model = lora_model(tiny)
    with torch.no_grad():
        single = [model(input_ids=torch.tensor([prompt + answer])).logits[0] for prompt, answer in rows]
        share_prompts(model.base_model.model.model)
        ids, mask = batch(rows)
        together = model(input_ids=ids, attention_mask=mask).logits
    for row, expected in enumerate(single):
        torch.testing.assert_close(together[row][mask[row].bool()], expected, rtol=1e-4, atol=1e-3)


def test_rows_that_are_all_equal_are_packed_too(tiny: Path) -> None:
    from agentkit.tune.trainer.packed import pack

    rows = made([30], 1) * 4
    packing = pack(*batch(rows))
    assert packing is not None
    assert packing.ids.shape[0] == 1
    compare(tiny, rows)


def test_completions_that_begin_alike_share_that_as_well(tiny: Path) -> None:
    from agentkit.tune.trainer.packed import pack

    prompt = made([30], 1)[0][0]
    rows: Rows = [(prompt, [7, 8, 9, last]) for last in (10, 11, 12)]
    packing = pack(*batch(rows))
    assert packing is not None
    assert packing.ids.shape == (1, 33 + 3)  # prompt and what follows alike once, then one token of each
    compare(tiny, rows)


def test_a_lone_row_and_rows_without_anything_in_common_are_computed_as_they_are(tiny: Path) -> None:
    from agentkit.tune.trainer.packed import pack

    assert pack(*batch(made([30], 1))) is None
    assert pack(*batch(made([30, 30], 1))) is None
    compare(tiny, made([30], 1))
    compare(tiny, made([20, 30], 1))


def test_what_is_not_worth_it_is_not_packed(tiny: Path) -> None:
    from agentkit.tune.trainer.packed import pack

    assert pack(*batch(made([5], 4, (60, 60)))) is None
    compare(tiny, made([5], 4, (60, 60)))


def test_one_row_alone_among_a_group_leaves_all_as_they_are(tiny: Path) -> None:
    from agentkit.tune.trainer.packed import pack

    rows = made([40], 4) + made([40], 1, seed=9)
    assert pack(*batch(rows)) is None
    compare(tiny, rows)
