"""The lock files: exact, hashed, without hosts or paths, in agreement, and true to pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[2]
LOCKS = sorted(TOP.glob("requirements-*.lock"))
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
EXTRA = {
    "core": ("report", "router"),
    "dev": ("dev", "report", "router"),
    "serve-cpu": ("serve-cpu", "report"),
    "serve-gpu": ("serve", "report"),
}


def pins(lock: Path) -> dict[str, set[str]]:
    """Versions of each package; several where they differ by Python or platform."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text().splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line):
            found.setdefault(canonicalize_name(pin[1]), set()).add(pin[2])
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_line_is_a_pin_or_a_hash(lock: Path) -> None:
    allowed = re.compile(r"#.*|[A-Za-z0-9._-]+==\S+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lock.read_text().splitlines() if not allowed.fullmatch(line)] == []
    assert not re.search(r"https?:|file:|/(home|root|tmp|opt)/", lock.read_text())
    assert pins(lock)


def expanded(wanted: list[str]) -> Iterator[Requirement]:
    """The requirements; the project's own extras as what they stand for."""
    for requirement in map(Requirement, wanted):
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                yield from expanded(PROJECT["optional-dependencies"][extra])
        else:
            yield requirement


@pytest.mark.parametrize("name", EXTRA)
def test_what_the_project_asks_for_is_locked(name: str) -> None:
    locked = pins(TOP / f"requirements-{name}.lock")
    wanted = [*PROJECT["dependencies"]]
    for extra in EXTRA[name]:
        wanted += PROJECT["optional-dependencies"][extra]
    for requirement in expanded(wanted):
        versions = locked[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement


@pytest.mark.parametrize("name", ["serve-cpu", "serve-gpu"])
def test_the_dev_lock_fits_beside_each_server(name: str) -> None:
    dev, server = pins(TOP / "requirements-dev.lock"), pins(TOP / f"requirements-{name}.lock")
    assert {package for package in dev.keys() & server.keys() if not server[package] & dev[package]} == set()
