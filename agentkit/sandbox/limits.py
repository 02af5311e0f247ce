"""What a program in the sandbox may use, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from agentkit.errors import UsageError

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """All of them are hard. Raises UsageError for one that is not above 0."""

    seconds: float = 10.0
    """Wall time, from start to end; then everything inside is killed. Processor time of each process is held to it."""
    memory: int = 512 * MB
    """Bytes: of address space for each process, and of memory for all of them together."""
    processes: int = 16
    """Processes and threads at once, those of the sandbox's own start included."""
    disk: int = 32 * MB
    """Bytes in the scratch folder, which is in memory and counted by itself; also of each single file."""
    open_files: int = 64
    """File descriptors of each process."""
    output: int = 200_000
    """Bytes kept of each of standard output and standard error; what comes after is read and thrown away."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            whole = limit.name != "seconds"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 < value < 2**53:
                kind = "a whole number above 0" if whole else "a number above 0"
                raise UsageError(f"SandboxLimits: {limit.name} is {value!r}, expected {kind}")


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a program in the sandbox ended."""

    exit_code: int | None
    """None where a signal ended it."""
    signal: str | None
    """Name of the signal that ended it, such as `SIGKILL`. (A program that exits with 128 + n reads as ended by n.)"""
    stdout: str
    """Cut to `SandboxLimits.output`; bytes that are not UTF-8 are replaced."""
    stderr: str
    cut: bool
    """Whether more was written to either than was kept."""
    timed_out: bool
    killed_by: str | None
    """In words, the limit that ended it; None where it ended by itself."""
    seconds: float
    """From start to end."""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, and well."""
        return self.exit_code == 0 and self.killed_by is None
