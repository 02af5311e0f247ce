"""Variables: each draws from its own stream, and the same in every process."""

from __future__ import annotations

import datetime
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.scenario import Amount, Choice, Day, Fake, FromPattern, Integer, Value
from agentkit.scenario.drawing import Drawing, VariableError, compile_drawing
from agentkit.scenario.rows import read_rows
from agentkit.scenario.variables import Generator

SEEDS = st.integers(0, 2**63)

VARIABLES: dict[str, Generator] = {
    "until": Value(value={"day": "{{ day | days(30) }}", "who": ["{{ name }}"]}),
    "sale": FromPattern(pattern="S-[0-9]{5}"),
    "other": FromPattern(pattern="S-[0-9]{5}", unlike=["sale"]),
    "name": Fake(fake="name"),
    "address": Fake(fake="address", locale="de_DE"),
    "size": Choice(choice=["S", "M", "L"]),
    "count": Integer(integer=(1, 3)),
    "price": Amount(amount=(0.1, 99.99)),
    "day": Day(day=(datetime.date(2026, 1, 1), datetime.date(2026, 12, 31))),
}


def drawing(variables: dict[str, Generator], rows: Any = (), order: Any = "random") -> Drawing:
    return compile_drawing(variables, rows, order)


@given(SEEDS)
def test_every_generator_keeps_to_its_range(seed: int) -> None:
    values = drawing(VARIABLES).draw(seed)
    assert values["sale"] != values["other"]
    assert values["size"] in ("S", "M", "L")
    assert values["count"] in (1, 2, 3)
    assert 0.1 <= values["price"] <= 99.99
    assert Decimal(str(values["price"])) == Decimal(str(values["price"])).quantize(Decimal("0.01"))
    assert "2026-01-01" <= values["day"] <= "2026-12-31"
    assert "\n" not in values["address"]
    day = datetime.date.fromisoformat(values["day"])
    assert values["until"] == {"day": str(day + datetime.timedelta(days=30)), "who": [values["name"]]}


@given(SEEDS)
def test_equal_seeds_draw_equal_values(seed: int) -> None:
    assert drawing(VARIABLES).draw(seed) == drawing(VARIABLES).draw(seed)


@given(SEEDS, st.sampled_from(sorted(VARIABLES.keys() - {"until", "other"})))
def test_a_variable_does_not_depend_on_the_others(seed: int, name: str) -> None:
    alone = drawing({name: VARIABLES[name]}).draw(seed)
    assert alone[name] == drawing(VARIABLES).draw(seed)[name]


def test_variables_of_one_kind_have_streams_of_their_own() -> None:
    variables: dict[str, Generator] = {name: Integer(integer=(0, 10**9)) for name in "abcdef"}
    assert len(set(drawing(variables).draw(1).values())) == 6


def test_seeds_differ() -> None:
    names = {tuple(drawing(VARIABLES).draw(seed)[key] for key in ("sale", "name", "price")) for seed in range(300)}
    assert len(names) == 300


@pytest.mark.slow
def test_another_process_with_another_hash_seed_draws_the_same() -> None:
    program = (
        "from agentkit.scenario import *; from agentkit.scenario.drawing import compile_drawing\n"
        "v = {'a': FromPattern(pattern='[^x]{9}'), 'b': Fake(fake='company'), 'c': Choice(choice=[1, 2, 3, 4])}\n"
        "print([compile_drawing(v, (), 'random').draw(seed) for seed in range(5)])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_amounts_go_in_steps() -> None:
    found = {drawing({"a": Amount(amount=(1, 2), step=0.25)}).draw(seed)["a"] for seed in range(200)}
    assert found == {1.0, 1.25, 1.5, 1.75, 2.0}


def test_where_no_other_value_is_left() -> None:
    variables = {"a": Choice(choice=["x"]), "b": Choice(choice=["x"], unlike=["a"])}
    with pytest.raises(VariableError, match="no value unlike a was found") as caught:
        drawing(variables).draw(1)
    assert caught.value.name == "b"


def test_a_computed_value_cannot_be_kept_apart() -> None:
    with pytest.raises(ValueError, match="cannot be drawn again"):
        Value(value="{{ a }}", unlike=["a"])


@given(SEEDS, st.text())
def test_a_drawn_text_is_never_read_as_a_template(seed: int, hostile: str) -> None:
    variables = {"said": Choice(choice=[hostile, "{{ 7*7 }}", "{% x %}"]), "quoted": Value(value="<{{ said }}>")}
    values = drawing(variables).draw(seed)
    assert values["said"] in (hostile, "{{ 7*7 }}", "{% x %}")
    assert values["quoted"] == f"<{values['said']}>"


def test_rows_in_order_and_at_random() -> None:
    rows = tuple({"n": index} for index in range(5))
    in_order = drawing({}, rows, "sequential")
    assert [in_order.draw(seed)["n"] for seed in range(7)] == [0, 1, 2, 3, 4, 0, 1]
    at_random = drawing({}, rows)
    assert {at_random.draw(seed)["n"] for seed in range(100)} == {0, 1, 2, 3, 4}
    assert [at_random.draw(seed) for seed in range(20)] == [at_random.draw(seed) for seed in range(20)]


def test_rows_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"sale": "S-1", "items": [1, {"x": null}]}\n\n{"sale": "{{ 7*7 }}", "items": []}\n'
    )
    (tmp_path / "a.csv").write_text('sale,price\r\n007,"1,5"\r\n"two\nlines",2\r\n')
    assert read_rows(tmp_path / "a.jsonl") == (
        ({"sale": "S-1", "items": [1, {"x": None}]}, {"sale": "{{ 7*7 }}", "items": []}),
        [],
    )
    assert read_rows(tmp_path / "a.csv") == (
        ({"sale": "007", "price": "1,5"}, {"sale": "two\nlines", "price": "2"}),
        [],
    )


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("r.jsonl", b'{"a": 1}\n{"a": }\n[1]\n', [(2, "not valid JSON"), (3, "each line must be a JSON object")]),
        ("r.jsonl", b'{"a": 1, "b": 2}\n{"a": 1, "c": 1}\n', [(2, "missing here"), (2, "no such column")]),
        ("r.jsonl", b'{"a b": 1}\n', [(1, "'a b' is no valid name")]),
        ("r.jsonl", b'{"a": NaN}\n', [(1, "not valid JSON")]),
        ("r.jsonl", b"\n", [(None, "holds no row")]),
        ("r.csv", b"a,b\n1\n", [(2, "1 cells, where the header has 2")]),
        ("r.csv", b"a,a\n1,2\n", [(1, "this column is there twice")]),
        ("r.csv", b'a\n"x"y\n', [(2, "not valid CSV")]),
        ("r.csv", b"a\n", [(None, "holds no row")]),
        ("r.csv", b"a\n\xff\n", [(2, "not UTF-8")]),
        ("r.xml", b"<a/>", [(None, "rows are .jsonl or .csv, found '.xml'")]),
    ],
)
def test_rows_that_cannot_be_used(
    tmp_path: Path, name: str, content: bytes, found: list[tuple[int | None, str]]
) -> None:
    (tmp_path / name).write_bytes(content)
    _, problems = read_rows(tmp_path / name)
    for problem, (line, message) in zip(problems, found, strict=True):
        assert problem.line == line
        assert message in problem.message


def test_rows_too_large_are_never_read(tmp_path: Path) -> None:
    with (tmp_path / "r.csv").open("wb") as stream:
        stream.truncate(50_000_000)
    assert "50 MB; rows may hold 20 MB" in read_rows(tmp_path / "r.csv")[1][0].message
