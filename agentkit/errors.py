"""Every error that agentkit raises on purpose, and the exit code that each one means.

AgentkitError                  something the user can act on; printed without a traceback
├── UsageError                 a wrong command, option, name or file            exit 2
│   ├── ConfigError            `[tool.agentkit]` or an environment variable
│   ├── SuiteError             scenario files: every problem of a suite at once
│   ├── StoreError             the store cannot be opened, or holds no such thing
│   │   └── StoreUnavailable   it is full, locked or away: what failed may work later
│   ├── AdapterError           an adapter's folder is missing, incomplete, or not what it was published as
│   └── FeedbackError          a judgement that cannot be taken, with the HTTP status that says so
├── NotJudged                  nothing valid to judge: no data is never a pass  exit 3
├── BudgetExhausted            --max-calls or --max-cost was reached
├── ProviderError              a model endpoint failed and outlasted the retries
├── JudgeError                 a judge failed or answered nonsense
├── RewardError                a reward function raised, hung, or returned what is no reward
├── SandboxError               there is no sandbox here, so the code was not run exit 3
├── WorldError                 a server that holds a trial's world failed
└── EngineError                a model server could not be started              exit 3
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says to a shell or to CI; the same for every command."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    NOT_JUDGED = 3
    INCONCLUSIVE = 4
    INTERNAL = 70
    INTERRUPTED = 130


class AgentkitError(Exception):
    """Base of all errors that are meant for the user's eyes; the message is complete by itself."""

    exit_code = ExitCode.USAGE


class UsageError(AgentkitError):
    """A command, option, name or file that cannot be used as given."""


class ConfigError(UsageError):
    """A setting in `[tool.agentkit]` or in the environment that cannot be used."""


class StoreError(UsageError):
    """The store cannot be opened, or does not hold what was asked for."""


class StoreUnavailable(StoreError):
    """The store fails whatever it is asked: it is full, locked, closed or away. The same may work later."""


class AdapterError(UsageError):
    """The folder of an adapter is missing or incomplete, or it does not hold what its name and manifest say."""


class FeedbackError(UsageError):
    """A judgement that cannot be taken; `status` is that of HTTP: 400 malformed, 404 of nothing that the caller knows,
    409 the id is another judgement's, 413 too long."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in one file: where it is, what was found, what was expected."""

    file: str
    line: int | None
    """Counted from 1; None where the mistake has no line (a missing file)."""
    field: str
    """Path inside the document, e.g. `turns[1].steps[0].call.name`; empty for the whole file."""
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class SuiteError(UsageError):
    """All the problems of the scenario files that were loaded, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''} in the scenarios"
        super().__init__("\n".join([f"{count}:", *(f"  {problem}" for problem in self.problems)]))


class NotJudged(AgentkitError):
    """There is nothing valid to judge."""

    exit_code = ExitCode.NOT_JUDGED


class EngineError(AgentkitError):
    """A model server is missing, could not be started, or died."""

    exit_code = ExitCode.NOT_JUDGED


class BudgetExhausted(AgentkitError):
    """A hard limit on calls or cost was reached; what was played is kept, and the run can be resumed."""


class ProviderError(AgentkitError):
    """A model endpoint failed and outlasted the retries: it makes a trial invalid, never failed.

    `kind` is a short machine-readable word: `timeout`, `rate_limit`, `server`, `connection`, `rejected`, `protocol`.
    """

    def __init__(self, kind: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class WorldError(AgentkitError):
    """The server behind a trial's world died, hung, or answered what is no answer: it makes the trial invalid, and is
    the tool's fault."""

    exit_code = ExitCode.NOT_JUDGED


class JudgeError(AgentkitError):
    """A judge could not be asked, or what it said cannot be used: the step is ungraded."""


class RewardError(AgentkitError):
    """A reward function raised, hung, or returned what is no number from 0 to 1. It is never read as a zero."""


class SandboxError(AgentkitError):
    """The sandbox is missing or could not be set up. Code that waits for one is never run without it."""

    exit_code = ExitCode.NOT_JUDGED


def near_match(found: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest known name, else a short list of what there is, else ''.

    Ready to be appended to a message.
    """
    options = sorted(known)
    close = difflib.get_close_matches(found, options, n=1, cutoff=0.6)
    if close:
        return f" (did you mean {close[0]!r}?)"
    if not options:
        return ""
    shown = ", ".join(options[:8]) + (", …" if len(options) > 8 else "")
    return f" (known: {shown})"
