"""Completions written side by side are those that the model writes one at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UsageError
from agentkit.tune.golden import as_written
from tests.tune.trainer.tiny import COLOURS, schema

pytestmark = pytest.mark.slow

PROMPTS = [[9, 300, 41, 7777], [1, 4093, 198], list(range(500, 540)), [1, 12, 88, 9000, 31, 5, 2020]]
END = 2


class Tiny:
    """The model with its generator."""

    def __init__(self, folder: Path) -> None:
        import torch
        import transformers

        from agentkit.tune.trainer.generate import Generator

        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.write = Generator(self.model, self.tokenizer, (END,))


@pytest.fixture(scope="module")
def made(tiny: Path) -> Tiny:
    return Tiny(tiny)


def decoding(**settings: Any) -> Any:
    from agentkit.tune.trainer.generate import Decoding

    return Decoding(**{"temperature": 1.0, "max_tokens": 40} | settings)


def test_greedy_answers_are_those_of_transformers_token_by_token(made: Tiny) -> None:
    import torch

    found = made.write(PROMPTS, [None] * len(PROMPTS), 3, decoding(temperature=0.0, max_tokens=24), 0)
    assert [len(group) for group in found] == [3] * len(PROMPTS)
    for prompt, group in zip(PROMPTS, found, strict=True):
        ids = torch.tensor([prompt])
        expected = made.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24, eos_token_id=END
        )[0, len(prompt) :].tolist()
        assert [list(completion.ids) for completion in group] == [expected] * 3
        assert all(completion.finished is (expected[-1] == END) for completion in group)


def test_sampled_answers_have_the_probability_that_the_model_gives_them(made: Tiny) -> None:
    import torch

    for temperature in (1.0, 0.7):
        found = made.write(PROMPTS, [None] * len(PROMPTS), 2, decoding(temperature=temperature, max_tokens=12), 5)
        for prompt, group in zip(PROMPTS, found, strict=True):
            assert group[0].ids != group[1].ids
            for completion in group:
                ids = torch.tensor([[*prompt, *completion.ids]])
                with torch.no_grad():
                    logits = made.model(ids).logits[0, len(prompt) - 1 : -1]
                scores = (logits / temperature).log_softmax(-1)
                expected = scores[torch.arange(len(completion.ids)), list(completion.ids)]
                torch.testing.assert_close(torch.tensor(completion.logprobs), expected, rtol=1e-3, atol=2e-3)
                assert all(completion.free)


def test_tokens_are_drawn_by_their_probability(made: Tiny) -> None:
    """Of a first token held to four colours, the shares are those of the model, within five standard errors."""
    import torch

    held = {"enum": list(COLOURS)}
    draws = 2000
    found = made.write([PROMPTS[0]], [held], draws, decoding(max_tokens=2), 1)[0]
    second = [completion.ids[:2] for completion in found]
    for pair in set(second):
        share = sum(it == pair for it in second) / draws
        probability = next(float(torch.tensor(it.logprobs[:2]).sum().exp()) for it in found if it.ids[:2] == pair)
        assert abs(share - probability) < 5 * (probability * (1 - probability) / draws) ** 0.5 + 1e-6
    assert len(set(second)) > 1


def test_every_finished_answer_that_is_held_to_a_schema_is_json_of_it(made: Tiny) -> None:
    import jsonschema

    found = made.write(PROMPTS, [schema()] * len(PROMPTS), 4, decoding(max_tokens=64), 2)
    texts = [made.tokenizer.decode(it.ids, skip_special_tokens=True) for group in found for it in group]
    assert all(completion.finished for group in found for completion in group)
    for text in texts:
        jsonschema.validate(json.loads(text), schema())
    assert len(set(texts)) > 1, "a random model does not always choose the same"


def test_prompts_with_and_without_a_schema_are_written_together(made: Tiny) -> None:
    free, held = made.write(PROMPTS[:2], [None, schema()], 2, decoding(max_tokens=64), 2)
    assert all(all(completion.free) for completion in free)
    for completion in held:
        assert json.loads(made.tokenizer.decode(completion.ids, skip_special_tokens=True))["action"]


def test_tokens_that_the_grammar_forces_are_marked_as_not_free(made: Tiny) -> None:
    one = {"type": "object", "properties": {"a": {"const": "b"}}, "required": ["a"], "additionalProperties": False}
    completion = made.write([PROMPTS[0]], [one], 1, decoding(), 0)[0][0]
    assert json.loads(made.tokenizer.decode(completion.ids, skip_special_tokens=True)) == {"a": "b"}
    assert completion.ids[-1] == END
    assert not any(completion.free), "there is one text, however it is cut into tokens"
    assert any(completion.logprobs), "and there are several ways to cut it"
    choice = made.write([PROMPTS[0]], [schema()], 1, decoding(max_tokens=64), 0)[0][0]
    assert 0 < sum(choice.free) < len(choice.free)


def test_of_a_choice_inside_a_character_only_what_differs_is_free(made: Tiny) -> None:
    ids = [*made.tokenizer('"né"', add_special_tokens=False)["input_ids"], END]
    assert sum(made.write.grammars.free({"enum": ["né", "nê"]}, ids)) == 1
    assert not any(made.write.grammars.free({"enum": ["né"]}, ids))
    with pytest.raises(UsageError, match="none that the grammar allows"):
        made.write.grammars.free({"enum": ["no"]}, ids)


def test_an_answer_is_dictated_in_the_tokens_in_which_the_model_comes_to_write_it(made: Tiny) -> None:
    answers = [{"action": "paint", "arguments": {"colour": colour}} for colour in COLOURS[: len(PROMPTS)]]
    texts = [as_written(it) for it in answers]
    told = made.write.dictated(PROMPTS, [schema()] * len(PROMPTS), texts)
    for text, it in zip(texts, told, strict=True):
        assert it.finished
        assert made.tokenizer.decode(it.ids, skip_special_tokens=True) == text
        assert it.free == made.write.grammars.free(schema(), it.ids)
        assert any(it.free)
    # Of what has no choice in it, the tokens are those that the model writes.
    one = [{"const": it} for it in answers]
    own = made.write(PROMPTS, one, 1, decoding(temperature=0.0, max_tokens=200), 0)
    assert [it.ids for it in made.write.dictated(PROMPTS, one, texts)] == [it.ids for (it,) in own]
    assert own[0][0].ids != tuple(made.tokenizer(texts[0])["input_ids"]), "which are not the tokenizer's"


def test_an_answer_that_its_schema_does_not_allow_is_not_dictated(made: Tiny) -> None:
    with pytest.raises(UsageError, match=r"the answer '\{\}' is none that its schema allows"):
        made.write.dictated(PROMPTS[:1], [schema()], ["{}"])


def test_the_limit_cuts_and_says_so(made: Tiny) -> None:
    found = made.write(PROMPTS, [schema()] * len(PROMPTS), 2, decoding(max_tokens=3), 0)
    assert all(len(it.ids) == 3 and not it.finished for group in found for it in group)


def test_the_same_seed_gives_the_same_answers_and_another_seed_others(made: Tiny) -> None:
    def answers(seed: int) -> list[list[tuple[int, ...]]]:
        found = made.write(PROMPTS, [None] * len(PROMPTS), 2, decoding(max_tokens=10), seed)
        return [[completion.ids for completion in group] for group in found]

    assert answers(7) == answers(7)
    assert answers(7) != answers(8)


def test_the_frequency_penalty_is_taken_for_each_time_a_token_was_written(made: Tiny) -> None:
    import torch

    penalty, length = 0.9, 16
    found = made.write(PROMPTS, [None] * len(PROMPTS), 2, decoding(temperature=0.0, max_tokens=length), 0)
    penalized = made.write(
        PROMPTS,
        [None] * len(PROMPTS),
        2,
        decoding(temperature=0.0, max_tokens=length, frequency_penalty=penalty),
        0,
    )
    assert penalized != found, "the model repeats itself, so that the penalty matters"
    for prompt, group in zip(PROMPTS, penalized, strict=True):
        written: list[int] = []
        for _ in range(length):
            with torch.no_grad():
                logits = made.model(torch.tensor([[*prompt, *written]])).logits[0, -1]
            for token in written:  # the prompt's own tokens cost nothing
                logits[token] -= penalty
            written.append(int(logits.argmax()))
            if written[-1] == END:
                break
        assert [list(completion.ids) for completion in group] == [written] * 2


def test_many_prompts_are_read_in_batches_and_given_back_in_order(made: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentkit.tune.trainer import generate

    greedy = decoding(temperature=0.0, max_tokens=6)
    together = made.write(PROMPTS, [None] * len(PROMPTS), 2, greedy, 0)
    monkeypatch.setattr(generate, "_READ_TOKENS", 8)
    assert len(generate._batches(PROMPTS, 0)) > 1
    apart = made.write(PROMPTS, [None] * len(PROMPTS), 2, greedy, 0)
    assert [[it.ids for it in group] for group in apart] == [[it.ids for it in group] for group in together]
