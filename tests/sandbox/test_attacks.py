"""What a program tries from inside the sandbox, and what comes of it. Each also shows that honest work goes on."""

from __future__ import annotations

import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.sandbox import SandboxLimits, SandboxResult, run_sandboxed

pytestmark = pytest.mark.usefixtures("sandbox")

SHORT = SandboxLimits(seconds=30)
"""Far more than honest work takes, also where others keep the machine busy."""
ENDED = SandboxLimits(seconds=4)
"""For what would never end: time enough to begin."""


def attack(code: str, limits: SandboxLimits = SHORT, **given: object) -> SandboxResult:
    return run_sandboxed(code, limits=limits, **given)  # type: ignore[arg-type]


def test_an_honest_program_reads_its_files_and_its_input_and_writes_its_output() -> None:
    result = attack(
        "import sys, helper\nprint(helper.double(int(sys.stdin.read())))\nopen('out.txt', 'w').write('kept')\n"
        "print(open('out.txt').read(), open('data/names.txt').read())",
        files={"helper.py": "def double(x):\n    return 2 * x\n", "data/names.txt": "Ada"},
        stdin="21",
    )
    assert (result.exit_code, result.stdout, result.stderr) == (0, "42\nkept Ada\n", "")
    assert result.ok
    assert not result.cut
    assert (result.signal, result.killed_by, result.timed_out) == (None, None, False)


def test_an_exception_and_an_exit_code_are_told() -> None:
    result = attack("import sys; print('so far'); sys.exit(7)")
    assert (result.exit_code, result.stdout, result.ok) == (7, "so far\n", False)
    assert "ZeroDivisionError" in attack("1 / 0").stderr
    assert attack("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").signal == "SIGSEGV"


def test_it_runs_as_nobody_with_no_rights() -> None:
    result = attack("import os; print(os.getuid(), os.getgid()); print(open('/proc/self/status').read())")
    uid, gid = map(int, result.stdout.split("\n")[0].split())
    assert uid not in (0, os.getuid())
    assert gid not in (0, os.getgid())
    for rights in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{rights}:\t0000000000000000" in result.stdout
    assert "NoNewPrivs:\t1" in result.stdout
    assert "Seccomp:\t2" in result.stdout


@pytest.mark.slow
def test_a_fork_bomb_meets_the_limit_on_processes() -> None:
    result = attack(
        """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
except OSError as error:
    print(made, error.strerror)
""",
        SandboxLimits(seconds=30, processes=12),
    )
    made, reason = result.stdout.split(maxsplit=1)
    assert 4 < int(made) < 12
    assert reason == "Resource temporarily unavailable\n"
    assert result.exit_code == 0
    every_child = attack(
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", SandboxLimits(seconds=2)
    )
    assert every_child.killed_by == "wall time: 2 s"
    assert attack("import subprocess; print(subprocess.run(['echo', 'hi'], capture_output=True).stdout)").ok


@pytest.mark.slow
def test_an_endless_loop_is_ended() -> None:
    began = time.monotonic()
    result = attack("print('begun', flush=True)\nwhile True: pass", ENDED)
    assert (result.timed_out, result.killed_by, result.exit_code) == (True, "wall time: 4 s", None)
    assert result.signal == "SIGKILL"
    assert result.stdout == "begun\n"
    assert 4 <= result.seconds < 12
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_one_that_will_not_be_ended_by_signals_is_ended() -> None:
    code = """
import signal, time
for number in range(1, 65):
    try:
        signal.signal(number, lambda *_: None)
    except (OSError, ValueError):
        pass
while True:
    time.sleep(1)
"""
    assert attack(code, ENDED).killed_by == "wall time: 4 s"


def test_a_memory_hog_meets_the_limit() -> None:
    result = attack(
        "held = []\nwhile True: held.append(bytearray(10_000_000))", SandboxLimits(seconds=30, memory=200_000_000)
    )
    assert "MemoryError" in result.stderr
    assert result.exit_code == 1
    assert (
        attack("print(len(bytearray(50_000_000)))", SandboxLimits(seconds=30, memory=200_000_000)).stdout
        == "50000000\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("held", ["bytearray(80_000_000)", "mmap.mmap(-1, 80_000_000)"])
def test_many_processes_cannot_hold_more_together_than_one_may(held: str) -> None:
    code = f"""
import mmap, os, time
for _ in range(6):
    if os.fork() == 0:
        held = {held}
        for at in range(0, len(held), 4096):
            held[at] = 1
        time.sleep(30)
        os._exit(0)
time.sleep(30)
"""
    result = attack(code, SandboxLimits(seconds=29, memory=200_000_000))
    assert result.killed_by == "memory: 200 MB for all processes together"
    assert result.seconds < 28


def test_memory_that_belongs_to_no_process_cannot_be_had() -> None:
    code = """
import ctypes, os
try:
    print(os.memfd_create("hidden"))
except OSError as error:
    print(error.strerror)
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0, 50_000_000, 0o1600), os.strerror(ctypes.get_errno()))
"""
    assert attack(code).stdout == "Operation not permitted\n-1 Operation not permitted\n"


def test_the_disk_cannot_be_filled() -> None:
    code = """
import errno
for folder in ("/tmp", "/dev/shm"):
    written = 0
    try:
        for number in range(100):
            with open(f"{folder}/{number}", "wb") as file:
                file.write(bytes(1_000_000))
                written += 1
    except OSError as error:
        print(folder, written, errno.errorcode[error.errno])
"""
    result = attack(code, SandboxLimits(seconds=30, disk=5_000_000))
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [(folder, reason) for folder, _, reason in lines] == [("/tmp", "ENOSPC"), ("/dev/shm", "ENOSPC")]
    assert all(int(written) <= 5 for _, written, _ in lines)


def test_nothing_outside_the_scratch_folder_can_be_written() -> None:
    code = """
import os
for path in "/x /usr/x /usr/bin/env /python/x /etc/x /dev/x /proc/sys/kernel/hostname /libraries/x".split():
    try:
        open(path, "a").write("x")
        print("written", path)
    except OSError as error:
        print(type(error).__name__)
open("/tmp/mine", "w").write("x")
print(os.listdir("/tmp"))
"""
    lines = attack(code).stdout.splitlines()
    assert len(lines) == 9
    assert not any(line.startswith("written") for line in lines)
    assert "mine" in lines[-1]


def test_no_secret_of_the_environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-9431")
    code = """
import os, pathlib
print(dict(os.environ))
for place in pathlib.Path("/proc").glob("[0-9]*/environ"):
    try:
        print(place, place.read_bytes())
    except OSError as error:
        print(place, error.strerror)
"""
    result = attack(code)
    assert "PATH" in result.stdout
    assert "very-secret" not in result.stdout + result.stderr
    assert "OPENAI" not in result.stdout


def test_no_file_of_ours_can_be_read(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("private")
    places = [
        mine,
        Path.home(),
        Path("/root"),
        Path("/home"),
        Path(__file__),
        Path("pyproject.toml").absolute(),
        Path("/etc/shadow"),
        Path("/etc/passwd"),
        Path("/var"),
        Path("/usr/src"),
        Path("/usr/local/src"),
    ]
    code = """
import os, sys
for place in sys.stdin.read().splitlines():
    try:
        print("READ", place, os.listdir(place) if os.path.isdir(place) else open(place).read()[:50])
    except OSError as error:
        print(error.strerror)
print(sorted(os.listdir("/")))
"""
    lines = attack(code, stdin="\n".join(map(str, places))).stdout.splitlines()
    assert lines[:-1] == ["No such file or directory"] * len(places)
    assert "work" not in lines[-1]
    assert "usr" in lines[-1]


def test_links_lead_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("as it was")
    code = """
import os, sys
target = sys.stdin.read()
for number, to in enumerate(("/etc/passwd", target, "../" * 20 + target.lstrip("/"), "/proc/1/root" + target)):
    os.symlink(to, f"link{number}")
    try:
        open(f"link{number}", "w").write("overwritten")
        print("written", to)
    except OSError as error:
        print(error.strerror)
"""
    before = Path("/etc/passwd").read_bytes()
    result = attack(code, stdin=str(victim))
    assert len(result.stdout.splitlines()) == 4
    assert "written" not in result.stdout
    assert victim.read_text() == "as it was"
    assert Path("/etc/passwd").read_bytes() == before


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server.getsockname()[1]


def test_there_is_no_network(listener: int) -> None:
    code = f"""
import socket
for address in (("127.0.0.1", {listener}), ("1.1.1.1", 80), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, timeout=1)
        print("connected", address)
    except OSError as error:
        print(type(error).__name__)
try:
    socket.getaddrinfo("example.org", 80)
except OSError as error:
    print(type(error).__name__)
"""
    with socket.create_connection(("127.0.0.1", listener), timeout=1):
        pass  # from here it can be reached
    result = attack(code, SandboxLimits(seconds=60))
    assert len(result.stdout.splitlines()) == 4
    assert "connected" not in result.stdout


def test_nobody_else_is_to_be_seen_or_killed() -> None:
    code = f"""
import os, signal
print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
for process in ({os.getpid()}, os.getppid(), 1):
    try:
        os.kill(process, signal.SIGKILL)
        print("sent", process)
    except OSError as error:
        print(type(error).__name__)
for name in ("mem", "environ", "root"):
    try:
        open(f"/proc/1/{{name}}", "rb").read(1)
        print("read", name)
    except OSError as error:
        print(type(error).__name__)
"""
    result = attack(code)
    seen = result.stdout.splitlines()[0]
    assert str(os.getpid()) not in seen.strip("[]").split(", ")
    assert seen.count(",") < 4
    assert "ProcessLookupError" in result.stdout
    assert os.getpid()  # and here we are still
    assert attack("print('next')").stdout == "next\n"


@pytest.mark.slow
def test_a_gigabyte_of_output_is_cut_and_fills_no_memory() -> None:
    code = """
import os
line = b"x" * 1_000_000
for _ in range(1000):
    os.write(1, line)
print("all written", file=__import__("sys").stderr)
"""
    tracemalloc.start()
    try:
        result = attack(code, SandboxLimits(seconds=120))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(result.stdout) == SandboxLimits().output
    assert result.cut
    assert most < 10_000_000
    assert result.stderr == "all written\n"


@pytest.mark.slow
def test_a_daemon_does_not_outlive_the_program() -> None:
    mark = f"daemon-{os.getpid()}-{time.time_ns()}"
    code = f"""
import os, subprocess, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "{mark}"])
        os._exit(0)
    os._exit(0)
import time; time.sleep(0.5)
print("done")
"""
    result = attack(code, SandboxLimits(seconds=40))
    assert (result.stdout, result.exit_code) == ("done\n", 0)
    assert result.seconds < 30
    assert mark not in _command_lines()


@pytest.mark.slow
def test_what_is_killed_leaves_nobody_behind() -> None:
    mark = f"left-{os.getpid()}-{time.time_ns()}"
    code = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "{mark}"], start_new_session=True)
print("begun", flush=True)
time.sleep(60)
"""
    result = attack(code, ENDED)
    assert (result.timed_out, result.stdout) == (True, "begun\n")
    assert mark not in _command_lines()


@pytest.mark.slow
def test_sandboxes_do_not_disturb_each_other() -> None:
    results: list[SandboxResult] = []
    code = "import os, time; print(os.getpid()); os.fork(); os.fork(); time.sleep(0.3)"
    limits = SandboxLimits(seconds=60, processes=8)
    threads = [threading.Thread(target=lambda: results.append(attack(code, limits))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.exit_code for result in results] == [0] * 6, results


def test_it_can_make_no_namespace_of_its_own() -> None:
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for flags in (0x10000000, 0x00020000, 0x40000000):
    print(libc.unshare(flags), os.strerror(ctypes.get_errno()))
print(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None), os.strerror(ctypes.get_errno()))
print(libc.ptrace(16, 1, 0, 0), os.strerror(ctypes.get_errno()))
"""
    assert attack(code).stdout == "-1 Operation not permitted\n" * 5


def _command_lines() -> str:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)
