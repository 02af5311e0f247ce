"""Rows of a JSONL or CSV file as variables: historical data to be played again, one instance a row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from agentkit.errors import Problem

Row = Mapping[str, Any]

MAX_BYTES = 20_000_000

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def read_rows(path: Path, file: str | None = None) -> tuple[tuple[Row, ...], list[Problem]]:
    """All rows of a file, each with the same columns; or the problems that make them unusable.

    JSONL keeps JSON's types; every cell of a CSV file is text.
    """
    file = file or str(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            return (), [Problem(file, None, "", f"{size / 1e6:,.0f} MB; rows may hold {MAX_BYTES / 1e6:.0f} MB")]
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        return (), [Problem(file, None, "", f"cannot be read: {error.strerror or error}")]
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return (), [Problem(file, line, "", f"not UTF-8: byte 0x{raw[error.start]:02x} here is no character")]
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            rows, problems = _jsonl(text, file)
        case ".csv":
            rows, problems = _csv(text, file)
        case other:
            return (), [Problem(file, None, "", f"rows are .jsonl or .csv, found {other or 'no suffix'!r}")]
    if not rows and not problems:
        problems = [Problem(file, None, "", "the file holds no row")]
    return tuple(rows), problems[:20]


def _jsonl(text: str, file: str) -> tuple[list[Row], list[Problem]]:
    rows: list[Row] = []
    problems: list[Problem] = []
    for line, source in enumerate(text.split("\n"), start=1):
        if not source.strip():
            continue
        try:
            row = orjson.loads(source)
        except orjson.JSONDecodeError as error:
            problems.append(Problem(file, line, "", f"not valid JSON: {error.msg}, at character {error.colno}"))
            continue
        if not isinstance(row, dict):
            problems.append(Problem(file, line, "", "each line must be a JSON object"))
            continue
        problems.extend(_column_problems(row, rows[0] if rows else None, file, line))
        rows.append(row)
    return rows, problems


def _csv(text: str, file: str) -> tuple[list[Row], list[Problem]]:
    rows: list[Row] = []
    problems: list[Problem] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                problems.extend(_column_problems(dict.fromkeys(header), None, file, reader.line_num))
                for name in sorted({name for name in header if header.count(name) > 1}):
                    problems.append(Problem(file, reader.line_num, name, "this column is there twice"))
            elif len(cells) != len(header):
                message = f"{len(cells)} cells, where the header has {len(header)}"
                problems.append(Problem(file, reader.line_num, "", message))
            else:
                rows.append(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        problems.append(Problem(file, reader.line_num, "", f"not valid CSV: {error}"))
    return rows, problems


def _column_problems(row: Row, first: Row | None, file: str, line: int) -> list[Problem]:
    if first is None:
        wrong = [name for name in row if not _NAME.fullmatch(name)]
        rule = "no valid name of a variable (a letter, then letters, digits and _)"
        return [Problem(file, line, name, f"the column {name!r} is {rule}") for name in wrong]
    missing = [Problem(file, line, name, "this column of the first row is missing here") for name in first.keys() - row]
    extra = [Problem(file, line, name, "the first row has no such column") for name in row.keys() - first]
    return sorted([*missing, *extra], key=str)
