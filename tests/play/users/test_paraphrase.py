"""Seeded paraphrase: every instance sounds different, and nothing that the agent needs is touched."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.play.plan import instance_seed
from agentkit.play.user import Cue, user_hash
from agentkit.play.users.checks import first_fault
from agentkit.play.users.paraphrase import reword
from agentkit.play.users.reply import Reply
from agentkit.play.users.styles import STYLES, style_of
from agentkit.play.users.templated import TemplatedUser
from agentkit.play.users.values import drawn, named, numbered
from agentkit.records import Message
from agentkit.scenario import Equals, Instance, load
from agentkit.store import Store
from tests.play.users.bank_calls import SETTINGS, play

SHIPPED = load([Path(__file__).parents[3] / "scenarios"])


async def spoken(user: TemplatedUser, instance: Instance) -> list[str]:
    cues = [Cue(instance, index, (), {}, None) for index in range(len(instance.turns))]  # type: ignore[arg-type]
    return [(await user.say(moment)).content for moment in cues]


@pytest.mark.parametrize("style", [None, *STYLES])
async def test_every_value_that_the_golden_steps_need_stays_in_the_words(style: str | None) -> None:
    user = TemplatedUser("t", style)
    needed = 0
    for loaded in SHIPPED:
        for number in range(12):
            instance = loaded.draw("golden", instance_seed(3, number))
            for turn, words in zip(instance.turns, await spoken(user, instance), strict=True):
                expected = [
                    m.equals for s in turn.steps if s.call for m in s.call.arguments.values() if isinstance(m, Equals)
                ]
                values = [str(value) for value in expected if str(value) in turn.user]
                values += [*numbered(turn.user), *named(turn.user)]
                folded = words.casefold()
                assert [v for v in values if v not in words and v.casefold() not in folded] == []
                assert all(v in words for v in numbered(turn.user))
                assert drawn(words, instance.variables) == drawn(turn.user, instance.variables)
                assert Counter(numbered(words)) == Counter(numbered(turn.user))  # and none is added
                needed += len(values)
    assert needed > 500


@pytest.mark.slow
async def test_equal_seeds_give_equal_words_and_different_ones_sound_different() -> None:
    user = TemplatedUser("t")
    for loaded in SHIPPED:
        instances = [loaded.draw("golden", instance_seed(0, number)) for number in range(30)]
        said = [await spoken(user, instance) for instance in instances]
        assert said == [await spoken(TemplatedUser("other"), instance) for instance in instances]
        conversations = {tuple(_blank(t, i) for t in turns) for turns, i in zip(said, instances, strict=True)}
        assert len(conversations) >= 24  # whatever the values in them are


def _blank(text: str, instance: Instance) -> str:
    for value in sorted({*drawn(text, instance.variables), *numbered(text)}, key=len, reverse=True):
        text = re.sub(re.escape(value), "…", text, flags=re.IGNORECASE)
    return text


@given(st.text(max_size=200), st.sampled_from(sorted(STYLES)), st.integers(0, 2**32), st.booleans())
def test_any_text_keeps_its_identifiers(text: str, style: str, seed: int, opening: bool) -> None:
    said = reword(text, STYLES[style], Random(seed), opening=opening)
    assert Counter(numbered(said)) == Counter(numbered(text))


WORDS = [
    "please",
    "refund",
    "S-10432",
    "the",
    "jacket,",
    "I",
    "would like to",
    "Anna",
    "do not",
    "$24.50",
    "is",
    "you",
    "?",
    ".",
]


@pytest.mark.slow
@given(st.lists(st.sampled_from(WORDS), max_size=25), st.sampled_from(sorted(STYLES)), st.integers(0, 2**32))
def test_values_stay_in_sentences_of_any_order(words: list[str], style: str, seed: int) -> None:
    text = " ".join(words)
    said = reword(text, STYLES[style], Random(seed), keep=["jacket"], opening=True)
    for value in ("S-10432", "$24.50", "jacket"):
        assert said.count(value) == text.count(value)


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("Please refund S-1 to my card.", "polite", r"(?i).*(could|would) you please refund S-1 to my card\?.*"),
        ("I don't know it, can you help?", "formal", r".*I do not know it.*"),
        ("Yes, it is. I would like to pay.", "casual", r"(?i)(so |okay so |alright, )?ye.*it is\.? i.*"),
        ("Hello, can you help me?", "terse", r"(?i)can you help me\?"),
    ],
)
def test_what_a_style_does(text: str, style: str, expected: str) -> None:
    said = [reword(text, STYLES[style], Random(seed), opening=style == "polite") for seed in range(40)]
    assert any(re.fullmatch(expected, words) for words in said), said


@pytest.mark.parametrize(
    "text",
    [
        "Récitez-moi un poème français, s'il vous plaît.",
        "Können Sie mir bitte helfen?",
        "S-10432",
        "",
        "private \ue000 letters please, would you",
    ],
)
def test_what_is_not_english_is_said_as_it_is(text: str) -> None:
    assert {reword(text, STYLES[style], Random(seed), opening=True) for style in STYLES for seed in range(9)} == {text}


def test_quotations_and_addresses_are_untouched() -> None:
    text = 'Please write "I would like to go" to I.AM@Home.example or https://Do.not/Thank you.'
    for seed in range(40):
        said = reword(text, STYLES["casual"], Random(seed))
        for part in ('"I would like to go"', "I.AM@Home.example", "https://Do.not/Thank"):
            assert part in said


def test_a_persona_names_its_style() -> None:
    assert style_of("Formal and precise.", Random(0)) is STYLES["formal"]
    assert {id(style_of("Chatty, in a hurry.", Random(n))) for n in range(20)} == {
        id(STYLES["chatty"]),
        id(STYLES["terse"]),
    }
    assert len({id(style_of("", Random(n))) for n in range(60)}) == len(STYLES)


def test_the_definition_holds_the_style() -> None:
    assert user_hash(TemplatedUser("t")) == user_hash(TemplatedUser("other"))
    assert user_hash(TemplatedUser("t")) != user_hash(TemplatedUser("t", "terse"))


async def test_a_detours_words_are_said_as_they_are_by_a_templated_user(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        _, trials = await play(TemplatedUser("t", "formal"), store, tmp_path, variants=("shouts",), trials=4)
    said = [[m.content for m in trial.messages if m.role == "user"] for trial in trials]
    assert {words[1] for words in said} == {"DO SOMETHING! ###"}
    assert any(
        words[0] != trial.variables["card"] and "Please block" not in words[0]
        for words, trial in zip(said, trials, strict=True)
    )


@pytest.mark.slow
async def test_good_paraphrases_set_off_no_check_of_a_user_played_by_a_model() -> None:
    """What is said in another way, with every value kept, is what a good model would say."""
    said = 0
    for loaded in SHIPPED:
        for variant in loaded.variants:
            instance = loaded.draw(variant, instance_seed(1, 0))
            before: tuple[Message, ...] = ()
            for index, turn in enumerate(instance.turns):
                moment = Cue(instance, index, before, loaded.tools, None)  # type: ignore[arg-type]
                for style in (None, *STYLES):
                    words = (await TemplatedUser("t", style).say(moment)).content
                    assert first_fault(Reply(words, (), moment, SETTINGS)) is None, words
                    said += 1
                assert first_fault(Reply(turn.user, (), moment, SETTINGS)) is None
                before += (Message("user", turn.user, index), Message("assistant", "Is that right?", index))
    assert said > 1000
