"""Tags of scenarios as markers of pytest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agentkit.pytest_plugin.items import _mark


@pytest.mark.parametrize(
    ("tag", "marker"), [("slow", "slow"), ("-slow", None), ("_slow", None), ("skip", None), ("2nd", None)]
)
def test_a_tag_is_a_marker_where_pytest_may_have_one_of_that_name(tag: str, marker: str | None) -> None:
    marked: list[str] = []
    item: Any = SimpleNamespace(
        config=SimpleNamespace(addinivalue_line=lambda name, line: None), add_marker=lambda it: marked.append(it.name)
    )
    _mark(item, tag)
    assert marked == ([] if marker is None else [marker])
