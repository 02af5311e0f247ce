"""The files of the user's `rewards/` folder: which rewards a text names, and all the source that they are made of.

Nothing is run here. A scenario that is graded by a reward is hashed with the reward's source, and a part that no file
defines is told where the scenario is loaded.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from agentkit.errors import Problem, near_match

_REFERENCE = re.compile(r"\s*([A-Za-z_]\w*)\s*(?::\s*([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)\s*)?")
SYNTAX = "`module`, `module:part,part`, or several of these joined by `+`"
MAX_BYTES = 1_000_000


class RewardsProblem(Exception):
    """Reward files that cannot be used as they are."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Reference:
    """Rewards of one module."""

    module: str
    parts: tuple[str, ...] = ()
    """Empty for all of them."""


@dataclass(frozen=True, slots=True)
class Sources:
    """A module of rewards and the neighbours that it imports."""

    module: str
    folder: Path
    files: Mapping[str, bytes]
    """Module name → source, the module itself first."""

    @property
    def hash(self) -> str:
        """SHA-256 of all of it."""
        digest = sha256()
        for name, source in sorted(self.files.items()):
            digest.update(sha256(name.encode()).digest() + sha256(source).digest())
        return digest.hexdigest()

    def path(self, module: str) -> Path:
        return self.folder / f"{module}.py"


def read_references(text: str) -> tuple[Reference, ...]:
    """`tool_call:right_tool,well_formed + cost`, read. Raises ValueError with the reason in words."""
    references = []
    for piece in text.split("+"):
        found = _REFERENCE.fullmatch(piece)
        if found is None:
            raise ValueError(f"found {text!r}, expected {SYNTAX}")
        parts = tuple(part.strip() for part in found[2].split(",")) if found[2] else ()
        twice = [part for index, part in enumerate(parts) if part in parts[:index]]
        if twice:
            raise ValueError(f"{piece.strip()!r} names {twice[0]!r} twice")
        references.append(Reference(found[1], parts))
    modules = [reference.module for reference in references]
    for index, module in enumerate(modules):
        if module in modules[:index]:
            raise ValueError(f"{text!r} names the module {module!r} twice; name its parts together")
    return tuple(references)


def read_sources(module: str, folder: Path) -> Sources:
    """The source of a module and of every neighbour that it imports, directly or not. Raises RewardsProblem."""
    if not folder.is_dir():
        raise RewardsProblem(Problem(shown(folder), None, "", "no such folder of rewards ([tool.agentkit] rewards)"))
    files: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop(0)
        if name not in files:
            files[name] = _source(folder, name)
            waiting += _neighbours(folder, name, files[name])
    return Sources(module, folder, files)


def fingerprint(text: str, folder: Path) -> str:
    """A hash of all the source behind a reference. Raises RewardsProblem where a module or a part does not exist, and
    ValueError as `read_references` does."""
    digest = sha256()
    for reference in read_references(text):
        sources = read_sources(reference.module, folder)
        known = tuple(bound(sources.files[reference.module], sources.path(reference.module)))
        for part in reference.parts:
            if part not in known:
                raise no_part(part, sources, known)
        digest.update(sources.hash.encode())
    return digest.hexdigest()


def no_part(part: str, sources: Sources, known: Sequence[str]) -> RewardsProblem:
    file = shown(sources.path(sources.module))
    return RewardsProblem(Problem(file, None, "", f"no reward is called {part!r} here{near_match(part, known)}"))


def bound(source: bytes, path: Path) -> Iterator[str]:
    """The names that a file defines at its top level. Raises RewardsProblem."""
    for node in _parsed(source, path).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def shown(path: Path) -> str:
    """A path as it is told: relative to the working folder where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _source(folder: Path, name: str) -> bytes:
    path = folder / f"{name}.py"
    if not path.is_file():
        there = [entry.stem for entry in folder.iterdir() if entry.suffix == ".py"]
        raise RewardsProblem(Problem(shown(path), None, "", f"no such file of rewards{near_match(name, there)}"))
    try:
        source = path.read_bytes()
    except OSError as error:
        raise RewardsProblem(Problem(shown(path), None, "", f"cannot be read: {error.strerror or error}")) from None
    if len(source) > MAX_BYTES:
        message = f"it has {len(source) / 1e6:,.1f} MB, {MAX_BYTES / 1e6:.0f} are allowed"
        raise RewardsProblem(Problem(shown(path), None, "", message))
    return source


def _neighbours(folder: Path, name: str, source: bytes) -> list[str]:
    """The modules beside it that a file imports, `from . import x` or `from .x import y`, wherever in it."""
    path = folder / f"{name}.py"
    found: list[str] = []
    for node in ast.walk(_parsed(source, path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            for neighbour in names:
                if node.level > 1 or "." in neighbour or not (folder / f"{neighbour}.py").is_file():
                    wanted = "." * node.level + neighbour
                    there = [entry.stem for entry in folder.iterdir() if entry.suffix == ".py"]
                    message = (
                        f"imports {wanted!r}; rewards import only files of their own folder and installed packages"
                    )
                    message += near_match(neighbour, there)
                    raise RewardsProblem(Problem(shown(path), node.lineno, "", message))
                found.append(neighbour)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            first = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            if first and (folder / f"{first}.py").is_file() and first not in sys.stdlib_module_names:
                message = (
                    f"imports {first!r}, a file beside it: write `from . import {first}` or `from .{first} import …`"
                )
                raise RewardsProblem(Problem(shown(path), node.lineno, "", message))
    return found


def _parsed(source: bytes, path: Path) -> ast.Module:
    try:
        return ast.parse(source, str(path))
    except (SyntaxError, ValueError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise RewardsProblem(Problem(shown(path), line, "", f"not Python: {said}")) from None
