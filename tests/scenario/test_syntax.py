"""YAML into plain values: what is read as what, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agentkit.scenario.document import Document, dotted, parse, read
from agentkit.scenario.syntax import MAX_DEPTH


def parsed(text: str) -> Document:
    document, problems = parse(text, "f.yaml")
    assert document is not None
    assert problems == []
    return document


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("007", "007"),
        ("02134", "02134"),
        ("2026-03-01", "2026-03-01"),
        ("2026-03-01 10:00:00", "2026-03-01 10:00:00"),
        ("1.2.3", "1.2.3"),
        ("'12'", "12"),
        ('"null"', "null"),
        ("!!str 12", "12"),
        ("!!float 12", 12.0),
        ("! 12", "12"),
    ],
)
def test_scalars(source: str, value: Any) -> None:
    found = parsed(f"a: {source}\n").data["a"]
    assert found == value
    assert isinstance(found, type(value)) or source == "!!float 12"


def test_keys_are_text_as_written() -> None:
    assert parsed("1: a\n007: b\ntrue: c\n2026-03-01: d\n").data == {
        "1": "a",
        "007": "b",
        "true": "c",
        "2026-03-01": "d",
    }


def test_every_value_knows_its_line() -> None:
    document = parsed("a: 1\nb:\n  - x\n  - c: |\n      text\n      more\n    d: {e: 1,\n      f: 2}\n")
    lines = {
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "c"): 4,
        ("b", 1, "d", "e"): 7,
        ("b", 1, "d", "f"): 8,
    }
    assert {keys: document.line(keys) for keys in lines} == lines
    assert document.text_line(("b", 1, "c")) == 5
    assert document.line(("b", 1, "nowhere", 3)) == 4
    assert dotted(("b", 1, "d", "f")) == "b[1].d.f"


def test_an_alias_is_a_value_of_its_own() -> None:
    document = parsed("a: &x {k: [1]}\nb: *x\nc: *x\n")
    document.data["b"]["k"].append(2)
    assert document.data == {"a": {"k": [1]}, "b": {"k": [1, 2]}, "c": {"k": [1]}}
    assert document.line(("c", "k")) == 1


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("a: 1\nb: &x [*x]\n", 2, "cyclic reference: the alias *x"),
        ("a: *x\n", 1, "the alias *x has no anchor"),
        (
            "a0: &x0 aaaaaaaaaa\n" + "".join(f"a{i + 1}: &x{i + 1} [{f'*x{i},' * 60}]\n" for i in range(6)),
            5,
            "expand to more than 8 million",
        ),
        ("a: " + "[" * 5_000 + "]" * 5_000, 1, f"nested more than {MAX_DEPTH} deep"),
        ("- " * 5_000, 1, f"nested more than {MAX_DEPTH} deep"),
        ("", None, "the file is empty"),
        ("# nothing\n", None, "the file is empty"),
        ("- a\n", 1, "a mapping is expected at the top, found a list"),
        ("text\n", 1, "a mapping is expected at the top, found a single value"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
        ("a: .nan\n", 1, ".nan is not a finite number"),
        ("a: 1e999\n", 1, "1e999 is not a finite number"),
        ("a: 99999999999999999999\n", 1, "is too large a number"),
        ("a: " + "9" * 5_000, 1, "is too large a number"),
        ("a: !!int x\n", 1, "'x' is not a value of the YAML tag !!int"),
        ("a: !!binary aGk=\n", 1, "the YAML tag !!binary is refused"),
        ("a: !!set {x}\n", 1, "the YAML tag !!set is refused"),
        ("a: !mine {x: 1}\n", 1, "the YAML tag !mine is refused"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys (`<<`) are not supported"),
        ("? [a]\n: 1\n", 1, "a key must be text"),
        ("a: 'x\n", 2, "not valid YAML"),
        ("a: b: c\n", 1, "not valid YAML"),
        ("a:\n\t- b\n", 2, "not valid YAML"),
    ],
)
def test_refused(source: str, line: int | None, message: str) -> None:
    _, problems = parse(source, "f.yaml")
    assert [(problem.line, message in problem.message) for problem in problems] == [(line, True)], problems


def test_nothing_is_executed(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "f.yaml").write_text(f"a: !!python/object/apply:os.system ['touch {marker}']\n")
    _, problems = read(tmp_path / "f.yaml")
    assert "is refused" in problems[0].message
    assert not marker.exists()


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    assert read(tmp_path)[1][0].message == "not a regular file"
    assert read(Path("/dev/zero"))[1][0].message == "not a regular file"


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"]))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@given(st.dictionaries(TEXT, PLAIN, max_size=4))
def test_json_reads_as_itself(value: dict[str, Any]) -> None:
    """JSON is YAML: whatever json writes is read back equal."""
    document, problems = parse(json.dumps(value, ensure_ascii=False), "f.yaml")
    assert problems == []
    assert document is not None
    assert document.data == value


@given(st.text())
def test_no_text_makes_the_reader_crash(text: str) -> None:
    document, problems = parse(text, "f.yaml")
    assert document is not None or problems


@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=3))
def test_what_pyyaml_writes_is_read(value: dict[str, Any]) -> None:
    document, _ = parse(yaml.safe_dump(value, allow_unicode=True), "f.yaml")
    assert document is not None
