"""What goes on the wire, and what the many servers send back."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import UsageError
from agentkit.llm import ChatRequest
from agentkit.llm.arguments import MAX_DEPTH, parse_arguments
from agentkit.llm.wire import Malformed, decode, dump, encode
from agentkit.records import Message, ToolCall, ToolSpec, Usage

PARAMETERS = {"type": "object", "properties": {"sale": {"type": "integer"}}}
LOOK_UP = ToolSpec("look_up", "Find a sale.", MappingProxyType(PARAMETERS))
HELLO = ChatRequest([Message("user", "Hello")])


def read(message, request=HELLO, **rest):
    return decode(json.dumps({"choices": [{"message": message}], **rest}).encode(), request)


def look_up(identity, arguments):
    return {"id": identity, "type": "function", "function": {"name": "look_up", "arguments": arguments}}


def test_a_whole_conversation_on_the_wire():
    request = ChatRequest(
        [
            Message("system", "Be brief.", -1),
            Message("user", "Refund 4 and 5", 0),
            Message(
                "assistant",
                "",
                0,
                (ToolCall("a", "look_up", {"sale": 4}), ToolCall("b", "look_up", None, "{oops")),
                reasoning="two sales",
            ),
            Message("tool", '{"total": 3}', 0, tool_call_id="a", name="look_up"),
            Message("tool", "no JSON object", 0, tool_call_id="b", name="look_up", error="E"),
            Message("assistant", "Done: Ørsted.", 0),
        ],
        tools=[LOOK_UP],
        temperature=0.0,
        top_p=0.9,
        max_tokens=64,
        seed=7,
        stop=["\n"],
        tool_choice="look_up",
        response_format={"type": "json_object"},
        extra_body={"top_k": 1, "max_tokens": 32},
        traceparent="00-a-b-01",
    )
    function = {"name": "look_up", "description": "Find a sale.", "parameters": PARAMETERS}
    assert json.loads(dump(encode(request, "tiny"))) == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Refund 4 and 5"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    look_up("a", '{"sale":4}'),
                    look_up("b", "{}"),
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": '{"total": 3}'},
            {"role": "tool", "tool_call_id": "b", "content": "no JSON object"},
            {"role": "assistant", "content": "Done: Ørsted."},
        ],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "look_up"}},
        "temperature": 0.0,
        "top_p": 0.9,
        "max_tokens": 32,
        "seed": 7,
        "stop": ["\n"],
        "response_format": {"type": "json_object"},
        "top_k": 1,
    }


def test_what_is_not_set_is_not_sent():
    assert encode(HELLO, "m") == {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_modes_of_tool_choice_stay_words(choice):
    assert encode(ChatRequest([], tool_choice=choice), "m")["tool_choice"] == choice


@pytest.mark.parametrize("key", ["stream", "n", "model", "messages"])
def test_extra_body_cannot_change_what_an_answer_is(key):
    with pytest.raises(UsageError, match=f"extra_body: '{key}'"):
        encode(ChatRequest([], extra_body={key: True}), "m")


@pytest.mark.parametrize("value", ["\ud800", object(), 2**70])
def test_what_is_no_json_is_a_clear_error(value):
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        dump({"x": value})


@pytest.mark.parametrize(
    ("message", "content", "reasoning"),
    [
        ({"content": "Hi"}, "Hi", None),
        ({"content": None}, "", None),
        ({}, "", None),
        ({"content": "Hi", "reasoning_content": "hm"}, "Hi", "hm"),
        ({"content": "Hi", "reasoning": "hm", "reasoning_content": "old"}, "Hi", "hm"),
        ({"content": "Hi", "reasoning": {"not": "text"}}, "Hi", None),
        ({"content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]}, "Hi", None),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "Hi"}]},
            "Hi",
            "hm",
        ),
        ({"content": [{"type": "image_url", "image_url": {}}]}, "", None),
    ],
)
def test_content_and_reasoning_in_all_their_forms(message, content, reasoning):
    answer = read(message)
    assert (answer.content, answer.reasoning) == (content, reasoning)


def test_a_refusal_is_an_answer():
    answer = read({"content": None, "refusal": "I cannot help with that."})
    assert (answer.content, answer.finish_reason) == ("I cannot help with that.", "refusal")
    assert read({"content": [{"type": "refusal", "refusal": "No."}]}).content == "No."


def test_the_finish_reason_is_the_providers_word():
    body = {"choices": [{"finish_reason": "length", "message": {"content": "x"}}]}
    assert decode(json.dumps(body).encode(), HELLO).finish_reason == "length"
    assert read({"content": "x"}).finish_reason is None


@pytest.mark.parametrize("content", ["", "Your refund of"])
@pytest.mark.parametrize(
    ("failed", "said"),
    [
        (
            {"error": {"code": 502, "message": "Provider disconnected"}, "finish_reason": "error"},
            "^an error in the place of an answer: Provider disconnected$",
        ),
        ({"error": "upstream is gone"}, "^an error in the place of an answer: upstream is gone$"),
        ({"error": None, "finish_reason": "error"}, "finish_reason: found 'error': the provider failed"),
    ],
)
def test_an_error_inside_a_choice_is_no_answer(failed, said, content):
    body = {"choices": [{"message": {"role": "assistant", "content": content}, **failed}]}
    with pytest.raises(Malformed, match=said):
        decode(json.dumps(body).encode(), HELLO)


def test_an_error_that_is_null_is_none():
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "error": None}]}
    assert decode(json.dumps(body).encode(), HELLO).content == "x"


def test_ids_that_are_missing_or_taken_are_made_up_the_same_way_each_time():
    earlier = Message("assistant", "", 0, (ToolCall("a", "look_up", {}),))
    request = ChatRequest([Message("user", "Hello"), earlier, Message("tool", "4", tool_call_id="a")])
    call = {"function": {"name": "look_up", "arguments": "{}"}}
    message = {"tool_calls": [call, *(call | {"id": identity} for identity in ("a", "b", "b", 5))]}
    ids = [call.id for call in read(message, request).tool_calls]
    assert ids == ["call_3_0", "call_3_1", "b", "call_3_3", "call_3_4"]
    assert ids == [call.id for call in read(message, request).tool_calls]


def test_the_old_function_call_is_a_tool_call():
    answer = read({"content": None, "function_call": {"name": "look_up", "arguments": '{"sale": 4}'}})
    assert answer.tool_calls == (ToolCall("call_1_0", "look_up", {"sale": 4}),)


@pytest.mark.parametrize(
    ("usage", "expected", "counted"),
    [
        (None, Usage(), False),
        ([], Usage(), False),
        ({}, Usage(), False),
        ({"prompt_tokens": 5}, Usage(5), False),
        ({"prompt_tokens": 5, "total_tokens": 9}, Usage(5, 4), True),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None}, Usage(5, 2), True),
        ({"prompt_tokens": -1, "completion_tokens": True}, Usage(), False),
        ({"prompt_tokens": "5", "completion_tokens": 2.0}, Usage(), False),
        ({"prompt_tokens": 5, "total_tokens": 5}, Usage(5, 0), True),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 4}, Usage(5, 2), True),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 6}, Usage(5, 2), True),
        ({"completion_tokens": 2, "total_tokens": 9}, Usage(0, 2), False),
        (
            {
                "prompt_tokens": 10120,
                "completion_tokens": 1499,
                "total_tokens": 14428,
                "completion_tokens_details": {"reasoning_tokens": 2809},
            },
            Usage(10120, 4308, 2809),
            True,
        ),
        (
            {
                "prompt_tokens": 50,
                "completion_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 40},
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
            Usage(50, 20, 15, 40),
            True,
        ),
    ],
)
def test_usage_whole_partial_and_absurd(usage, expected, counted):
    answer = read({"content": "x"}, usage=usage)
    assert (answer.usage, answer.counted) == (expected, counted)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": {"text": "x"}}, "content: found an object, expected text or parts"),
        ({"content": ["x"]}, r"content\[0\]: found a string, expected an object"),
        ({"tool_calls": "look_up"}, "tool_calls: found a string, expected a list"),
        ({"tool_calls": [{"function": {"arguments": "{}"}}]}, "function.name: found nothing"),
        ({"tool_calls": [{"function": {"name": ""}}]}, "function.name: found an empty string"),
        ({"tool_calls": [{"function": {"name": True}}]}, "function.name: found true"),
    ],
)
def test_a_message_of_another_shape_is_named(message, said):
    with pytest.raises(Malformed, match=said):
        read(message)


@pytest.mark.parametrize(
    ("written", "arguments", "raw"),
    [
        ('{"sale": 4}', {"sale": 4}, None),
        ({"sale": 4}, {"sale": 4}, None),
        (None, {}, None),
        ("", {}, None),
        (" \n", {}, None),
        ("{'sale': 4}", None, "{'sale': 4}"),
        ('{"sale": NaN}', None, '{"sale": NaN}'),
        ('{"sale": 1e999}', None, '{"sale": 1e999}'),
        ('{"sale": "\\ud800"}', None, '{"sale": "\\ud800"}'),
        ("[4]", None, "[4]"),
        ([4], None, "[4]"),
        ("4", None, "4"),
        ('"{}"', None, '"{}"'),
    ],
)
def test_arguments_are_an_object_or_kept_as_written(written, arguments, raw):
    assert parse_arguments(written) == (arguments, raw)


@pytest.mark.parametrize("opening", ['{"a":', '{"a":['])
def test_arguments_nested_without_end_are_refused(opening):
    def nested(levels):
        closing = "]}" if opening.endswith("[") else "}"
        return opening * levels + ("1" if closing == "}" else "") + closing * levels

    per_level = opening.count("{") + opening.count("[")
    allowed = MAX_DEPTH // per_level
    assert parse_arguments(nested(allowed))[0] is not None
    assert parse_arguments(nested(allowed + 1))[0] is None
    assert parse_arguments(nested(100_000))[0] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_arguments_survive_the_way_out_and_back(arguments):
    request = ChatRequest([Message("assistant", "", tool_calls=(ToolCall("a", "f", arguments),))])
    sent = json.loads(dump(encode(request, "m")))["messages"][0]
    assert read(sent).tool_calls == (ToolCall("a", "f", arguments),)


MEMBERS = ("content", "tool_calls", "function_call", "refusal", "reasoning")


@settings(deadline=None)
@given(
    JSON
    | st.fixed_dictionaries({}, optional={"choices": st.lists(JSON), "usage": JSON, "error": JSON})
    | st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, JSON)).map(
        lambda message: {"choices": [{"message": message}]}
    )
)
def test_whatever_json_comes_back_is_an_answer_or_malformed(body):
    try:
        answer = decode(json.dumps(body).encode(), HELLO)
    except Malformed as error:
        said = str(error)
    else:
        said = answer.content
    assert isinstance(said, str)
