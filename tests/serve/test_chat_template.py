"""The chat template of the embedded model: tools, calls without words, and results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agentkit import serve

TOOL = {"type": "function", "function": {"name": "refund", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": {"sale": "S-1"}}}


def render(messages: list[dict[str, Any]], **variables: Any) -> str:
    """As transformers and vLLM render it: sandboxed, without escaping."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    source = Path(serve.__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")
    return environment.from_string(source).render(messages=messages, **variables)


def test_words_only() -> None:
    conversation = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <b>"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Bye"},
    ]
    assert render(conversation, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi <b><|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n"
        "<|im_start|>user\nBye<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_no_system_prompt_is_made_up() -> None:
    assert render([{"role": "user", "content": "Hi"}]) == "<|im_start|>user\nHi<|im_end|>\n"


def test_tools_are_listed_in_the_system_prompt() -> None:
    text = render([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}], tools=[TOOL])
    system, user = text.split("<|im_end|>\n")[:2]
    assert system.startswith("<|im_start|>system\nBe brief.\n\n")
    listed = system.partition("<tools>\n")[2].partition("\n</tools>")[0]
    assert json.loads(listed) == TOOL["function"]
    assert "<tool_call>" in system
    assert user == "<|im_start|>user\nHi"
    assert "<tools>" in render([{"role": "user", "content": "Hi"}], tools=[TOOL])


@pytest.mark.parametrize("arguments", [{"sale": "S-1"}, '{"sale": "S-1"}'])
@pytest.mark.parametrize("content", [None, ""])
def test_a_call_without_words_and_two_results(arguments: object, content: str | None) -> None:
    call = CALL | {"function": {"name": "refund", "arguments": arguments}}
    conversation = [
        {"role": "user", "content": "Refund it."},
        {"role": "assistant", "content": content, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
        {"role": "tool", "tool_call_id": "c1", "content": "twice"},
        {"role": "assistant", "content": "Refunded."},
    ]
    one = '<tool_call>\n{"name": "refund", "arguments": {"sale": "S-1"}}\n</tool_call>'
    assert render(conversation) == (
        "<|im_start|>user\nRefund it.<|im_end|>\n"
        f"<|im_start|>assistant\n{one}\n{one}<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\ndone\n</tool_response>\n<tool_response>\ntwice\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\nRefunded.<|im_end|>\n"
    )


def test_words_before_a_call() -> None:
    text = render([{"role": "assistant", "content": "Wait.", "tool_calls": [CALL]}])
    assert text.startswith("<|im_start|>assistant\nWait.\n<tool_call>\n")
