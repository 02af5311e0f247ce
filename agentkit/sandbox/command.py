"""The command that runs a program in bubblewrap: what is there inside, and as whom it runs."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path, PurePosixPath

from agentkit.errors import SandboxError, UsageError
from agentkit.sandbox.limits import SandboxLimits
from agentkit.sandbox.private import private_folders

SCRATCH = "/tmp"
PROGRAM = "main.py"
_PYTHON = "/python"
"""Where the interpreter's own folder is, inside."""
_LIBRARIES = "/libraries"
_ROOT = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_INSTALLED = (*_ROOT, "include", "libexec", "share")
"""The folders that systems and installations are made of. What else is in `/usr` or beside an interpreter is people's
own: `/usr/src/app` is where many containers have the project."""
_HOW = (
    "install bubblewrap (Debian, Ubuntu: `apt-get install bubblewrap`; Fedora: `dnf install bubblewrap`; "
    "Arch: `pacman -S bubblewrap`)"
)
_TOOLS = ("prlimit", "setpriv")
_NOBODY = 65534
_UIDS = (1_900_000_000, 1_990_000_000)
"""Users of whom nobody has heard. Each sandbox that root starts has its own: its processes are counted alone."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs that make a sandbox."""

    bubblewrap: str
    prlimit: str
    setpriv: str


def find_tools() -> Tools:
    """Raises SandboxError, which says how to get them."""
    if not sys.platform.startswith("linux"):
        raise SandboxError(
            f"no sandbox: bubblewrap runs on Linux alone, this is {sys.platform}; code that a model wrote is never run "
            "without one. Use a Linux machine or a Linux container"
        )
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise SandboxError(
            f"no sandbox: bubblewrap is missing, and code that a model wrote is never run without it; {_HOW}"
        )
    found = [shutil.which(tool) for tool in _TOOLS]
    missing = [tool for tool, path in zip(_TOOLS, found, strict=True) if path is None or not path.startswith("/usr/")]
    if missing:
        raise SandboxError(f"no sandbox: {' and '.join(missing)} of util-linux must be in /usr; install util-linux")
    return Tools(bubblewrap, *(str(path) for path in found))


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Open files of ours that bubblewrap reads or writes."""

    status: int
    files: tuple[tuple[str, int], ...]
    """Path inside the scratch folder → content."""
    seccomp: int | None


def build(
    tools: Tools, given: Descriptors, limits: SandboxLimits, libraries: Sequence[Path], *, root: bool
) -> list[str]:
    """The whole command line.

    Started by root, it needs no user namespace: the program is given to a user that nobody else is. Started by anybody
    else, it has a user namespace in which it is nobody.
    """
    return [
        tools.bubblewrap,
        *_walls(root),
        *_inside(limits, libraries),
        *(word for path, fd in given.files for word in ("--perms", "0644", "--file", str(fd), f"{SCRATCH}/{path}")),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *("--json-status-fd", str(given.status)),
        *(() if given.seccomp is None else ("--seccomp", str(given.seccomp))),
        "--",
        *_held(tools, limits, root),
        *(_interpreter(), "-s", "-B", f"{SCRATCH}/{PROGRAM}"),
    ]


def _walls(root: bool) -> Iterator[str]:
    """Namespaces of its own: no network, no other process, nobody's rights, nobody's environment."""
    yield from ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
    if root:
        yield from (
            "--cap-drop",
            "ALL",
            "--cap-add",
            "CAP_SETUID",
            "--cap-add",
            "CAP_SETGID",
            "--cap-add",
            "CAP_SETPCAP",
        )
    else:
        yield from ("--unshare-user", "--disable-userns", "--uid", str(_NOBODY), "--gid", str(_NOBODY))
    yield from ("--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": SCRATCH,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": _LIBRARIES,
        "LD_LIBRARY_PATH": f"{_PYTHON}/lib",
    }
    for name, value in environment.items():
        yield from ("--setenv", name, value)


def _inside(limits: SandboxLimits, libraries: Sequence[Path]) -> Iterator[str]:
    """A read-only system, the interpreter, the libraries, and a scratch folder in memory; nothing else."""
    for folder in ("/usr", "/usr/local", _PYTHON, f"{_PYTHON}/local", "/etc", _LIBRARIES):
        yield from ("--perms", "0755", "--dir", folder)
    private = tuple(private_folders())
    for source, place in _installed():
        if source.is_symlink():
            yield from ("--symlink", os.readlink(source), place)
        else:
            yield from ("--ro-bind", str(source), place)
            yield from _emptied(source, place, private)
    for path in ("/etc/ld.so.cache", "/etc/alternatives"):
        yield from ("--ro-bind-try", path, path)
    for library in libraries:
        yield from ("--ro-bind", str(_library(library)), f"{_LIBRARIES}/{library.name}")
    yield from ("--proc", "/proc", "--dev", "/dev")
    for writable in (SCRATCH, "/dev/shm"):
        yield from ("--perms", "1777", "--size", str(limits.disk), "--tmpfs", writable)
    yield from ("--chdir", SCRATCH)


def _installed() -> Iterator[tuple[Path, str]]:
    """The folders of the system and of the interpreter, and where each is inside."""
    interpreter = Path(sys.base_prefix)
    for folder, place, names in (
        (Path("/"), "", _ROOT),
        (Path("/usr"), "/usr", _INSTALLED),
        (Path("/usr/local"), "/usr/local", _INSTALLED),
        (interpreter, _PYTHON, _INSTALLED),
        (interpreter / "local", f"{_PYTHON}/local", _INSTALLED),
    ):
        yield from ((folder / name, f"{place}/{name}") for name in names if (folder / name).is_dir())


def _emptied(source: Path, place: str, private: Sequence[Path]) -> Iterator[str]:
    """An empty folder in the place of each of ours that lies below one of the system's. One that holds the system's
    cannot be emptied."""
    real = source.resolve()
    ours = [it for it in private if it != real and it.is_relative_to(real) and os.path.isdir(it)]
    for folder in ours:
        if not any(parent in ours for parent in folder.parents):
            empty = f"{place}/{folder.relative_to(real)}"
            yield from ("--size", "4096", "--tmpfs", empty, "--remount-ro", empty)


def _library(folder: Path) -> Path:
    found = folder.resolve()
    if not found.is_dir():
        raise UsageError(f"sandbox: the library {str(folder)!r} is no folder; expected a package's folder")
    return found


def _held(tools: Tools, limits: SandboxLimits, root: bool) -> Iterator[str]:
    """The kernel's limits on each process, and, from root, another user to be."""
    yield tools.prlimit
    yield f"--as={limits.memory}"
    yield f"--nproc={limits.processes}"
    yield f"--fsize={limits.disk}"
    yield f"--nofile={limits.open_files}"
    yield f"--cpu={ceil(limits.seconds) + 1}"
    yield from ("--core=0", "--memlock=0", "--msgqueue=0", "--")
    if root:
        uid = str(random.SystemRandom().randrange(*_UIDS))
        yield from (tools.setpriv, "--reuid", uid, "--regid", uid, "--clear-groups")
        yield from ("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--")


def _interpreter() -> str:
    """The interpreter that we run on, at its place inside."""
    real = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    if not real.is_file():
        raise SandboxError(f"no sandbox: no Python interpreter at {real}, where this one says that it was installed")
    return f"{_PYTHON}/bin/{real.name}"


def checked_path(name: str) -> str:
    """A file's place inside the scratch folder. Raises UsageError."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name or str(path) in (".", PROGRAM):
        raise UsageError(
            f"sandbox: a file is called {name!r}, expected a relative path without `..`, and not {PROGRAM!r}, "
            "which is the program itself"
        )
    return str(path)
