"""Records to store: plain ones, made from a number alone, and hostile ones."""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import strategies as st

from agentkit.records import (
    GOLDEN,
    Adapter,
    AdapterName,
    Disturbance,
    Effect,
    Fork,
    ForkKind,
    Job,
    JobId,
    Message,
    ModelCall,
    Party,
    Run,
    RunId,
    Status,
    StepGrade,
    Stop,
    ToolCall,
    Trial,
    TrialId,
    TrialKey,
    Usage,
    Verdict,
)


def make_run(id: str = "", **changes: Any) -> Run:
    values: dict[str, Any] = {
        "id": RunId(id or uuid.uuid4().hex),
        "agent": "demo",
        "agent_hash": "sha256:00ff",
        "deterministic": True,
        "seed": 2**63 - 1,
        "planned": 10,
        "created_at": "2025-01-01T00:00:00Z",
        "settings": {"trials": 5, "suite": "scenarios/"},
        "versions": {"agentkit": "0.1.0"},
        "scenarios": {"shop/refund": "sha256:11ee"},
    }
    return Run(**values | changes)


def make_trial(run: RunId, index: int, **changes: Any) -> Trial:
    """The same trial for the same arguments, in every process: 6 messages, 3 steps, 1 outcome check."""
    call = ModelCall("model-a", Usage(900, 40, 7, 3), 0.0012, 0.7, 2, "stop", "resp-1")
    asked = ToolCall("call_1", "find_sale", {"receipt": f"R-{index}", "amount": 12.5, "lines": [1, None]})
    broken = ToolCall("call_2", "refund", None, raw='{"receipt": ')
    values: dict[str, Any] = {
        "id": TrialId(f"{index:08x}-of-{run}"),
        "run": run,
        "index": index,
        "key": TrialKey("shop/refund", GOLDEN, 1000 + index, 0),
        "verdict": Verdict.SUCCESS,
        "stop": Stop.COMPLETED,
        "messages": (
            Message("system", "You are a till.", -1),
            Message("user", f"Refund receipt R-{index}, please."),
            Message(
                "assistant",
                "",
                0,
                (asked, broken),
                reasoning="Look it up.",
                call=call,
                span_id="0123456789abcdef",
            ),
            Message("tool", '{"id": 1}', 0, tool_call_id="call_1", name="find_sale"),
            Message("tool", "no such sale", 0, tool_call_id="call_2", name="refund", error="builtins.KeyError"),
            Message("assistant", "Done.", 0, call=ModelCall("model-a")),
        ),
        "steps": (
            StepGrade("find", Status.PASSED, "call.arguments", "as expected", 1.0, 0, "look_up", {"a": 1}, {"a": 1}),
            StepGrade("refund", Status.FAILED, "call.name", "no call", 0.0, 0, None, "x", None, Party.AGENT, "00ff"),
            StepGrade("thank", Status.NOT_REACHED, "reply.mentions", "", turn=1),
        ),
        "outcome": (StepGrade("state", Status.PASSED, "state", "the sale is refunded", 1.0),),
        "variables": {"name": "Zoë", "lines": [{"sku": "A", "price": 2.5}]},
        "usage": Usage(1800, 80, 7, 3),
        "model_calls": 2,
        "cost": 0.0024,
        "started_at": "2025-01-01T00:00:01Z",
        "duration": 3.25,
        "trace_id": "00112233445566778899aabbccddeeff",
        "conversation_id": "6f1c",
        "final_state": {"sales": [{"id": 1, "refunded": True}]},
    }
    return Trial(**values | changes)


def json_values(text: st.SearchStrategy[str], **floats: bool) -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(**floats) | text
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=8,
    )


def contents(text: st.SearchStrategy[str], **floats: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Changes to `make_trial` whose every text is drawn from `text` and whose every number may be extreme."""
    anything = json_values(text, **floats)
    objects = st.dictionaries(text, anything, max_size=3)
    numbers = st.floats(**floats)
    counts = st.integers(0, 2**63 - 1)
    maybe = st.none() | text
    failures = st.none() | st.lists(st.sampled_from(["rate_limit", "timeout"]), max_size=2).map(tuple)
    usage = st.builds(Usage, counts, counts, counts, counts)
    model_call = st.builds(
        ModelCall, text, usage, st.none() | numbers, numbers, st.integers(1, 9), maybe, maybe, failures
    )
    tool_call = st.builds(ToolCall, text, text, st.none() | objects, maybe)
    message = st.builds(
        Message,
        role=st.sampled_from(["system", "user", "assistant", "tool"]),
        content=text,
        turn=st.integers(-1, 99),
        tool_calls=st.lists(tool_call, max_size=2).map(tuple),
        tool_call_id=maybe,
        name=maybe,
        error=maybe,
        reasoning=maybe,
        call=st.none() | model_call,
        span_id=st.none() | st.just("0123456789abcdef"),
        duration=st.none() | numbers,
        planted=st.none() | st.just("tool:timeout"),
        original=maybe,
    )
    disturbance = st.builds(
        Disturbance,
        detour=st.just("user:vague"),
        intensity=st.floats(0, 1),
        effect=st.sampled_from(Effect),
        occasions=st.integers(0, 9),
        disturbed=st.integers(0, 9),
        evidence=text,
    )
    fork = st.builds(
        Fork,
        variant=text,
        turn=st.integers(0, 99),
        given=st.integers(0, 99),
        kind=st.sampled_from(ForkKind),
        serves=st.lists(text, max_size=3).map(tuple),
        shared=st.integers(0, 9),
    )
    grade = st.builds(
        StepGrade,
        step=text,
        status=st.sampled_from(Status),
        check=text,
        reason=text,
        score=st.none() | numbers,
        turn=st.none() | st.integers(0, 99),
        skill=maybe,
        expected=anything,
        found=anything,
        fault=st.none() | st.sampled_from(Party),
        span_id=st.none() | st.just("0123456789abcdef"),
    )
    return st.fixed_dictionaries(
        {
            "verdict": st.sampled_from(Verdict),
            "stop": st.sampled_from(Stop),
            "messages": st.lists(message, max_size=3).map(tuple),
            "steps": st.lists(grade, max_size=3).map(tuple),
            "outcome": st.lists(grade, max_size=2).map(tuple),
            "variables": objects,
            "usage": usage,
            "model_calls": counts,
            "cost": st.none() | numbers,
            "duration": numbers,
            "trace_id": st.none() | st.just("00" * 16),
            "conversation_id": text,
            "fault": st.none() | st.sampled_from(Party),
            "reason": text,
            "final_state": anything,
            "disturbances": st.lists(disturbance, max_size=2).map(tuple),
            "fork": st.none() | fork,
        }
    )


CLEAN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
HOSTILE = st.text(st.characters(exclude_categories=[]) | st.sampled_from("\0\ud800\udfff\U0001f600\u202e"), max_size=20)


def make_adapter(name: str = "refund-v1-3fa9", **changes: Any) -> Adapter:
    values: dict[str, Any] = {
        "name": AdapterName(name),
        "step": "refund",
        "scenarios": ("shop/refund",),
        "base": "small-model",
        "base_hash": "11" * 32,
        "parents": (AdapterName("refund-v0-0000"),),
        "job": JobId("job-1"),
        "path": f".agentkit/adapters/{name}",
        "hash": "22" * 32,
        "manifest_hash": "33" * 32,
        "created_at": "2025-01-01T00:00:00.000+00:00",
        "card": {"method": "grpo", "examples": 16, "seeds": {"training": 7}},
    }
    return Adapter(**values | changes)


def make_job(id: str = "job-1", **changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": JobId(id),
        "step": "refund",
        "folder": f".agentkit/jobs/{id}",
        "created_at": "2025-01-01T00:00:00.000+00:00",
        "updated_at": "2025-01-01T00:00:00.000+00:00",
        "settings": {"steps": 40, "rewards": ["tool_call"]},
    }
    return Job(**values | changes)
