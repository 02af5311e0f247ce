"""Failures that a training mended stay behind as scenarios that pin them down, so that they are played ever after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agentkit.errors import SuiteError, UsageError
from agentkit.gate import Recorded
from agentkit.measure import FAILED, PASSED
from agentkit.records import GOLDEN
from agentkit.scenario import Instance, Loaded, load
from agentkit.scenario.document import read
from agentkit.scenario.streams import derive
from agentkit.scenario.template import texts

TAG = "regression"


class _Dumper(yaml.SafeDumper):
    """Quotes every text that does not begin with a letter: readers of YAML differ in what else may be a number."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text[:1].isalpha() else '"')


_Dumper.add_representer(str, _text)


@dataclass(frozen=True, slots=True, order=True)
class Mended:
    """One instance whose step failed before and passed after."""

    rank: int
    """0 where the whole conversation succeeds now, 1 where it does not."""
    instance: int
    scenario: str
    variant: str
    step: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the mended failures."""

    files: tuple[Path, ...]
    """Written now, or already there with the same content."""
    left_out: tuple[str, ...]
    """Why others were not, a sentence each."""


def mended(before: Recorded, after: Recorded, steps: Sequence[str]) -> tuple[Mended, ...]:
    """Instances whose target step (`scenario/variant#step`) failed in all plays before and passed in all plays after.

    Those whose whole conversation succeeds now come first, then variants take turns, then the lower instance.
    """
    theirs = {cell.id: cell for cell in after.cells}
    found = []
    for cell in before.cells:
        other = theirs.get(cell.id)
        for step in cell.steps:
            if other is None or f"{cell.id}#{step}" not in steps or step not in other.steps:
                continue
            was, now = cell.grades[:, cell.steps.index(step)], other.grades[:, other.steps.index(step)]
            for instance in sorted(set(cell.instances.tolist())):
                mine, new = cell.instances == instance, other.instances == instance
                if new.any() and (was[mine] == FAILED).all() and (now[new] == PASSED).all():
                    rank = int(not (other.success[new] == PASSED).all())
                    found.append(Mended(rank, instance, cell.scenario, cell.variant, step))
    return _in_turns(found)


def keep(
    found: Sequence[Mended], scenarios: Sequence[Loaded], folder: str | Path = "regressions", *, limit: int = 3
) -> Kept:
    """Write at most `limit` scenario files, one a mended instance, and check that each plays what failed.

    `folder` is taken from the scenario's suite folder unless it is absolute. A file that is there already is never
    overwritten. Raises UsageError where a scenario is not among `scenarios`, where a file cannot be written, or where
    it would not be the same conversation.
    """
    known = {it.id: it for it in scenarios}
    files: list[Path] = []
    left_out: list[str] = []
    for it in found:
        if len(files) == limit:
            break
        if it.scenario not in known:
            raise UsageError(f"{it.scenario}: a failure of it was mended, and it is not among the scenarios given")
        loaded = known[it.scenario]
        if it.variant != GOLDEN and it.variant not in loaded.variants:
            left_out.append(f"{it.scenario}/{it.variant}: a detour of the catalogue cannot be written into a scenario")
            continue
        file = loaded.suite.folder / folder / f"{_name(it)}.yaml"
        if file in files:
            continue
        text = pinned(loaded, it)
        if file.exists() and file.read_text(encoding="utf-8") != text:
            left_out.append(f"{file}: is there already and says something else; it was left as it is")
            continue
        if not file.exists():
            _write(file, text, loaded, it)
        files.append(file)
    return Kept(tuple(files), tuple(left_out))


def pinned(loaded: Loaded, it: Mended) -> str:
    """The scenario as YAML with every variable and wording fixed to the instance's, and no detour but the one."""
    instance = loaded.draw(it.variant, it.instance)
    data = _written(loaded)
    data.pop("rows", None)
    data["title"] = f"{data['title']} (regression)"
    data["tags"] = list(dict.fromkeys([*data.get("tags", []), TAG]))
    data["variables"] = {name: _fixed(value) for name, value in instance.variables.items()}
    detours = [detour for detour in data.pop("detours", []) if detour["id"] == it.variant]
    for turn in (*data["turns"], *(turn for detour in detours for turn in detour.get("turns") or ())):
        if isinstance(turn["user"], list):
            turn["user"] = turn["user"][derive(it.instance, "wording", turn["id"]) % len(turn["user"])]
    if detours:
        data["detours"] = detours
    head = f"# Instance {it.instance} of {it.scenario}, {it.variant}: {it.step} failed in it once and was mended.\n"
    return head + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _written(loaded: Loaded) -> dict[str, Any]:
    """The scenario as its document says it; what Python wrote, as a document would."""
    if loaded.file.suffix in (".yaml", ".yml"):
        document, problems = read(loaded.file)
        if document is None or problems:
            raise SuiteError(problems)
        return document.data
    data = loaded.scenario.model_dump(mode="json", exclude_unset=True, exclude={"id"})
    data["tags"] = [tag for tag in loaded.scenario.tags if tag not in loaded.suite.tags]
    return data


def _fixed(value: Any) -> dict[str, Any]:
    """A generator of this value alone; what looks like a template is a choice of one, which nothing fills in."""
    return {"choice": [value]} if next(texts(value), None) else {"value": value}


def _write(file: Path, text: str, loaded: Loaded, it: Mended) -> None:
    """Write the file and load it; take it away again where it would not play what failed."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror or error}") from None
    try:
        (again,) = load([file])
        if _played(again.draw(it.variant, 0)) != _played(loaded.draw(it.variant, it.instance)):
            raise UsageError(
                f"{file}: would not be the conversation of {it.scenario}/{it.variant}, instance {it.instance}; "
                "a folder outside of the suite has another world or policy"
            )
        if again.suite.fingerprint != loaded.suite.fingerprint:
            raise UsageError(f"{file}: belongs to another suite than {it.scenario}; choose a folder inside of it")
    except UsageError:
        file.unlink()
        raise


def _played(instance: Instance) -> tuple[object, ...]:
    """What a trial depends on."""
    return dict(instance.variables), instance.world, instance.turns, instance.outcome, instance.persona


def _in_turns(found: Sequence[Mended]) -> tuple[Mended, ...]:
    """By rank; within it one of each variant, then the next of each."""
    seen: Counter[tuple[int, str, str, str]] = Counter()
    placed = []
    for it in sorted(found):
        group = (it.rank, it.scenario, it.variant, it.step)
        turn = seen[group]
        seen[group] += 1
        placed.append(((it.rank, turn, it.scenario, it.variant != GOLDEN, it.variant, it.step), it))
    return tuple(it for _, it in sorted(placed))


def _name(it: Mended) -> str:
    """`refund_poem_refund_1017`: the same for the same failure."""
    return f"{it.scenario.rpartition('/')[2]}_{it.variant}_{it.step}_{it.instance}"
