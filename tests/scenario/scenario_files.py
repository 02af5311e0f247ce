"""A small shop suite that tests write to a temporary folder, whole or with something broken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from agentkit.errors import Problem, SuiteError
from agentkit.scenario import Loaded, load

SUITE = """\
title: Shop
world: world.py
policy: policy.md
tags: [shop]
agent: clerk
"""

WORLD = '''\
from typing import Any

from agentkit.scenario import tool


def initial_state(state: dict[str, Any]) -> dict[str, Any]:
    return {"sales": {}, "refunds": [], **state}


@tool(writes=False)
def lookup_sale(state: dict[str, Any], sale_id: str) -> dict[str, Any]:
    """Look up a sale by the number on its receipt.

    Args:
        sale_id: As printed on the receipt.
    """
    return state["sales"][sale_id]


def refund(state: dict[str, Any], sale_id: str, amount: float, method: str = "card") -> dict[str, Any]:
    """Pay a sale back.

    Args:
        sale_id: As printed on the receipt.
        amount: In dollars.
        method: card or cash.
    """
    state["refunds"].append({"sale": sale_id, "amount": amount, "method": method})
    return state["refunds"][-1]


TOOLS = [lookup_sale, refund]
'''

REFUND = """\
title: Refund of one sale
tags: [money]
variables:
  sale_id: {pattern: "S-[0-9]{5}"}
  other_id: {pattern: "S-[0-9]{5}", unlike: [sale_id]}
  price: {amount: [5, 80]}
  customer: {fake: name}
  bought: {day: [2026-01-01, 2026-03-01]}
  until: {value: "{{ bought | days(30) }}"}
persona: {description: "{{ customer }}, in a hurry"}
world:
  sales:
    "{{ sale_id }}": {price: "{{ price }}", customer: "{{ customer }}", until: "{{ until }}"}
turns:
  - id: ask
    user:
      - I want to return {{ sale_id }}.
      - Please refund {{ sale_id }}, bought {{ bought | date('%d %B %Y') }}.
      - "{{ sale_id }} goes back."
    steps:
      - {id: look, skill: find_sale, call: {name: lookup_sale, arguments: {sale_id: "{{ sale_id }}"}}}
      - {id: tell, reply: {mentions: ["{{ price }}"], asks: true}}
  - id: agree
    user: Yes, please.
    order: strict
    steps:
      - id: pay
        call: {name: refund, arguments: {sale_id: "{{ sale_id }}", amount: {number: "{{ price }}", tolerance: 0.01}}}
      - {id: confirm, reply: {mentions: [refunded]}}
  - id: bye
    user: Bye.
    steps:
      - {id: quiet, no_call: any}
outcome:
  - {id: refunded, state: {refunds/0/amount: "{{ price }}"}}
detours:
  - id: poetry
    leaves: agree
    rejoins: agree
    turns:
      - {id: poem, user: Recite a poem first., steps: [{id: decline, no_call: any}]}
    void: [quiet]
    replaces:
      - {id: confirm, reply: {mentions: [poem]}}
  - id: gives_up
    leaves: agree
    rejoins: bye
    turns:
      - {id: never, user: Never mind., steps: [{id: stop, no_call: any}]}
    outcome:
      - {id: nothing_paid, state: {refunds: []}}
  - id: walks_out
    leaves: ask
    rejoins: end
    turns:
      - {id: out, user: Forget it., steps: [{id: let_go, no_call: any}]}
    outcome:
      - {id: untouched, no_call: [refund]}
"""


def write_suite(folder: Path, scenarios: dict[str, str] | None = None, **replaced: str) -> Path:
    """A suite folder; `replaced` are other contents for suite, world or policy."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(replaced.get("suite", SUITE))
    (folder / "world.py").write_text(replaced.get("world", WORLD))
    (folder / "policy.md").write_text(replaced.get("policy", "Be kind.\n"))
    for name, content in (scenarios if scenarios is not None else {"refund.yaml": REFUND}).items():
        (folder / name).write_text(content)
    return folder


def load_refund(folder: Path, content: str = REFUND) -> Loaded:
    return load([write_suite(folder / "shop", {"refund.yaml": content})])[0]


def problems_of(*paths: Path) -> Sequence[Problem]:
    with pytest.raises(SuiteError) as caught:
        load(paths)
    return caught.value.problems


def broken(folder: Path, old: str, new: str) -> tuple[Sequence[Problem], int]:
    """The problems of the refund scenario with one thing replaced, and the line where it stands."""
    assert REFUND.count(old) == 1, f"{old!r} must stand once in the scenario"
    content = REFUND.replace(old, new)
    line = REFUND.count("\n", 0, REFUND.index(old)) + 1
    return problems_of(write_suite(folder / "shop", {"refund.yaml": content})), line
