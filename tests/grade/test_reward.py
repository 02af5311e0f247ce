"""Rewards and rubrics: what counts, what is refused, and what it says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import AgentkitError, ExitCode, RewardError
from agentkit.grade import RewardStep, Rubric, load_rubric, reward, same_twice
from agentkit.records import ToolCall
from agentkit.scenario import Step

STEP = RewardStep((), "<tool_call>…</tool_call>", calls=(ToolCall("1", "f", {}),), name="shop/refund pay")
HEAD = "from agentkit.grade import RewardStep, reward\n\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(**files: str) -> Path:
        folder = tmp_path / "rewards"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        return folder

    return write


def one(write: Write, body: str, decorator: str = "@reward(points=2)", signature: str = "def r(step)") -> Rubric:
    return load_rubric("one", write(one=f"{HEAD}import math\n\n{decorator}\n{signature}:\n    {body}\n"))


def test_a_rubric_adds_up_what_its_parts_are_worth_in_the_order_of_the_file(write: Write) -> None:
    folder = write(
        call=HEAD
        + """
@reward(points=5)
def zebra(step: RewardStep) -> float:
    '''Half
    of it.

    And more.'''
    return 0.5

@reward(points=10)
async def apple(step):
    return True

@reward(points=85)
def silent(step):
    return None
"""
    )
    rubric = load_rubric("call", folder)
    assert [(part.name, part.points) for part in rubric.parts] == [("zebra", 5), ("apple", 10), ("silent", 85)]
    assert rubric.parts[0].doc == "Half of it."
    assert rubric.parts[0].place.endswith("rewards/call.py:5")
    scored = rubric.score(STEP)
    assert scored.parts == {"zebra": 0.5, "apple": 1.0}
    assert scored.left_out == {"silent": "it does not apply to this completion"}
    assert (scored.points, scored.possible, scored.total) == (12.5, 15, 12.5 / 15)
    assert rubric.score_all([STEP] * 3) == (scored,) * 3


def test_where_no_part_applies_there_is_no_total(write: Write) -> None:
    scored = one(write, "return None").score(STEP)
    assert (scored.total, scored.possible, scored.parts) == (None, 0, {})


@pytest.mark.parametrize(("returned", "value"), [("True", 1.0), ("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("-0.0", 0.0)])
def test_numbers_and_truths_count(write: Write, returned: str, value: float) -> None:
    assert one(write, f"return {returned}").score(STEP).total == value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 1.5", "returned 1.5, expected a number from 0 to 1"),
        ("return -1", "returned -1, expected a number from 0 to 1"),
        ("return math.nan", "returned nan, expected a number from 0 to 1"),
        ("return math.inf", "returned inf, expected a number from 0 to 1"),
        ("return 'yes'", "returned 'yes' (str), expected a number, True, False or None"),
        ("return [1.0]", "returned [1.0] (list), expected a number, True, False or None"),
        ("return step.expected.call", "raised AttributeError: 'NoneType' object has no attribute 'call'"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("raise TimeoutError('of its own')", "raised TimeoutError: of its own"),
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_is_no_reward_is_an_error_and_never_a_zero(write: Write, body: str, said: str, kind: str) -> None:
    rubric = one(write, body, signature=f"{kind} r(step)")
    with pytest.raises(RewardError) as caught:
        rubric.score(STEP)
    message = str(caught.value)
    if "SystemExit" not in body or kind == "def":
        assert said in message
    assert "rewards/one.py:6: reward r " in message
    assert "shop/refund pay, completion '<tool_call>…</tool_call>'" in message


def test_a_reward_error_is_the_users_to_mend() -> None:
    assert issubclass(RewardError, AgentkitError)
    assert RewardError.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("signature", ["def r(step)", "async def r(step)"])
@pytest.mark.parametrize("body", ["import time; time.sleep(20)", "import asyncio; asyncio.run(asyncio.sleep(20))"])
def test_a_reward_that_hangs_is_an_error(write: Write, signature: str, body: str) -> None:
    if signature.startswith("async") and "asyncio" in body:
        body = "import asyncio; await asyncio.sleep(20)"
    rubric = one(write, body, "@reward(points=1, seconds=0.2)", signature)
    began = time.monotonic()
    with pytest.raises(RewardError, match=r"reward r took longer than 0.2 s"):
        rubric.score(STEP)
    assert time.monotonic() - began < 5
    quick = load_rubric("quick", write(quick=HEAD + "@reward\nasync def r(step):\n    return 1\n"))
    assert quick.score(STEP).total == 1  # what hangs does not stand in the way of the next


def test_rewards_can_be_asked_from_any_thread_and_from_inside_an_event_loop(write: Write) -> None:
    rubric = one(write, "import asyncio; await asyncio.sleep(0); return 1", signature="async def r(step)")
    totals: list[Any] = []
    threads = [threading.Thread(target=lambda: totals.append(rubric.score(STEP).total)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [1] * 4

    async def inside() -> float | None:
        return rubric.score(STEP).total

    assert asyncio.run(inside()) == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("@reward(points=0)\ndef r(step): return 1", "one.py:3: reward r: points is 0, expected a number above 0"),
        ("@reward(points=True)\ndef r(step): return 1", "points is True, expected a number above 0"),
        ("@reward(seconds=float('nan'))\ndef r(step): return 1", "seconds is nan"),
        ("@reward\ndef r(step, other): return 1", "reward r(step, other): expected a function of one argument"),
        ("@reward\ndef r(): return 1", "expected a function of one argument"),
        ("def r(step): return 1", "no rewards: a function with @reward is expected"),
        ("@reward\ndef r(step): return 1\n\n@reward\ndef r(step): return 0", "one.py:7: a second reward 'r'"),
        ("import nowhere_at_all", "one.py:3: cannot be imported: ModuleNotFoundError: No module named"),
        ("1 / 0", "one.py:3: cannot be imported: ZeroDivisionError"),
        ("def r(:", "one.py:3: not Python: invalid syntax"),
        ("from .helpr import x", "one.py:3: imports '.helpr'; rewards import only files of their own folder"),
        ("from ..up import x", "imports '..up'"),
        ("import helper", "one.py:3: imports 'helper', a file beside it: write `from . import helper`"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_line(write: Write, source: str, said: str) -> None:
    folder = write(one=HEAD + source + "\n", helper="x = 1\n")
    with pytest.raises(RewardError) as caught:
        load_rubric("one", folder)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("oen", "no such file of rewards (did you mean 'one'?)"),
        ("one:rihgt", "no reward is called 'rihgt' here (did you mean 'right'?)"),
        ("one:right,right", "names 'right' twice"),
        ("one+one", "names the module 'one' twice"),
        ("../one", "expected `module`, `module:part,part`"),
        ("", "expected `module`"),
        ("one:", "expected `module`"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told_with_a_near_match(write: Write, reference: str, said: str) -> None:
    folder = write(one=HEAD + "@reward\ndef right(step):\n    return 1\n")
    with pytest.raises(RewardError) as caught:
        load_rubric(reference, folder)
    assert said in str(caught.value)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RewardError, match="no such folder of rewards"):
        load_rubric("one", tmp_path / "nowhere")


def test_parts_can_be_picked_and_modules_joined(write: Write) -> None:
    folder = write(
        one=HEAD + "@reward(points=1)\ndef a(step):\n    return 1\n\n@reward(points=3)\ndef b(step):\n    return 0\n",
        two=HEAD + "@reward(points=4)\ndef a(step):\n    return 0.5\n",
    )
    assert [part.name for part in load_rubric("one:b", folder).parts] == ["b"]
    joined = load_rubric("one:a + two", folder)
    assert joined.score(STEP).parts == {"one.a": 1.0, "two.a": 0.5}
    assert joined.score(STEP).total == 3 / 5
    hashes = {load_rubric(name, folder).hash for name in ("one", "one:a", "one:b", "two", "one:a + two")}
    assert len(hashes) == 5


def test_the_hash_is_that_of_the_file_and_of_the_neighbours_it_imports(write: Write) -> None:
    source = "from .helper import half\nfrom agentkit.grade import reward\n\n@reward\ndef r(step):\n    return half()\n"
    folder = write(
        one=source, helper="from . import deeper\n\ndef half():\n    return deeper.HALF\n", deeper="HALF = 0.5\n"
    )
    before = load_rubric("one", folder)
    assert before.score(STEP).total == 0.5
    assert load_rubric("one", folder).hash == before.hash
    write(deeper="HALF = 0.7\n")
    after = load_rubric("one", folder)
    assert after.score(STEP).total == 0.7  # at once, though the file has the same size and may have the same time
    assert after.hash != before.hash
    assert before.score(STEP).total == 0.5
    write(unrelated="x = 1\n")
    assert load_rubric("one", folder).hash == after.hash


def test_a_reward_that_is_only_imported_is_no_part(write: Write) -> None:
    folder = write(
        base=HEAD + "@reward\ndef base(step):\n    return 1\n",
        one=HEAD + "from .base import base\n\n@reward\ndef own(step):\n    return base(step) / 2\n",
    )
    assert load_rubric("one", folder).score(STEP).parts == {"own": 0.5}


def test_two_folders_may_each_have_a_file_of_one_name(write: Write, tmp_path: Path) -> None:
    first = write(one=HEAD + "@reward\ndef r(step):\n    return 0\n")
    second = tmp_path / "other"
    second.mkdir()
    (second / "one.py").write_text(HEAD + "@reward\ndef r(step):\n    return 1\n")
    assert [load_rubric("one", folder).score(STEP).total for folder in (first, second, first)] == [0, 1, 0]


def test_rewards_that_say_another_thing_the_second_time_are_found(write: Write) -> None:
    folder = write(
        one=HEAD
        + """
SEEN = []

@reward
def steady(step):
    return 0.5

@reward
def counting(step):
    SEEN.append(step)
    return len(SEEN) % 2

@reward
def writing(step):
    step.world["seen"] = step.world.get("seen", 0) + 1
    return 1
"""
    )
    step = RewardStep((), "x", world={}, variables={"large": 10**40})
    found = same_twice(load_rubric("one", folder), [step])
    assert [it.part for it in found] == ["counting", "writing"]
    assert "gives 1.0 and then 0.0" in found[0].found
    assert "changes the step that it is given" in found[1].found
    assert same_twice(load_rubric("one:steady", folder), [step]) == ()


def test_the_step_names_itself_by_what_is_known_of_it() -> None:
    step = Step.model_validate({"id": "pay", "no_call": "any"})
    assert str(RewardStep((), "\x1b[31mred", expected=step)) == r"step 'pay', completion '\\x1b[31mred'"
    assert RewardStep((), "x").call is None
    assert STEP.call is STEP.calls[0]


def test_a_function_outside_a_file_is_a_reward_as_well() -> None:
    @reward(points=3)
    def always(step: RewardStep) -> float:
        return 1.0

    assert always(STEP) == 1.0
    with pytest.raises(RewardError, match="seconds is 0"):
        reward(seconds=0)(lambda step: 1.0)
