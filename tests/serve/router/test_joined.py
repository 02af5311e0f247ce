"""An answer as one message, without a router around it."""

from __future__ import annotations

from agentkit.records import Usage
from agentkit.serve.router.joined import Joined


def test_reasoning_that_only_the_total_holds_is_output() -> None:
    joined = Joined()
    details = {"completion_tokens_details": {"reasoning_tokens": 386}}
    joined.take({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 399, **details}})
    assert joined.usage == Usage(12, 387, 386)
    joined.add({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}})
    assert joined.usage == Usage(12, 3)
