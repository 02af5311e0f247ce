"""Why a job ends without an adapter, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def what_stops(audit: Mapping[str, Any]) -> list[str]:
    """Of an audit's document: each finding that stops the training, with what to do about it."""
    return [_finding(it) for it in audit["findings"] if it["stops"]]


def _finding(it: Mapping[str, Any]) -> str:
    shown = f" For example {it['example']}." if it["example"] else ""
    return f"{it['found']}.{shown} {it['advice']}."


def nothing_better(results: Sequence[Mapping[str, Any]], seed: int) -> list[str]:
    """Of each phase's result, with one training seed: how the model did at its first and at its last evaluation."""
    return [_no_better(it, seed) for it in results]


def _no_better(result: Mapping[str, Any], seed: int) -> str:
    first, last = result["evaluations"][0], result["evaluations"][-1]
    if not last["step"]:
        return f"{result['method']} did not begin: {result['stopped']}"
    lost = f"; {last['lost']} of {last['guarded']} guards are lost for it" if last.get("lost") else ""
    return (
        f"{result['method']} with training seed {seed} came to nothing better: after {last['step']} updates "
        f"{last['passed']} of {last['graded']} validation prompts are answered right, and {first['passed']} were "
        f"before{lost}"
    )
