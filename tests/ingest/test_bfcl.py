"""The importer on a small package of the same form; the published one is in `test_bfcl_leaderboard.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agentkit.cli import app
from agentkit.errors import ExitCode, SuiteError, UsageError
from agentkit.grade.match import equal
from agentkit.ingest.bfcl.entries import GoldenCall, parse_call
from agentkit.ingest.bfcl.importer import Written, import_category
from agentkit.scenario import Loaded, load
from tests.ingest.bfcl_package import GOLDEN, ODD, write_package
from tests.ingest.bfcl_play import argument_changed, golden, graded, left_out, one_too_many, swapped

QUESTIONS = "data/BFCL_v4_multi_turn_base.json"
ANSWERS = "data/possible_answer/BFCL_v4_multi_turn_base.json"


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    name = "tiny_" + "".join(letter for letter in tmp_path.name if letter.isalnum())
    yield write_package(tmp_path / "site" / name)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def written(package: Path, tmp_path: Path) -> Written:
    return import_category(str(package), "multi_turn_base", tmp_path / "out")


@pytest.fixture
def scenarios(written: Written, tmp_path: Path) -> dict[str, Loaded]:
    return {loaded.id: loaded for loaded in load([tmp_path / "out"])}


def cli(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["import", "bfcl", *arguments], standalone_mode=False)


def change(file: Path, line: int, **changes: Any) -> None:
    """Give keys of the entry in a line of a file new values; None removes one."""
    rows = file.read_text(encoding="utf-8").splitlines()
    changed = {**json.loads(rows[line - 1]), **changes}
    rows[line - 1] = json.dumps({key: value for key, value in changed.items() if value is not None})
    file.write_text("\n".join(rows), encoding="utf-8")


def test_one_suite_for_each_set_of_tools(scenarios: dict[str, Loaded]) -> None:
    assert set(scenarios) == {
        "Boxes/multi_turn_base_0",
        "Boxes.Sums/multi_turn_base_1",
        "Boxes/multi_turn_base_2",
        "Boxes.without_label/multi_turn_base_3",
    }
    tools = {id_: set(loaded.suite.world.tools) for id_, loaded in scenarios.items() if loaded.suite.world}
    assert tools["Boxes.Sums/multi_turn_base_1"] == {"look", "enter", "make", "label", "weigh", "subtract"}
    assert tools["Boxes.without_label/multi_turn_base_3"] == {"look", "enter", "make", "weigh"}


async def test_golden_calls_pass_every_step(scenarios: dict[str, Loaded]) -> None:
    for loaded, calls in zip((scenarios[id_] for id_ in sorted(scenarios, key=lambda i: i[-1])), GOLDEN, strict=True):
        script = golden(loaded)
        assert list(map(len, script)) == list(map(len, calls))
        result = await graded(loaded, script)
        assert result.failed == []
        assert result.success


async def test_each_mutation_fails_at_its_step(scenarios: dict[str, Loaded]) -> None:
    loaded = scenarios["Boxes/multi_turn_base_0"]
    script = golden(loaded)
    first = [(await graded(loaded, mutation.script)).failed[0] for mutation in left_out(script)]
    assert first == ["t1_enter", "t1_make", "t1_look", "t2_label", "t2_label_2"]
    first = [(await graded(loaded, mutation.script)).failed[0] for mutation in argument_changed(loaded, script)]
    assert first == ["t1_enter", "t1_make", "t2_label", "t2_label_2"]
    failed = [(await graded(loaded, mutation.script)).failed for mutation in swapped(script)]
    assert failed == [["t1_look", "t1_state", "t2_state"], ["t1_look"], ["t2_label", "t2_label_2"]]
    extra = await one_too_many(loaded, script, [("look", {}), ("make", {"name": "z"})])
    assert [(await graded(loaded, mutation.script)).failed[0] for mutation in extra] == ["t1_state", "t2_state"]


async def test_calls_whose_order_does_not_matter_may_be_swapped(scenarios: dict[str, Loaded]) -> None:
    loaded = scenarios["Boxes.Sums/multi_turn_base_1"]
    (mutation,) = swapped(golden(loaded))
    assert (await graded(loaded, mutation.script)).failed == []


async def test_doing_nothing_never_succeeds(scenarios: dict[str, Loaded]) -> None:
    for loaded in scenarios.values():
        assert not (await graded(loaded, ((),) * len(loaded.scenario.turns))).success


def test_tools_say_what_the_function_documents_say(scenarios: dict[str, Loaded]) -> None:
    world = scenarios["Boxes.Sums/multi_turn_base_1"].suite.world
    assert world is not None
    make = world.tools["make"]
    assert make.description == "Tool description: make."
    assert make.parameters["properties"] == {
        "name": {"type": "string", "description": "What it says."},
        "note": {"type": "string", "default": None},
    }
    assert make.parameters["required"] == ["name"]
    assert world.tools["weigh"].parameters["properties"] == {"factor": {"type": "number", "default": 1.0}}
    assert list(world.tools["subtract"].parameters["properties"]) == ["a", "b"], "as the method takes them"
    assert not world.complaint("make", "name", 5), "the leaderboard executes what it is given"


def test_what_writes_is_found_by_playing(scenarios: dict[str, Loaded]) -> None:
    world = scenarios["Boxes.Sums/multi_turn_base_1"].suite.world
    assert world is not None
    writes = {name for name, spec in world.tools.items() if spec.writes}
    assert writes == {"enter", "make", "label"}, "entering moves a private attribute"


async def test_the_state_is_what_the_leaderboard_compares(scenarios: dict[str, Loaded]) -> None:
    loaded = scenarios["Boxes/multi_turn_base_0"]
    assert loaded.suite.world is not None
    world = await loaded.suite.world.create({"Boxes": {"boxes": ["a"], "labels": ["y", "x"]}})
    await world.call("enter", {"name": "a"})
    snapshot = await world.snapshot()
    await world.call("make", {"name": "c"})
    inner = {"name": "a", "contents": {"c": {"name": "c", "contents": {}}}}
    root = {"name": "root", "parent": None, "contents": {"a": inner}}
    assert await world.state() == {"Boxes": {"root": root, "labels": ["x", "y"], "long_context": False}}
    await world.restore(snapshot)
    assert (await world.state())["Boxes"]["root"]["contents"]["a"]["contents"] == {}
    assert (await world.call("look", {})).content == '{"boxes":[]}', "it is in a again"


async def test_answers_are_what_models_see(scenarios: dict[str, Loaded]) -> None:
    loaded = scenarios["Boxes/multi_turn_base_0"]
    assert loaded.suite.world is not None
    world = await loaded.suite.world.create({"Boxes": {"boxes": ["a"]}})
    told = await world.call("enter", {"name": "zzz"})
    assert (told.content, told.error) == ('{"error":"no box zzz"}', None), "an answer like any other"
    assert json.loads((await world.call("weigh", {})).content) == "{'weight': Decimal('1.5')}"
    crashed = await world.call("make", {"name": "crash"})
    assert (crashed.content, crashed.error) == ("RuntimeError: the lid is stuck", "RuntimeError")


def test_texts_stay_what_they_are(scenarios: dict[str, Loaded]) -> None:
    loaded = scenarios["Boxes/multi_turn_base_2"]
    instance = loaded.draw("golden", 0)
    assert [turn.user for turn in instance.turns] == ODD
    assert instance.world == {"Boxes": {"boxes": ODD, "labels": ["l"]}}
    made = [step.call for turn in instance.turns for step in turn.steps if step.call]
    assert all(equal(call.arguments["name"].equals, text) for call, text in zip(made, ODD, strict=True))  # type: ignore[union-attr]


@pytest.mark.parametrize("category", ["multi_turn_long_context", "multi_turn_miss_param"])
async def test_other_categories(package: Path, tmp_path: Path, category: str) -> None:
    for file in (QUESTIONS, ANSWERS):
        text = (package / file).read_text().replace("multi_turn_base", category)
        (package / file.replace("multi_turn_base", category)).write_text(text)
    written = import_category(str(package), category, tmp_path / "out")
    assert written.scenarios == 4
    kind = category.removeprefix("multi_turn_")
    loaded = {item.id: item for item in load([tmp_path / "out"])}[f"Boxes.Sums.{kind}/{category}_1"]
    assert loaded.scenario.turns[1].steps == [], "nothing is expected where the leaderboard has no golden calls"
    assert loaded.suite.world is not None
    state = await (await loaded.suite.world.create({"Boxes": {"boxes": []}})).state()
    assert state["Boxes"]["long_context"] is (kind == "long_context")


def test_written_twice_nothing_is_new(written: Written, package: Path, tmp_path: Path) -> None:
    assert written.new == 3 * 2 + 4
    assert import_category(str(package.parent), "multi_turn_base", tmp_path / "out").new == 0


def test_what_is_there_and_differs_is_left_alone(written: Written, package: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "Boxes" / "multi_turn_base_0.yaml").write_text("mine")
    (tmp_path / "out" / "Boxes" / "multi_turn_base_2.yaml").unlink()
    with pytest.raises(UsageError, match=r"multi_turn_base_0\.yaml is there already"):
        import_category(str(package), "multi_turn_base", tmp_path / "out")
    assert not (tmp_path / "out" / "Boxes" / "multi_turn_base_2.yaml").exists()


Break = Callable[[Path], None]
BROKEN: dict[str, tuple[Break, str, int, str]] = {
    "cut off": (lambda p: _cut(p / QUESTIONS), QUESTIONS, 4, "not JSON"),
    "no users": (lambda p: change(p / QUESTIONS, 1, question=None), QUESTIONS, 1, "question: Field required"),
    "a system message": (
        lambda p: change(p / QUESTIONS, 1, question=[[{"role": "system", "content": "x"}]]),
        QUESTIONS,
        1,
        "question.0.0.role: Input should be 'user', found 'system'",
    ),
    "twice": (lambda p: change(p / QUESTIONS, 3, id="multi_turn_base_1"), QUESTIONS, 3, "a second entry"),
    "unknown class": (
        lambda p: change(p / QUESTIONS, 2, involved_classes=["Boxs"]),
        QUESTIONS,
        2,
        "no class 'Boxs' (did you mean 'Boxes'?)",
    ),
    "configuration": (
        lambda p: change(p / QUESTIONS, 1, initial_config={"Boxes": {}}),
        QUESTIONS,
        1,
        "multi_turn_base_0: its initial_config cannot be loaded: KeyError: 'boxes'",
    ),
    "no answer": (lambda p: change(p / ANSWERS, 4, id="multi_turn_base_33"), QUESTIONS, 4, "has no golden calls"),
    "another id": (lambda p: change(p / QUESTIONS, 1, id="suite"), QUESTIONS, 1, "found 'suite'"),
    "nothing": (lambda p: change(p / ANSWERS, 1, ground_truth=[[], []]), ANSWERS, 1, "has no golden call"),
    "turns": (lambda p: change(p / ANSWERS, 1, ground_truth=[[]]), ANSWERS, 1, "has 2 turns, found golden calls of 1"),
    "no call": (
        lambda p: change(p / ANSWERS, 1, ground_truth=[["import os"], []]),
        ANSWERS,
        1,
        "ground_truth[0]: a call with constants such as",
    ),
    "unknown tool": (
        lambda p: change(p / ANSWERS, 1, ground_truth=[["look()", "lok()"], []]),
        ANSWERS,
        1,
        "ground_truth[0][1]: multi_turn_base_0: no tool 'lok' in the classes involved (did you mean 'look'?)",
    ),
    "unknown argument": (
        lambda p: change(p / ANSWERS, 1, ground_truth=[[], ["enter(nam='a')"]]),
        ANSWERS,
        1,
        "enter has no argument 'nam' (did you mean 'name'?)",
    ),
    "too few": (lambda p: change(p / ANSWERS, 1, ground_truth=[["enter()"], []]), ANSWERS, 1, "requires name"),
    "too many": (lambda p: change(p / ANSWERS, 1, ground_truth=[["look(1)"], []]), ANSWERS, 1, "takes 0 arguments"),
    "given twice": (
        lambda p: change(p / ANSWERS, 1, ground_truth=[["enter('a', name='b')"], []]),
        ANSWERS,
        1,
        "'name' is given twice",
    ),
    "crash": (
        lambda p: change(p / ANSWERS, 1, ground_truth=[["make('crash')"], []]),
        ANSWERS,
        1,
        "make failed: RuntimeError: the lid is stuck",
    ),
    "left out": (
        lambda p: change(p / QUESTIONS, 1, excluded_function=["look"]),
        ANSWERS,
        1,
        "no tool 'look' in the classes involved",
    ),
}


def _cut(file: Path) -> None:
    file.write_text(file.read_text()[:-100])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_entry_is_told_and_the_rest_imported(package: Path, tmp_path: Path, name: str) -> None:
    damage, file, line, message = BROKEN[name]
    damage(package)
    done = cli(str(package), "-o", str(tmp_path / "out"))
    assert done.return_value == ExitCode.FAIL, done
    assert "3 scenarios of multi_turn_base" in done.stdout
    (told,) = [row for row in done.stderr.splitlines() if row.startswith("  ")]
    assert told.startswith(f"  {package / file}:{line}: ")
    assert message in told
    assert len(load([tmp_path / "out"])) == 3


def test_nothing_whole_is_nothing_imported(package: Path, tmp_path: Path) -> None:
    (package / QUESTIONS).write_text("{\n")
    with pytest.raises(UsageError, match=r"(?s)nothing was imported:.*_base\.json:1: not JSON"):
        import_category(str(package), "multi_turn_base", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command(package: Path, tmp_path: Path) -> None:
    done = cli(str(package), "--category", "multi_turn_base", "-o", str(tmp_path / "out"), "--json", "-")
    assert done.return_value == ExitCode.PASS
    document = json.loads(done.stdout)
    assert (document["package"], document["version"], document["scenarios"]) == (package.name, "unknown", 4)
    assert len(document["suites"]) == 3


@pytest.mark.parametrize(
    ("origin", "category", "said"),
    [
        ("bfcl_eval_not_here", "multi_turn_base", "pip install --no-deps bfcl-eval"),
        ("json", "multi_turn_base", "not the leaderboard's"),
        (".", "multi_turn_base", "no package of the leaderboard"),
        ("json", "multi_turn_bas", "did you mean 'multi_turn_base'"),
        ("json", "multi_turn_miss_func", "supported: multi_turn_base, multi_turn_long_context, multi_turn_miss_param"),
        ("PACKAGE", "multi_turn_miss_param", "the package holds no such entries"),
    ],
)
def test_mistakes(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: str, category: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli(origin.replace("PACKAGE", str(package)), "--category", category, "-o", "out")
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_module_that_the_package_needs_is_named(package: Path, tmp_path: Path) -> None:
    (package / "envs" / "sums.py").write_text("import mpmath_that_nobody_has\n")
    with pytest.raises(UsageError, match="pip install mpmath_that_nobody_has"):
        import_category(str(package), "multi_turn_base", tmp_path / "out")


def test_another_package_than_was_imported_is_refused(written: Written, package: Path, tmp_path: Path) -> None:
    documents = package / "data" / "multi_turn_func_doc" / "boxes.json"
    documents.write_text(documents.read_text().replace("look", "peek"))
    world = tmp_path / "out" / "Boxes" / "world.py"
    world.write_text(world.read_text() + "\n")
    with pytest.raises(SuiteError, match="is not what these scenarios were made from"):
        load([tmp_path / "out" / "Boxes"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f(1, b=[2, -3.5], c={'d': None})", GoldenCall("f", (1,), {"b": [2, -3.5], "c": {"d": None}})),
        (" f() ", GoldenCall("f", (), {})),
    ],
)
def test_a_call_is_read(text: str, expected: GoldenCall) -> None:
    assert parse_call(text) == expected


@pytest.mark.parametrize(
    "text", ["f", "f(g())", "f(*a)", "f(**{'a': 1})", "a.f()", "f(x)", "f(", "", "__import__('os').exit()", "(" * 9999]
)
def test_a_call_is_never_executed(text: str) -> None:
    with pytest.raises(ValueError, match="a call with constants"):
        parse_call(text)
