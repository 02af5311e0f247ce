"""Imports files of rewards from the very bytes that were hashed.

The files of one rubric make a package of their own, named after their content: two folders may each have a
`tool_call.py`, and an edited file is a new module. `from .neighbour import x` finds what was read with it, and nothing
else, so that no source takes part that the hash does not know.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from threading import Lock
from types import ModuleType

from agentkit.errors import AgentkitError, RewardError
from agentkit.scenario.rewards import Sources, shown

_PREFIX = "agentkit_rewards_"


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of rewards among the bytes that were read."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Path, bytes]] = {}
        self._lock = Lock()

    def add(self, sources: Sources) -> str:
        """The name under which a module of rewards can be imported."""
        digest = sha256(str(sources.folder.resolve()).encode() + b"\0" + sources.hash.encode()).hexdigest()[:16]
        package = f"{_PREFIX}{digest}"
        with self._lock:
            if self not in sys.meta_path:
                sys.meta_path.append(self)
            for name, source in sources.files.items():
                self._known.setdefault(f"{package}.{name}", (sources.path(name), source))
            if package not in sys.modules:
                module = ModuleType(package)
                module.__path__ = []
                sys.modules[package] = module
        return f"{package}.{sources.module}"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._known:
            return None
        return spec_from_loader(fullname, self, origin=str(self._known[fullname][0]))

    def exec_module(self, module: ModuleType) -> None:
        path, source = self._known[module.__name__]
        module.__file__ = str(path)
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)


_finder = _Finder()


def load_sources(sources: Sources) -> ModuleType:
    """The module, imported once per content. Raises RewardError."""
    name = _finder.add(sources)
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        place = _place(error, sources)
        said = str(error) if isinstance(error, AgentkitError) else f"cannot be imported: {_said(error)}"
        raise RewardError(f"{place}: {said}") from error


def _place(error: BaseException, sources: Sources) -> str:
    """The deepest line of the user's files that took part in an error."""
    own = {str(sources.path(name)) for name in sources.files}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    if not frames:
        return shown(sources.path(sources.module))
    return f"{shown(Path(frames[-1].filename))}:{frames[-1].lineno}"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
