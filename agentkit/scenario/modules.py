"""Loads a user's Python file by its path: `world.py`, `*_scenarios.py`.

Each file gets a module name of its own, made from its path and content, so that two suites may each have a `world.py`,
an edited file is a new module, and states that hold the user's classes can be pickled.
"""

from __future__ import annotations

import re
import sys
import traceback
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from agentkit.errors import Problem
from agentkit.scenario.validation import in_words

_PREFIX = "agentkit_user"
_OWN = re.compile(_PREFIX + r"_(.*)_[0-9a-f]{16}")


class ModuleProblem(Exception):
    """A file of the user's that cannot be imported."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def load_module(path: Path, source: bytes) -> ModuleType:
    """The module of a file whose bytes are `source`, imported once per content. Raises ModuleProblem."""
    digest = sha256(str(path.resolve()).encode() + b"\0" + source).hexdigest()[:16]
    name = f"{_PREFIX}_{path.stem}_{digest}"
    known = sys.modules.get(name)
    if known is not None:
        return known
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModuleProblem(Problem(str(path), None, "", "not a Python file"))
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        problem = Problem(str(path), line_in(error, path), "", f"cannot be imported: {_said(error)}")
        raise ModuleProblem(problem) from error
    return module


def display_name(module: str) -> str:
    """A module's name as the user knows it."""
    own = _OWN.fullmatch(module)
    return own[1] if own else module


def line_in(error: BaseException, path: Path) -> int | None:
    """The deepest line of `path` that took part in an error."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None


def _said(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return in_words(error)
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
