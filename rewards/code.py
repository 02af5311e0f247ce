"""Does the Python code in the answer run, and pass its tests?

The tests are the scenario's variable `tests`: Python functions called `test_…`, which import what they need from
`solution` and call it with plain values. Everything runs in the sandbox (agentkit/sandbox/README.md); without one these
rewards refuse. The code sees nothing of the tests, and only results with a word drawn for this one run count: code that
prints success, or ends the program early, earns nothing.
"""

import json
import re
import secrets
from typing import Any

from agentkit.grade import RewardStep, reward
from agentkit.sandbox import SandboxLimits, run_sandboxed

from .tests_of_code import RUNNER, WORKER

LIMITS = SandboxLimits(seconds=60)
SECONDS = 5
"""What one test may take. Leave room: a slow moment of the machine must not look like a wrong solution."""
_BLOCK = re.compile(r"^```(?:python|py)?[ \t]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
_COMPILE = "import sys; compile(sys.stdin.read(), 'solution.py', 'exec')"


@reward(points=5)
def one_block(step: RewardStep) -> float:
    """The answer holds one fenced block of Python."""
    return _code(step) is not None


@reward(points=10, seconds=150)
def compiles(step: RewardStep) -> float:
    """It is Python. Even that is found out in the sandbox: some texts crash the compiler."""
    code = _code(step)
    return code is not None and run_sandboxed(_COMPILE, stdin=code, limits=LIMITS).ok


@reward(points=20, seconds=150)
def tests_pass(step: RewardStep) -> float | None:
    """The share of the tests that pass; one that the solution does not let run has failed."""
    tests = step.variables.get("tests")
    if not isinstance(tests, str):
        return None
    names = re.findall(r"^def (test_\w+)\(", tests, re.MULTILINE)
    if not names:
        raise ValueError("the variable `tests` holds no function called `test_…`")
    code = _code(step)
    if code is None:
        return 0
    passed = _passed(code, tests)
    return sum(name in passed for name in names) / len(names)


def _passed(code: str, tests: str) -> set[str]:
    word = secrets.token_hex(16)
    files = {"solution.py": code, "worker.py": WORKER}
    given = json.dumps({"tests": tests, "word": word, "seconds": SECONDS})
    output = run_sandboxed(RUNNER, files=files, stdin=given, limits=LIMITS).stdout
    told = [found for found in map(_read, output.splitlines()) if found.get("word") == word]
    for found in told:
        if "broken" in found:
            raise ValueError(f"the tests cannot be run: {found['broken']}")
    return {found["test"] for found in told if found["passed"] is True}


def _code(step: RewardStep) -> str | None:
    blocks: list[str] = _BLOCK.findall(step.reply)
    return blocks[0] if len(blocks) == 1 else None


def _read(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
