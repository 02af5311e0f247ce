"""The sandbox as its caller sees it."""

from __future__ import annotations

import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit.errors import ExitCode, SandboxError, UsageError
from agentkit.sandbox import SandboxLimits, run_sandboxed
from agentkit.sandbox import run as running
from agentkit.sandbox.command import Descriptors, Tools, build
from agentkit.sandbox.filter import seccomp_filter


def test_without_bubblewrap_nothing_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SandboxError, match=r"bubblewrap is missing.*never run without it.*apt-get install bubblewrap"
    ) as it:
        run_sandboxed("open('/tmp/it-ran', 'w')")
    assert it.value.exit_code is ExitCode.NOT_JUDGED


def test_a_bubblewrap_that_cannot_work_is_told_and_nothing_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SandboxError, match=r"does not work here .bwrap: No permissions to create a new namespace"):
        run_sandboxed("print('it ran')")


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "", "main.py", "a\0b", "."])
@pytest.mark.usefixtures("sandbox")
def test_a_file_must_lie_inside(name: str) -> None:
    with pytest.raises(UsageError, match="expected a relative path without"):
        run_sandboxed("pass", files={name: "x"})


def test_limits_are_above_zero() -> None:
    with pytest.raises(UsageError, match="memory is 0, expected a whole number above 0"):
        SandboxLimits(memory=0)
    with pytest.raises(UsageError, match="seconds is nan"):
        SandboxLimits(seconds=float("nan"))
    with pytest.raises(UsageError, match="processes is True"):
        SandboxLimits(processes=True)


@pytest.mark.usefixtures("sandbox")
def test_libraries_can_be_imported_and_not_written(tmp_path: Path) -> None:
    package = tmp_path / "counting"
    package.mkdir()
    (package / "__init__.py").write_text("ONE = 1\n")
    os.chmod(tmp_path, 0o755)
    code = "import counting\nprint(counting.ONE)\n"
    code += "try: open(counting.__file__, 'w')\nexcept OSError as error: print(error.strerror)"
    assert run_sandboxed(code, libraries=[package]).stdout == "1\nRead-only file system\n"
    with pytest.raises(UsageError, match="is no folder"):
        run_sandboxed(code, libraries=[tmp_path / "missing"])


@pytest.mark.usefixtures("sandbox")
def test_text_that_is_no_text_is_told_by_python_and_output_that_is_none_is_replaced() -> None:
    assert "SyntaxError" in run_sandboxed("x = '\ud800'").stderr
    assert "null bytes" in run_sandboxed("x = 1\0").stderr
    assert run_sandboxed("import os; os.write(1, b'a\\xffb')").stdout == "a\ufffdb"


@pytest.mark.usefixtures("sandbox")
def test_the_same_program_prints_the_same_twice() -> None:
    code = "print({'a', 'b', 'c', 'd', 'e'}, hash('text'))"
    assert run_sandboxed(code).stdout == run_sandboxed(code).stdout


def test_the_filter_is_made_for_the_machine_or_not_at_all() -> None:
    assert seccomp_filter("riscv64") is None
    program = seccomp_filter("aarch64")
    assert program is not None
    instructions = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    assert instructions[1] == (0x15, 1, 0, 0xC00000B7)
    assert instructions[-1] == (0x06, 0, 0, 0x7FFF0000)
    if platform.machine() in ("x86_64", "aarch64"):
        assert seccomp_filter() is not None


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become somebody else")
@pytest.mark.usefixtures("sandbox")
def test_who_is_not_root_gets_a_sandbox_as_well(tmp_path: Path) -> None:
    """The command line for other users, with a program that any of them can read."""
    tools = Tools(shutil.which("bwrap") or "", shutil.which("prlimit") or "", shutil.which("setpriv") or "")
    status = os.open(os.devnull, os.O_WRONLY)
    try:
        command = build(tools, Descriptors(status, (), None), SandboxLimits(), (), root=False)
        end = command.index("/tmp/main.py")
        ours = f"{sys.base_prefix}/"  # it may lie in root's own folder
        command = [f"/usr/{word.removeprefix(ours)}" if word.startswith(ours) else word for word in command]
        command[end - 3 : end + 1] = ["/usr/bin/id", "-u"]
        as_somebody = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", *command]
        made = subprocess.run(as_somebody, pass_fds=[status], capture_output=True, text=True, timeout=30)
    finally:
        os.close(status)
    if "namespace" in made.stderr:
        pytest.skip(f"this machine gives namespaces to root alone: {made.stderr}")
    assert made.stdout == "65534\n", made.stderr


@pytest.mark.usefixtures("sandbox")
def test_no_descriptor_is_left_open() -> None:
    run_sandboxed("pass")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run_sandboxed("pass", files={"a": "b"})
    assert len(os.listdir("/proc/self/fd")) == before
    assert running._self_test.cache_info().currsize >= 1
