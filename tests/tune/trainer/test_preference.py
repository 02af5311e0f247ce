"""What of an answer is better or worse: the text that the grammar leaves open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agentkit.tune.phase import Phase
from agentkit.tune.prompt import Split, read_prompts
from agentkit.tune.trainer.preference_rows import read_preferences
from tests.tune.trainer.test_generate import END, Tiny
from tests.tune.trainer.tiny import schema, taught

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


BOS = "<|im_start|>"
"""Of the tiny model: what its chat template begins with."""


@pytest.fixture(scope="module")
def with_bos(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, with a tokenizer that puts a BOS before any text, as those of Llama 3 and Gemma do."""
    folder = Path(shutil.copytree(tiny, tmp_path_factory.mktemp("bos") / "model"))
    file = folder / "tokenizer.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    first, text = {"SpecialToken": {"id": BOS, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    known = {BOS: {"id": BOS, "ids": [1], "tokens": [BOS]}}
    whole["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": known,
    }
    file.write_text(json.dumps(whole), encoding="utf-8")
    return folder


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_prompts_are_trained_in_the_tokens_that_are_served(method: str, with_bos: Path, tmp_path: Path) -> None:
    from agentkit.tune.trainer.model import checked_ids, load_trainee
    from agentkit.tune.trainer.preference import prepare
    from agentkit.tune.trainer.progress import Progress
    from agentkit.tune.trainer.task import Task

    folder = taught(tmp_path, with_bos, method)
    phase = Phase.read(folder)
    trainee = load_trainee(phase)
    assert trainee.tokenizer("x")["input_ids"][0] == 1, "it adds one"
    prompts = read_prompts(folder / "prompts.jsonl")
    served = checked_ids(prompts, trainee.tokenizer, phase.context, phase.max_tokens)
    assert all(ids[0] == 1 != ids[1] for ids in served.values()), "the template has one already"
    learn = [it for it in prompts if it.split is Split.TRAIN]
    task = Task(folder, phase, trainee, learn, [], [], served, Progress(None))
    rows = read_preferences(folder / "preferences.jsonl", method, {it.id for it in learn})
    trainer = prepare(task, rows)

    def tokens(text: str) -> list[int]:
        return [*trainee.tokenizer(text, add_special_tokens=False)["input_ids"], END]

    made = trainer.train_dataset
    assert [list(it["prompt_ids"]) for it in made] == [served[row["prompt"]] for row in rows]
    for text, name in (("chosen", "chosen_ids"), ("rejected", "rejected_ids"), ("completion", "completion_ids")):
        if text in rows[0]:
            assert [list(it[name]) for it in made] == [tokens(row[text]) for row in rows]
    if method == "kto":
        held = sorted(list(it["KL_completion_ids"]) for it in made)
        assert held == sorted(list(it["completion_ids"]) for it in made), "each is held against another's"
    batch = next(iter(trainer.get_train_dataloader()))
    starts = {tuple(ids) for ids in served.values()}
    for line in batch["input_ids"].tolist():
        assert any(tuple(line[: len(start)]) == start for start in starts)
