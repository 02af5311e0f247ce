"""Bubblewrap for the tests: the system's, else Debian's package where we are root. Never skipped where CI is set."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


@pytest.fixture(scope="session")
def sandbox() -> None:
    """There is a sandbox on this machine."""
    trouble = None if shutil.which("bwrap") else _install()
    if trouble is None:
        return
    message = f"bubblewrap is missing, and could not be installed: {trouble}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _install() -> str | None:
    """Why it did not work; None where it did."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "not root, or no Debian"
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "bubblewrap"]):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)
    return None
