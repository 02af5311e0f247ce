"""What of an answer is better or worse: the text that the grammar leaves open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tune.trainer.test_generate import END, Tiny
from tests.tune.trainer.tiny import schema

pytestmark = pytest.mark.slow
PROMPT = [5, 6, 7]


@pytest.fixture(scope="module")
def made(tiny: Path) -> Tiny:
    return Tiny(tiny)


def ids(made: Tiny, answer: object) -> list[int]:
    text = answer if isinstance(answer, str) else json.dumps(answer, separators=(",", ":"))
    return [*made.tokenizer(text, add_special_tokens=False)["input_ids"], END]


def painted(made: Tiny, colour: str) -> list[int]:
    return ids(made, {"action": "paint", "arguments": {"colour": colour}})


def kept(made: Tiny, row: Any, mask: Any) -> str:
    return str(made.tokenizer.decode(row[mask.bool()]))


def test_of_a_pair_only_the_choices_count(made: Tiny) -> None:
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    from agentkit.tune.trainer.preference import OpenText

    rows = [
        {"prompt_ids": PROMPT, "chosen_ids": painted(made, "red"), "rejected_ids": painted(made, "green")},
        {"prompt_ids": PROMPT[:1], "chosen_ids": painted(made, "blue"), "rejected_ids": ids(made, "I will not")},
    ]
    answers = [(schema(), row[name]) for row in rows for name in ("chosen_ids", "rejected_ids")]
    plain = DataCollatorForPreference(pad_token_id=END)
    collate = OpenText(plain, made.write.grammars, answers)
    found = collate(rows)
    whole = plain(rows)
    assert found["input_ids"].tolist() == whole["input_ids"].tolist()
    texts = [kept(made, *it) for it in zip(found["input_ids"], found["completion_mask"], strict=True)]
    assert texts[:3] == ["pred", "pblue", "pgreen"], "the first letter of `paint` says that it is not `reply`"
    assert texts[3] == kept(made, whole["input_ids"][3], whole["completion_mask"][3]), "the server could not write it"
    assert collate.any_open


def test_of_an_answer_with_a_thumb_and_of_what_it_is_held_against(made: Tiny) -> None:
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    from agentkit.tune.trainer.preference import OpenText

    red, blue = painted(made, "red"), painted(made, "blue")
    rows = [
        {"prompt_ids": PROMPT, "completion_ids": red, "KL_completion_ids": blue, "label": True},
        {"prompt_ids": PROMPT[:2], "completion_ids": blue, "KL_completion_ids": red, "label": False},
    ]
    collate = OpenText(
        DataCollatorForUnpairedPreference(pad_token_id=END), made.write.grammars, [(schema(), red), (schema(), blue)]
    )
    found = collate(rows)
    for kind, colours in (("", ("red", "blue")), ("KL_", ("blue", "red"))):
        for line, colour in enumerate(colours):
            text = kept(made, found[f"{kind}input_ids"][line], found[f"{kind}completion_mask"][line])
            assert text == f"p{colour}"


def test_where_the_grammar_leaves_no_choice_nothing_is_open(made: Tiny) -> None:
    from agentkit.tune.trainer.preference import OpenText

    said = {"action": "paint", "arguments": {"colour": "red"}}
    one = ({"const": said}, ids(made, said))
    assert not OpenText(None, made.write.grammars, [one]).any_open
    assert OpenText(None, made.write.grammars, [one, (schema(), ids(made, said))]).any_open, "asked for in two ways"
