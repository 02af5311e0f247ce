from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.tune.read import Answer, read_answer


def calls(answer: Answer) -> list[tuple[str, object, str | None]]:
    return [(call.name, call.arguments, call.raw) for call in answer.calls]


def test_a_guided_answer_is_a_call_or_a_reply() -> None:
    call = read_answer('{"action": "paint", "arguments": {"colour": "red"}}', "guided", "c")
    assert (call.reply, calls(call), call.calls[0].id) == ("", [("paint", {"colour": "red"}, None)], "c")
    assert read_answer('{"action":"reply","arguments":{"text":"Hello"}}', "guided", "c") == Answer("Hello")


@pytest.mark.parametrize(
    "text",
    [
        '{"action": "paint", "arguments": {"colour": "re',
        '{"action": "paint"}',
        '{"action": 3, "arguments": {}}',
        '[{"action": "paint", "arguments": {}}]',
        "Paint it!",
        "",
    ],
)
def test_a_guided_text_that_is_no_action_is_an_answer_as_it_stands(text: str) -> None:
    assert read_answer(text, "guided", "c") == Answer(text)


def test_a_call_of_hermes_is_read_with_what_is_said_before_it() -> None:
    text = 'One moment.\n<tool_call>\n{"name": "paint", "arguments": {"colour": "red"}}\n</tool_call>'
    found = read_answer(text, "hermes", "c")
    assert found.reply == "One moment."
    assert calls(found) == [("paint", {"colour": "red"}, None)]
    assert found.reasoning is None


def test_several_calls_of_hermes_are_read_in_order_each_with_an_id_of_its_own() -> None:
    text = '<tool_call>{"name": "a", "arguments": {}}</tool_call>\n<tool_call>{"name": "b"}</tool_call>'
    found = read_answer(text, "hermes", "c")
    assert [(call.id, call.name, call.arguments) for call in found.calls] == [("c-0", "a", {}), ("c-1", "b", {})]
    assert found.reply == ""


def test_a_call_of_hermes_that_was_not_closed_is_read_all_the_same() -> None:
    found = read_answer('<tool_call>\n{"name": "paint", "arguments": {"colour": "red"}}', "hermes", "c")
    assert calls(found) == [("paint", {"colour": "red"}, None)]


@pytest.mark.parametrize(
    "inside", ['{"name": "paint", "arguments": {"colour": ', "paint(red)", '["paint"]', '{"arguments": {}}', ""]
)
def test_a_broken_call_of_hermes_is_an_answer_as_it_stands(inside: str) -> None:
    text = f"<tool_call>{inside}</tool_call>"
    assert read_answer(text, "hermes", "c") == Answer(text)


def test_a_broken_call_beside_a_sound_one_does_not_hide_it() -> None:
    text = '<tool_call>{"name": </tool_call><tool_call>{"name": "b", "arguments": {}}</tool_call>'
    assert calls(read_answer(text, "hermes", "c")) == [("b", {}, None)]


def test_arguments_that_are_no_object_are_kept_as_they_were_written() -> None:
    found = read_answer('<tool_call>{"name": "paint", "arguments": ["red"]}</tool_call>', "hermes", "c")
    assert calls(found) == [("paint", None, '["red"]')]
    found = read_answer(
        '<tool_call>{"name": "paint", "arguments": "{\\"colour\\": \\"red\\"}"}</tool_call>', "hermes", "c"
    )
    assert calls(found) == [("paint", {"colour": "red"}, None)]


def test_thoughts_are_apart_from_what_is_said_and_calls_in_them_are_none() -> None:
    thought = '<think>\nMaybe <tool_call>{"name": "x", "arguments": {}}</tool_call>?\n</think>\n\n'
    found = read_answer(f"{thought}Done.", "hermes", "c")
    assert (found.reply, found.calls) == ("Done.", ())
    assert found.reasoning == 'Maybe <tool_call>{"name": "x", "arguments": {}}</tool_call>?'
    found = read_answer(thought + '<tool_call>{"name": "y", "arguments": {}}</tool_call>', "hermes", "c")
    assert calls(found) == [("y", {}, None)]


@given(st.text(alphabet='<>/{}[]":,\\ntool_callthinknameargs0 \ud800', max_size=80) | st.text(max_size=40))
def test_no_text_of_a_model_makes_reading_fail(text: str) -> None:
    for dialect in ("guided", "hermes"):
        found = read_answer(text, dialect, "c")  # type: ignore[arg-type]
        assert isinstance(found.reply, str)
