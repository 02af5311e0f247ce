"""How a judge fared against people: the file that `agentkit calibrate` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from agentkit.config import Config
from agentkit.errors import Problem, UsageError, near_match
from agentkit.gate.files import write_json
from agentkit.gate.judge_calibration import FEWEST_LABELS, Calibration, Rate, calibrate
from agentkit.gate.wording import percent
from agentkit.measure.graded import Floats

SCHEMA = 1
COUNTS = ("both_pass", "only_people_pass", "only_judge_passes", "both_fail")
_TOP = ("created_at", "judge", "labels", "schema")


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One judge's labels. A step's rubric is the same in all variants of its scenario, so they are counted together."""

    judge: str
    """The model."""
    labels: Mapping[str, tuple[int, int, int, int]]
    """`scenario#step` to the numbers of replies that both pass, only people, only the judge, and neither."""
    created_at: str = ""

    def arrays(self) -> tuple[Floats, Floats]:
        """What people and what the judge said of each labelled reply, 1 for pass."""
        both, people, machine, neither = np.sum(list(self.labels.values()), axis=0).tolist()
        human = np.repeat([1.0, 1.0, 0.0, 0.0], [both, people, machine, neither])
        judge = np.repeat([1.0, 0.0, 1.0, 0.0], [both, people, machine, neither])
        return human, judge

    @property
    def figures(self) -> Calibration:
        """Raises NotJudged below 50 labels."""
        return calibrate(*self.arrays())

    @property
    def sentence(self) -> str:
        it = self.figures
        return (
            f"the judge {self.judge} against {it.labels} human labels: sensitivity {_rate(it.sensitivity)}, "
            f"specificity {_rate(it.specificity)}"
        )

    def mistrust(self, step: str) -> str | None:
        """Why a step (`scenario/variant#step`) may not block in spite of the labels; None where it may."""
        it = self.figures
        if it.sensitivity.estimate is None or it.specificity.estimate is None:
            said = "passed" if it.sensitivity.estimate is None else "failed"
            return f"the labels of the judge {self.judge} hold no reply that people {said}"
        if it.sensitivity.estimate + it.specificity.estimate <= 1:
            return f"the judge {self.judge} is no better than chance"
        if labelled(step) not in self.labels:
            return f"nobody labelled {labelled(step)}, which the judge {self.judge} graded"
        return None

    def document(self) -> dict[str, Any]:
        """The file's content; the figures are for the reader, and computed anew when it is read."""
        return {
            "schema": SCHEMA,
            "judge": self.judge,
            "created_at": self.created_at,
            "labels": {step: dict(zip(COUNTS, counts, strict=True)) for step, counts in self.labels.items()},
        }


def labelled(step: str) -> str:
    """`scenario#step` of a `scenario/variant#step`."""
    place, _, name = step.rpartition("#")
    return f"{place.rpartition('/')[0]}#{name}"


def project_calibration(config: Config, told: str | None = None) -> Calibrated | None:
    """The judge's labels: the file that is named, or the project's where it is there. Raises UsageError."""
    if told is None and not Path(config.gate.calibration).exists():
        return None
    return read_calibration(Path(told or config.gate.calibration))


def write_calibration(found: Calibrated, file: Path) -> None:
    """Raises UsageError where it cannot be written."""
    write_json(found.document(), file)


def read_calibration(file: Path) -> Calibrated:
    """Raises UsageError: the file is missing, or a field is wrong."""
    try:
        found = orjson.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}; `agentkit calibrate` writes it") from None
    except orjson.JSONDecodeError as error:
        raise UsageError(str(Problem(str(file), error.lineno, "", f"not valid JSON: {error.msg}"))) from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        schema = found.get("schema") if isinstance(found, dict) else found
        raise _wrong(file, "schema", f"found {schema!r}, expected {SCHEMA}: run `agentkit calibrate` again")
    for name in found:
        if name not in _TOP:
            raise _wrong(file, name, f"unknown key{near_match(name, _TOP)}")
    for name in ("judge", "created_at"):
        if not isinstance(found.get(name), str):
            raise _wrong(file, name, f"found {found.get(name)!r}, expected a text")
    if not isinstance(found.get("labels"), dict):
        raise _wrong(file, "labels", f"found {found.get('labels')!r}, expected a mapping of steps")
    labels = {step: _counts(file, step, counts) for step, counts in found["labels"].items()}
    many = sum(map(sum, labels.values()))
    if many < FEWEST_LABELS:
        raise _wrong(file, "labels", f"found {many} labels, expected {FEWEST_LABELS} or more")
    return Calibrated(found["judge"], labels, found["created_at"])


def _counts(file: Path, step: str, found: Any) -> tuple[int, int, int, int]:
    given = found if isinstance(found, dict) else {}
    values = [value for name in COUNTS if type(value := given.get(name)) is int and value >= 0]
    if set(given) != set(COUNTS) or len(values) < len(COUNTS):
        raise _wrong(file, f"labels.{step}", f"found {found!r}, expected whole numbers {', '.join(COUNTS)}")
    return values[0], values[1], values[2], values[3]


def _wrong(file: Path, field: str, message: str) -> UsageError:
    return UsageError(str(Problem(str(file), None, field, message)))


def _rate(it: Rate) -> str:
    if it.estimate is None:
        return "unknown"
    return f"{percent(it.estimate)} ({percent(it.low)} to {percent(it.high)})"
