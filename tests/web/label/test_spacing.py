"""JSON on its way through the editor and back."""

from __future__ import annotations

import json

import pytest

from agentkit.web.label.spacing import as_given, editable

VALUE = {"total": 59.9, "lines": [], "to": {"kind": "card", "marks": '{"a":1, \\"'}, "notes": ["ä", {}, [1, None]]}
WRITTEN = (
    json.dumps(VALUE, separators=(",", ":")),
    json.dumps(VALUE),
    json.dumps(VALUE, ensure_ascii=False, separators=(", ", ":")),
    json.dumps(VALUE, separators=(",", ": ")),
    json.dumps(VALUE, indent=4),
    json.dumps(VALUE, indent="\t", separators=(",", ":")),
    f"\n {json.dumps(VALUE)}\n",
    '{ "total": 59.9, "to": { "kind": "card" }, "lines": [1, 2], "none": {} }',
    "[1, 2]",
    "[]",
)


@pytest.mark.parametrize("given", WRITTEN)
def test_it_is_laid_out_and_written_back(given: str) -> None:
    shown = editable(given)
    assert shown == json.dumps(json.loads(given), indent=2, ensure_ascii="\\u" in given)
    assert as_given(shown, given) == given
    assert as_given(f"{shown}\n", given) == given, "spacing alone is no change"


@pytest.mark.parametrize("given", WRITTEN[:7])
def test_what_is_mended_has_the_spacing_that_was_given(given: str) -> None:
    mended = editable(given).replace("59.9", "60.00").replace("[]", '[\n"one"]')
    assert as_given(mended, given) == json_like(given)


def json_like(given: str) -> str:
    """The given text with what is mended, by hand."""
    one = {4: '[\n        "one"\n    ]', 5: '[\n\t\t"one"\n\t]'}.get(WRITTEN.index(given), '["one"]')
    return given.replace("59.9", "60.00").replace("[]", one, 1)


@pytest.mark.parametrize(
    "given",
    [
        '{"total": 59.9,"to":"card"}',
        '{\n  "lines": [1, 2],\n  "total": 59.9\n}',
        "You get 59.90 back.\r\nOn your card.\r",
        '{"total": 59.9',
        '"59.9"',
        "",
    ],
)
def test_what_follows_no_rule_stands_as_it_is(given: str) -> None:
    assert editable(given) == given
    assert as_given(given.replace("\r\n", "\n").replace("\r", "\n"), given) == given
    assert as_given('{\n  "total": 60\n}', given) == '{\n  "total": 60\n}'


def test_numbers_and_doubled_names_are_what_was_written() -> None:
    given = '{"n":1.50,"n":12345678901234567890123,"e":1E5,"s":"\\u00e4"}'
    assert as_given(editable(given).replace("1E5", "1E6"), given) == given.replace("1E5", "1E6")


def test_what_is_no_json_any_more_is_kept_as_it_was_sent() -> None:
    assert as_given("I cannot tell.\n", '{"total":59.9}') == "I cannot tell.\n"
    assert as_given("{total: 1}", '{"total":59.9}') == "{total: 1}"
