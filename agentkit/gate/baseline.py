"""The baseline file: what an agent did, small enough to keep under version control and to read in a diff.

Sorted keys, one line a trial: outcome, steps, cost in US dollars, seconds. `+` passed, `-` failed, `.` not reached,
`?` could not be judged; `!` alone is an invalid trial, `~` an unknown cost or time.

    "281474976710655/0": "+ ++-+. 0.00123 3.41"
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from agentkit.errors import Problem, UsageError, near_match
from agentkit.gate.files import write_json
from agentkit.gate.recorded import Key, Played, Recorded
from agentkit.measure import FAILED, NOT_REACHED, PASSED, UNGRADED

SCHEMA = 4
"""Version of the file's form; raised with every change that an older agentkit cannot read."""
_SINCE = {"users": 2, "judge": 3, "tags": 4}
"""Keys that older files do not have, and the version with which they came."""

_SIGNS: Mapping[int, str] = {PASSED: "+", FAILED: "-", NOT_REACHED: ".", UNGRADED: "?"}
_VALUES = {sign: value for value, sign in _SIGNS.items()}
_UNKNOWN = "~"
_INVALID = "!"
_TOP = ("agent", "created_at", "judge", "run", "scenarios", "schema", "seed", "tags", "users", "versions")
_AGENT = ("deterministic", "hash", "name")
_SCENARIO = ("hash", "variants")
_VARIANT = ("skills", "steps", "trials")


def write_baseline(recorded: Recorded, path: Path) -> None:
    """Write the file, whole or not at all. Equal records give equal bytes."""
    write_json(document(recorded), path)


def document(recorded: Recorded) -> dict[str, Any]:
    """The file's content as plain JSON."""
    scenarios: dict[str, Any] = {
        scenario: {"hash": digest, "variants": {}} for scenario, digest in recorded.scenarios.items()
    }
    for cell in recorded.cells:
        scenarios[cell.scenario]["variants"][cell.variant] = {
            "steps": list(cell.steps),
            "skills": {step: skill for step, skill in zip(cell.steps, cell.skills, strict=False) if skill is not None},
            "trials": _trials(cell),
        }
    return {
        "schema": SCHEMA,
        "agent": {
            "name": recorded.agent,
            "hash": recorded.agent_hash,
            "deterministic": recorded.deterministic,
        },
        "created_at": recorded.created_at,
        "run": recorded.run,
        "seed": recorded.seed,
        "versions": dict(recorded.versions),
        "scenarios": scenarios,
        "tags": {place: list(tags) for place, tags in recorded.tags.items() if tags},
        "users": None if recorded.users is None else dict(recorded.users),
        "judge": recorded.judge,
    }


def read_baseline(path: Path) -> Recorded:
    """The record that was written.

    Raises:
        UsageError: the file is missing, is no baseline, or a field is wrong; names the field, what was found and what
        was
            expected.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: no such baseline; `agentkit baseline RUN -o {path}` writes one") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UsageError(str(Problem(str(path), error.lineno, "", f"not valid JSON: {error.msg}"))) from None
    return _Reader(str(path)).recorded(found)


def _trials(cell: Played) -> dict[str, str]:
    lines = {f"{instance}/{repeat}": _INVALID for instance, repeat in cell.invalid}
    for row, (instance, repeat) in enumerate(cell.keys):
        steps = "".join(_SIGNS[int(grade)] for grade in cell.grades[row])
        amounts = (_amount(cell.costs[row]), _amount(cell.seconds[row]))
        lines[f"{instance}/{repeat}"] = " ".join((_SIGNS[int(cell.success[row])], steps or _UNKNOWN, *amounts))
    return lines


def _amount(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else _UNKNOWN


class _Reader:
    """Reads one file; every complaint names the file and the field."""

    def __init__(self, file: str) -> None:
        self.file = file

    def recorded(self, found: Any) -> Recorded:
        top = self.mapping(found, "")
        schema = top.get("schema")
        if type(schema) is not int or not 1 <= schema <= SCHEMA:
            message = f"found {schema!r}, expected {SCHEMA}: write the baseline again with this version of agentkit"
            raise self.wrong("schema", message)
        self.keys(top, "", tuple(name for name in _TOP if _SINCE.get(name, 1) <= schema))
        agent = self.mapping(top["agent"], "agent")
        self.keys(agent, "agent", _AGENT)
        scenarios = self.mapping(top["scenarios"], "scenarios")
        expected = _SCENARIO if schema >= _SINCE["tags"] else (*_SCENARIO, "tags")
        for name in scenarios:
            self.keys(self.mapping(scenarios[name], f"scenarios.{name}"), f"scenarios.{name}", expected)
        tags = top.get("tags") or {name: scenario["tags"] for name, scenario in scenarios.items() if "tags" in scenario}
        cells = [
            self.played(scenario, variant, value)
            for scenario in sorted(scenarios)
            for variant, value in sorted(
                self.mapping(scenarios[scenario]["variants"], f"scenarios.{scenario}.variants").items()
            )
        ]
        return Recorded(
            agent=self.text(agent["name"], "agent.name"),
            agent_hash=self.text(agent["hash"], "agent.hash"),
            deterministic=self.flag(agent["deterministic"], "agent.deterministic"),
            seed=self.whole(top["seed"], "seed"),
            run=self.text(top["run"], "run"),
            created_at=self.text(top["created_at"], "created_at"),
            cells=tuple(cells),
            scenarios={
                name: self.text(scenarios[name]["hash"], f"scenarios.{name}.hash") for name in sorted(scenarios)
            },
            versions={
                name: self.text(version, f"versions.{name}")
                for name, version in self.mapping(top["versions"], "versions").items()
            },
            tags={place: self.texts(found, f"tags.{place}") for place, found in self.mapping(tags, "tags").items()},
            users=self.users(top.get("users")),
            judge=None if top.get("judge") is None else self.text(top["judge"], "judge"),
        )

    def users(self, found: Any) -> Mapping[str, str] | None:
        if found is None:
            return None
        return {name: self.text(digest, f"users.{name}") for name, digest in self.mapping(found, "users").items()}

    def played(self, scenario: str, variant: str, found: Any) -> Played:
        place = f"scenarios.{scenario}.variants.{variant}"
        cell = self.mapping(found, place)
        self.keys(cell, place, _VARIANT)
        steps = self.texts(cell["steps"], f"{place}.steps")
        if len(set(steps)) != len(steps):
            raise self.wrong(f"{place}.steps", f"found {list(steps)}, expected each step once")
        skills = self.mapping(cell["skills"], f"{place}.skills")
        for step in skills:
            if step not in steps:
                raise self.wrong(f"{place}.skills", f"unknown step {step!r}{near_match(step, steps)}")
        valid: dict[Key, tuple[int, list[int], float, float]] = {}
        invalid: list[Key] = []
        for name, line in self.mapping(cell["trials"], f"{place}.trials").items():
            field = f"{place}.trials.{name}"
            key = self.key(name, field)
            if line == _INVALID:
                invalid.append(key)
            else:
                valid[key] = self.trial(line, field, len(steps))
        rows = sorted(valid)
        named = tuple(self.text(skills[step], f"{place}.skills.{step}") if step in skills else None for step in steps)
        return Played(
            scenario,
            variant,
            steps,
            np.array([instance for instance, _ in rows], dtype=np.int64),
            np.array([repeat for _, repeat in rows], dtype=np.int64),
            np.array([valid[key][0] for key in rows], dtype=np.int8),
            np.array([valid[key][1] for key in rows], dtype=np.int8).reshape(len(rows), len(steps)),
            np.array([valid[key][2] for key in rows], dtype=float),
            np.array([valid[key][3] for key in rows], dtype=float),
            tuple(sorted(invalid)),
            named if any(named) else (),
        )

    def trial(self, line: Any, field: str, steps: int) -> tuple[int, list[int], float, float]:
        parts = self.text(line, field).split(" ")
        if len(parts) != 4:
            raise self.wrong(field, f"found {line!r}, expected outcome, steps, cost and seconds: '+ ++-+ 0.0012 3.4'")
        outcome, signs, cost, seconds = parts
        if outcome not in ("+", "-", "?"):
            raise self.wrong(field, f"outcome: found {outcome!r}, expected '+' (success), '-' or '?'")
        signs = "" if signs == _UNKNOWN and steps == 0 else signs
        if len(signs) != steps or not set(signs) <= set(_VALUES):
            message = f"steps: found {signs!r}, expected {steps} of '+' (passed), '-' (failed), '.' (not reached), '?'"
            raise self.wrong(field, message)
        grades = [_VALUES[sign] for sign in signs]
        return _VALUES[outcome], grades, self.amount(cost, field, "cost"), self.amount(seconds, field, "seconds")

    def key(self, name: str, field: str) -> Key:
        instance, _, repeat = name.partition("/")
        for part in (instance, repeat):
            if not (part.isascii() and part.isdigit() and len(part) < 19):
                raise self.wrong(field, f"found {name!r}, expected instance/repeat such as '281474976710655/0'")
        return int(instance), int(repeat)

    def amount(self, text: str, field: str, what: str) -> float:
        if text == _UNKNOWN:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise self.wrong(
                field, f"{what}: found {text!r}, expected a number of 0 or more, or '~' where it is unknown"
            )
        return value

    def keys(self, found: Mapping[str, Any], field: str, expected: tuple[str, ...]) -> None:
        for name in found:
            if name not in expected:
                raise self.wrong(field, f"unknown key {name!r}{near_match(name, expected)}")
        for name in expected:
            if name not in found:
                raise self.wrong(field, f"the key {name!r} is required, and missing")

    def mapping(self, found: Any, field: str) -> Mapping[str, Any]:
        if not isinstance(found, dict):
            raise self.wrong(field, f"found {_shown(found)}, expected a mapping")
        return found

    def text(self, found: Any, field: str) -> str:
        if not isinstance(found, str):
            raise self.wrong(field, f"found {_shown(found)}, expected a text")
        return found

    def texts(self, found: Any, field: str) -> tuple[str, ...]:
        if not isinstance(found, list):
            raise self.wrong(field, f"found {_shown(found)}, expected a list of texts")
        return tuple(self.text(value, f"{field}[{index}]") for index, value in enumerate(found))

    def whole(self, found: Any, field: str) -> int:
        if not isinstance(found, int) or isinstance(found, bool):
            raise self.wrong(field, f"found {_shown(found)}, expected a whole number")
        return found

    def flag(self, found: Any, field: str) -> bool:
        if not isinstance(found, bool):
            raise self.wrong(field, f"found {_shown(found)}, expected true or false")
        return found

    def wrong(self, field: str, message: str) -> UsageError:
        return UsageError(str(Problem(self.file, None, field, message)))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
