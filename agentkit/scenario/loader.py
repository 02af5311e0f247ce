"""Loads scenario files and the suites they belong to; tells every mistake of all of them at once."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from agentkit.errors import Problem, SuiteError, UsageError, near_match
from agentkit.records import ToolSpec
from agentkit.scenario.check import check
from agentkit.scenario.document import Document, read
from agentkit.scenario.drawing import compile_drawing
from agentkit.scenario.instance import DrawError, Instance, Piece, Plan, compile_plan
from agentkit.scenario.model import ID_PATTERN, Scenario
from agentkit.scenario.modules import ModuleProblem, load_module
from agentkit.scenario.rehearsal import rehearse
from agentkit.scenario.reward_steps import source_behind
from agentkit.scenario.rows import Row, read_rows
from agentkit.scenario.suite import SUITE_FILE, Suite, find_folder, load_suite
from agentkit.scenario.validation import validate

if TYPE_CHECKING:
    from agentkit.scenario.detours import CatalogueDetour, Disturbed

_YAML = (".yaml", ".yml")
_PYTHON = "_scenarios.py"
_ID = re.compile(ID_PATTERN)


class NoPlaceError(UsageError):
    """An instance that gives a detour of the catalogue no place, though another of the same scenario may."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario that can be played."""

    scenario: Scenario
    """With its full id, and the suite's tags, agent and user."""
    suite: Suite
    file: Path
    hash: str
    """SHA-256 of all that makes the scenario what it is: its content, its rows, the suite's world and policy, and the
    rewards that grade its replies."""
    plan: Plan = field(repr=False)
    uses: Mapping[str, tuple[Piece, ...]] = field(default_factory=dict, repr=False)
    """Variant → the detours of the catalogue that are at work in it."""

    @property
    def id(self) -> str:
        return self.scenario.id

    @property
    def variants(self) -> tuple[str, ...]:
        """`golden`, then the detours in their order."""
        return tuple(self.plan.variants)

    @property
    def cycle(self) -> int:
        """By which a seed's remainder is the place of the row that it plays, from 0; 1 without rows in order."""
        return self.plan.drawing.cycle

    @property
    def tools(self) -> Mapping[str, ToolSpec]:
        """Those of the suite's world; none where it has no world."""
        return self.suite.world.tools if self.suite.world else {}

    def draw(self, variant: str, seed: int) -> Instance:
        """The instance of a seed: equal for equal seeds, in every process.

        `variant` is `golden`, one of the scenario's own detours, or the name of one with detours of the catalogue.
        What disturbs one of its own is part of it.
        Raises UsageError for an unknown variant or one that this scenario gives no place for, SuiteError where these
        values cannot be filled in.
        """
        return self.disturbed(variant, seed).instance

    def disturbed(self, variant: str, seed: int) -> Disturbed:
        """The instance with its detours of the catalogue, and without them. Raises as `draw` does."""
        from agentkit.scenario.detours import NotApplicable, disturb, parse_variant, variant_name

        base, detours = (variant, ()) if variant in self.plan.variants else parse_variant(variant)
        undisturbed = self._draw(base, seed)
        own = self._filled_in(self.uses.get(base, ()), undisturbed)
        there = {variant_name([detour]) for detour in own}  # which a name may tell again
        added = (detour for detour in detours if variant_name([detour]) not in there)
        try:
            return disturb(undisturbed, variant, (*own, *added), self.tools)
        except NotApplicable as error:
            raise NoPlaceError(f"{self.id}: {variant}: {error}") from None

    def _draw(self, variant: str, seed: int) -> Instance:
        if variant not in self.plan.variants:
            raise UsageError(f"{self.id}: no variant {variant!r}{near_match(variant, self.variants)}")
        try:
            return self.plan.draw(variant, seed)
        except DrawError as error:
            raise self._undrawable(error, seed) from None

    def _filled_in(self, uses: Sequence[Piece], instance: Instance) -> tuple[CatalogueDetour, ...]:
        try:
            return tuple(use(instance.variables) for use in uses)
        except DrawError as error:
            raise self._undrawable(error, instance.seed) from None

    def _undrawable(self, error: DrawError, seed: int) -> SuiteError:
        document = read(self.file)[0] if self.file.suffix in _YAML else None
        where = document or Document(str(self.file), {}, None)
        return SuiteError([where.problem(error.keys, f"seed {seed}: {error}")])


async def close_worlds(scenarios: Iterable[Loaded]) -> None:
    """End the servers that the scenarios' worlds live in."""
    for world in {id(it.suite.world): it.suite.world for it in scenarios}.values():
        if world is not None:
            await world.close()


def load(paths: Sequence[Path]) -> tuple[Loaded, ...]:
    """Every scenario of these files and folders, by id. Raises SuiteError with all problems of all of them."""
    loader = _Loader()
    with _no_collection():
        for path in paths:
            loader.add(Path(path))
    if not paths:
        loader.problems.append(Problem("scenarios", None, "", "no file or folder is named"))
    if loader.problems:
        unique = dict.fromkeys(loader.problems)
        raise SuiteError(sorted(unique, key=lambda problem: (problem.file, problem.line or 0)))
    return tuple(sorted(loader.loaded.values(), key=lambda loaded: loaded.id))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Loading makes many objects that stay; searching them for garbage again and again takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(slots=True)
class _Source:
    """One scenario as written, and where its id begins."""

    path: Path
    document: Document
    id: str
    model: Scenario | None


class _Loader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.loaded: dict[str, Loaded] = {}
        self.suites: dict[Path, Suite] = {}
        self.rows: dict[Path, tuple[Row, ...]] = {}
        self.seen: set[Path] = set()

    def add(self, path: Path) -> None:
        if not path.exists():
            there = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
            self.problems.append(Problem(str(path), None, "", f"no such file or folder{near_match(path.name, there)}"))
            return
        files = list(_files(path)) if path.is_dir() else [path]
        if not files:
            message = f"no scenario here: neither {' nor '.join(_YAML)} files beside {SUITE_FILE}, nor *{_PYTHON}"
            self.problems.append(Problem(str(path), None, "", message))
        root = path if path.is_dir() else path.parent
        for file in files:
            if file.resolve() not in self.seen:
                self.seen.add(file.resolve())
                self.add_file(file, root)

    def add_file(self, file: Path, root: Path) -> None:
        if file.name == "suite.yml":
            self.problems.append(Problem(str(file), None, "", f"a suite's file is named {SUITE_FILE}"))
            return
        suite = self.suite(file, root)
        base = suite.folder.absolute().parent if (suite.folder / SUITE_FILE).is_file() else root.absolute()
        if file.suffix in _YAML and file.name != SUITE_FILE:
            name = file.absolute().relative_to(base).with_suffix("").as_posix()
            sources = list(self.yaml(file, name))
        elif file.name.endswith(_PYTHON):
            folder = file.absolute().relative_to(base).parent.as_posix()
            sources = list(self.python(file, "" if folder == "." else f"{folder}/"))
        else:
            message = f"not a scenario: those are {' and '.join(_YAML)} files, and *{_PYTHON}"
            self.problems.append(Problem(str(file), None, "", message))
            return
        for source in sources:
            self.add_source(source, suite)

    def suite(self, file: Path, root: Path) -> Suite:
        folder = find_folder(file)
        if folder is None:
            return Suite(root.absolute().name, root)
        if folder not in self.suites:
            self.suites[folder], problems = load_suite(_shown(folder))
            self.problems += problems
        return self.suites[folder]

    def yaml(self, file: Path, name: str) -> Iterator[_Source]:
        document, problems = read(file)
        self.problems += problems
        if document is None:
            return
        if "id" in document.data:
            self.problems.append(document.problem(("id",), f"a file's path is its id ({name!r}); leave the key out"))
            document.data.pop("id")
        model, problems = validate(Scenario, document, absent=("id",))
        self.problems += problems
        yield _Source(file, document, name, model)

    def python(self, file: Path, folder: str) -> Iterator[_Source]:
        try:
            module = load_module(file, file.read_bytes())
        except ModuleProblem as error:
            self.problems.append(error.problem)
            return
        scenarios: Any = getattr(module, "SCENARIOS", None)
        if not isinstance(scenarios, (list, tuple)) or not scenarios:
            message = "must define SCENARIOS, a list of Scenario"
            self.problems.append(Problem(str(file), None, "SCENARIOS", message))
            return
        for index, scenario in enumerate(scenarios):
            place = Document(str(file), {}, None, ("SCENARIOS", index))
            if not isinstance(scenario, Scenario):
                self.problems.append(place.problem((), f"a Scenario is expected, found a {type(scenario).__name__}"))
            elif not scenario.id:
                self.problems.append(place.problem(("id",), "a scenario that is written in Python states its id"))
            else:
                data = scenario.model_dump(exclude_unset=True)
                yield _Source(file, Document(str(file), data, None, place.prefix), folder + scenario.id, scenario)

    def add_source(self, source: _Source, suite: Suite) -> None:
        document, model = source.document, source.model
        rows, problems = self.rows_of(source)
        tools = None if not suite.sound else suite.world.tools if suite.world else {}
        problems += check(document, rows[0].keys() if rows else (), tools)
        rewards, mistaken = source_behind(document)
        problems += mistaken
        self.problems += problems
        if not _ID.fullmatch(source.id):
            message = f"{source.id!r} cannot be an id: letters, digits, `_`, `-` and `.` make a file's or folder's name"
            self.problems.append(document.problem((), message))
        if source.id in self.loaded:
            other = self.loaded[source.id].file
            self.problems.append(document.problem((), f"the id {source.id!r} is also that of {other}"))
        if model is None or problems or not suite.sound:
            return
        scenario = model.model_copy(
            update={
                "id": source.id,
                "tags": [*suite.tags, *model.tags],
                "agent": model.agent or suite.agent,
                "user": model.user or suite.user,
            }
        )
        drawing = compile_drawing(scenario.variables, rows, scenario.rows.order if scenario.rows else "random")
        plan = compile_plan(scenario, drawing)
        uses = _uses(scenario)
        self.problems += rehearse(document, plan, suite.world, uses)
        self.loaded[source.id] = Loaded(scenario, suite, source.path, _hash(document, suite, rows, rewards), plan, uses)

    def rows_of(self, source: _Source) -> tuple[tuple[Row, ...], list[Problem]]:
        given = source.document.data.get("rows")
        name = given.get("file") if isinstance(given, Mapping) else None
        if not isinstance(name, str):
            return (), []
        path = source.path.parent / name
        if not path.is_file():
            there = [entry.name for entry in source.path.parent.iterdir() if entry.suffix in (".jsonl", ".csv")]
            return (), [source.document.problem(("rows", "file"), f"no file {name!r} here{near_match(name, there)}")]
        if path in self.rows:
            return self.rows[path], []
        self.rows[path], problems = read_rows(path)
        return self.rows[path], problems


def _uses(scenario: Scenario) -> Mapping[str, tuple[Piece, ...]]:
    """The catalogue is loaded only where a scenario uses it."""
    if not any(detour.disturb for detour in scenario.detours):
        return {}
    from agentkit.scenario.detours.written import compile_uses

    return compile_uses(scenario)


def _files(folder: Path) -> Iterator[Path]:
    """Scenario files below a folder, in order; hidden folders and caches left out."""
    for current, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            if name != SUITE_FILE and (name.endswith((*_YAML, _PYTHON)) and not name.startswith(".")):
                yield Path(current) / name


def _shown(folder: Path) -> Path:
    """Relative to the working directory where that is shorter to read."""
    try:
        return folder.relative_to(Path.cwd())
    except ValueError:
        return folder


def _hash(document: Document, suite: Suite, rows: Sequence[Row], rewards: bytes) -> str:
    digest = sha256()
    for part in (_canonical(document.data), suite.fingerprint, _canonical(rows) if rows else b""):
        digest.update(sha256(part).digest())
    if rewards:
        digest.update(sha256(rewards).digest())
    return digest.hexdigest()


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
