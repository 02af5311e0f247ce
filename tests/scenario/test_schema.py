"""The published schemas agree with the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agentkit.scenario.document import parse, read
from agentkit.scenario.schema import scenario_schema, suite_schema
from tests.scenario.scenario_files import REFUND, SUITE
from tests.scenario.test_bad_input import BROKEN

SHIPPED = sorted((Path(__file__).parents[2] / "scenarios").glob("*/*.yaml"))
SCENARIO = Draft202012Validator(scenario_schema())
SUITE_FILE = Draft202012Validator(suite_schema())

BEYOND_A_SCHEMA = (
    "two ",
    "a detour",
    "void",
    "replaces",
    "undefined",
    "cyclic",
    "unlike",
    "a range",
    "a variable nobody",
    "a pattern that",
    "unknown locale",
    "attributes",
    "items",
    "calls",
    "statements",
    "unknown filter",
    "a filter",
    "a template",
    "a tool",
    "an argument",
    "no number",
    "no valid regular",
    "a JSON Schema that refers",
    "a regular",
    "no valid JSON",
    "a rows",
    "duplicate",
    "a tag",
    "malformed",
    "a step that cannot fail",
    "an unquoted",
)
"""Broken in ways that no schema can tell: by names elsewhere in the file, by templates, or before it is data."""


def data_of(text: str) -> dict[str, Any]:
    document, _ = parse(text, "f.yaml")
    assert document is not None
    return document.data


def test_the_schemas_are_schemas() -> None:
    Draft202012Validator.check_schema(scenario_schema())
    Draft202012Validator.check_schema(suite_schema())


def test_an_editor_can_explain_every_key_of_a_step() -> None:
    step = scenario_schema()["$defs"]["Step"]["properties"]
    explained = {name for name, item in step.items() if "description" in item or "$ref" in str(item)}
    assert explained >= {"id", "skill", "call", "reply", "state", "no_call", "reasoning"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_files_fit(path: Path) -> None:
    document, problems = read(path)
    assert document is not None
    assert problems == []
    validator = SUITE_FILE if path.name == "suite.yaml" else SCENARIO
    assert [error.message for error in validator.iter_errors(document.data)] == []


def test_the_example_fits_and_plain_values_are_matchers() -> None:
    SCENARIO.validate(data_of(REFUND))
    SUITE_FILE.validate(data_of(SUITE))
    for value in ("x", 1, 1.5, True, None, [1, 2], {"number": 2}, {"equals": {"a": 1}}, {"absent": True}):
        data = data_of(REFUND)
        data["turns"][0]["steps"][0]["call"]["arguments"]["sale_id"] = value
        SCENARIO.validate(data)
    data["turns"][0]["steps"][0]["call"]["arguments"]["sale_id"] = {"nummer": 2}
    assert not SCENARIO.is_valid(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(old, new, id=name)
        for name, (old, new, _, _) in BROKEN.items()
        if not name.startswith(BEYOND_A_SCHEMA) or name.startswith("two kinds")
    ],
)
def test_broken_files_do_not_fit(old: str, new: str) -> None:
    assert not SCENARIO.is_valid(data_of(REFUND.replace(old, new)))


@pytest.mark.parametrize("data", [{}, {"title": 3}, {"title": "x", "wrold": "w.py"}, {"title": "x", "tags": "a"}])
def test_broken_suite_files_do_not_fit(data: dict[str, Any]) -> None:
    assert not SUITE_FILE.is_valid(data)
