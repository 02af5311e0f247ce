"""Finding scenarios, giving them ids and hashes, and loading them lightly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agentkit.errors import SuiteError
from agentkit.scenario import load
from tests.scenario.scenario_files import REFUND, SUITE, WORLD, load_refund, problems_of, write_suite

PYTHON = """\
from agentkit.scenario import Call, Check, Choice, Detour, Reply, Scenario, Step, Turn

SCENARIOS = [
    Scenario(
        id="from_python",
        title="Look up",
        variables={"sale_id": Choice(choice=["S-1", "S-2"])},
        world={"sales": {"{{ sale_id }}": {"price": 1}}},
        turns=[
            Turn(
                id="ask",
                user="Find {{ sale_id }}",
                steps=[Step(id="look", call=Call(name="lookup_sale", arguments={"sale_id": "{{ sale_id }}"}))],
            )
        ],
        outcome=[Check(id="said", reply=Reply(mentions=["{{ sale_id }}"]))],
    )
]
"""


OWN_CLASSES = """\
from __future__ import annotations
from dataclasses import dataclass


@dataclass
class Shop:
    sales: dict


def initial_state(state):
    return Shop(**state)


def lookup_sale(shop: Shop, sale_id: str):
    shop.sales.clear()


def refund(shop: Shop, sale_id: str, amount: float):
    pass


TOOLS = [lookup_sale, refund]
"""


def test_ids_are_paths_below_the_suite_wherever_loading_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_suite(tmp_path / "all" / "shop")
    (folder / "deep").mkdir()
    (folder / "deep" / "again.yml").write_text(REFUND)
    expected = ["shop/deep/again", "shop/refund"]
    assert [loaded.id for loaded in load([tmp_path])] == expected
    assert [loaded.id for loaded in load([folder])] == expected
    assert [loaded.id for loaded in load([folder / "deep", folder / "refund.yaml"])] == expected
    monkeypatch.chdir(folder)
    assert [loaded.id for loaded in load([Path(".")])] == expected
    assert [loaded.id for loaded in load([Path("../shop/refund.yaml")])] == expected[1:]


def test_a_scenario_without_a_suite_is_named_below_the_folder_given(tmp_path: Path) -> None:
    turns = "turns: [{id: a, user: Hi, steps: [{id: s, reply: {asks: true}}]}]"
    talk = f"title: Talk\n{turns}\noutcome: [{{id: o, no_call: [f]}}]\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "talk.yaml").write_text(talk.replace("no_call: [f]", "reply: {asks: true}"))
    (loaded,) = load([tmp_path])
    assert (loaded.id, loaded.suite.world, loaded.suite.policy) == ("a/talk", None, "")
    (tmp_path / "a" / "talk.yaml").write_text(talk)
    assert "the suite has no world" in problems_of(tmp_path)[0].message


def test_what_a_suite_gives_its_scenarios(tmp_path: Path) -> None:
    loaded = load_refund(tmp_path)
    assert loaded.variants == ("golden", "poetry", "gives_up", "walks_out")
    assert loaded.scenario.tags == ["shop", "money"]
    assert loaded.scenario.agent == "clerk"
    assert loaded.suite.title == "Shop"
    assert loaded.suite.policy == "Be kind.\n"
    assert loaded.suite.world is not None
    assert set(loaded.suite.world.tools) == {"lookup_sale", "refund"}


def test_one_file_named_twice_is_one_scenario(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop")
    assert len(load([folder, tmp_path, folder / "refund.yaml"])) == 1


def test_two_files_of_one_id(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop", {"refund.yaml": REFUND, "refund.yml": REFUND})
    (problem,) = problems_of(folder)
    assert problem.message == f"the id 'shop/refund' is also that of {folder / 'refund.yaml'}"


def test_a_suite_file_of_another_name(tmp_path: Path) -> None:
    write_suite(tmp_path / "shop")
    (tmp_path / "shop" / "suite.yml").write_text(SUITE)
    assert "a suite's file is named suite.yaml" in problems_of(tmp_path)[0].message


async def test_two_suites_may_each_have_a_world(tmp_path: Path) -> None:
    other = WORLD.replace('return state["sales"][sale_id]', 'return "other"')
    write_suite(tmp_path / "a")
    write_suite(tmp_path / "b", world=other)
    one, two = load([tmp_path])
    answers = []
    for loaded in (one, two):
        instance = loaded.draw("golden", 1)
        assert loaded.suite.world is not None
        world = await loaded.suite.world.create(instance.world)
        answers.append((await world.call("lookup_sale", {"sale_id": instance.variables["sale_id"]})).content)
    assert answers[0].startswith('{"price"')
    assert answers[1] == '"other"'
    assert "world" not in sys.modules


async def test_two_suites_of_the_same_world_share_no_globals(tmp_path: Path) -> None:
    counting = WORLD.replace("TOOLS =", "CALLS: list[int] = []\n\n\nTOOLS =").replace(
        'return state["sales"][sale_id]', "CALLS.append(1)\n    return len(CALLS)"
    )
    write_suite(tmp_path / "a", world=counting)
    write_suite(tmp_path / "b", world=counting)
    counts = []
    for loaded in load([tmp_path]):
        assert loaded.suite.world is not None
        world = await loaded.suite.world.create({})
        counts.append((await world.call("lookup_sale", {"sale_id": "S-1"})).content)
    assert counts == ["1", "1"]


async def test_a_world_may_keep_its_state_in_its_own_classes(tmp_path: Path) -> None:
    (loaded,) = load([write_suite(tmp_path / "shop", world=OWN_CLASSES)])
    assert loaded.suite.world is not None
    one = await loaded.suite.world.create(loaded.draw("golden", 1).world)
    frozen = await one.snapshot()
    (again,) = load([tmp_path])
    assert again.suite.world is not None
    two = await again.suite.world.create({"sales": {}})
    await two.restore(frozen)
    assert await two.state() == await one.state() != {"sales": {}}


def test_an_edited_world_is_loaded_anew(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop")
    before = load([folder])[0]
    (folder / "world.py").write_text(WORLD.replace("Look up a sale by", "Find a sale by"))
    after = load([folder])[0]
    assert before.suite.world is not None
    assert after.suite.world is not None
    assert before.suite.world.tools["lookup_sale"].description.startswith("Look up")
    assert after.suite.world.tools["lookup_sale"].description.startswith("Find")


def test_a_hash_is_of_everything_that_makes_a_scenario(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop")
    rows = folder / "rows.csv"
    rows.write_text("note\nx\n")
    (folder / "refund.yaml").write_text(REFUND.replace("persona:", "rows: {file: rows.csv}\npersona:"))

    def now() -> str:
        return load([folder])[0].hash

    hashes = [now()]
    assert now() == hashes[0]
    (folder / "refund.yaml").write_text("# a comment\n" + (folder / "refund.yaml").read_text())
    assert now() == hashes[0]
    for path, old, new in (
        (folder / "refund.yaml", "Bye.", "Bye!"),
        (folder / "world.py", "Pay a sale back", "Pay back"),
        (folder / "policy.md", "kind", "strict"),
        (rows, "x", "y"),
    ):
        path.write_text(path.read_text().replace(old, new))
        hashes.append(now())
    assert len(set(hashes)) == 5


def test_python_scenarios_are_scenarios(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop", {"more_scenarios.py": PYTHON})
    (loaded,) = load([folder])
    assert (loaded.id, loaded.variants) == ("shop/from_python", ("golden",))
    instance = loaded.draw("golden", 3)
    assert instance.turns[0].user == f"Find {instance.variables['sale_id']}"
    assert load([folder / "more_scenarios.py"])[0].hash == loaded.hash


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ('id="from_python",', "", "SCENARIOS[0].id", "states its id"),
        (
            'name="lookup_sale"',
            'name="lookup"',
            "SCENARIOS[0].turns[0].steps[0].call.name",
            "(did you mean 'lookup_sale'?)",
        ),
        ("Find {{ sale_id }}", "Find {{ sale }}", "SCENARIOS[0].turns[0].user", "undefined variable 'sale'"),
        ("SCENARIOS = [", "SCENARIO = [", "SCENARIOS", "must define SCENARIOS"),
        ("SCENARIOS = [", "SCENARIOS = [3,", "SCENARIOS[0]", "a Scenario is expected, found a int"),
        ('title="Look up",', 'titel="Look up",', "", "Scenario.titel: unknown key 'titel' (did you mean 'title'?)"),
        ("Detour, ", "Detours, ", "", "cannot be imported: ImportError"),
    ],
)
def test_python_scenarios_that_are_wrong(tmp_path: Path, old: str, new: str, field: str, message: str) -> None:
    folder = write_suite(tmp_path / "shop", {"more_scenarios.py": PYTHON.replace(old, new)})
    problem = problems_of(folder)[0]
    assert (Path(problem.file).name, problem.field) == ("more_scenarios.py", field)
    assert message in problem.message
    assert "pydantic.dev" not in str(problem)


def test_hidden_folders_and_caches_are_left_alone(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "shop")
    for name in (".hidden", "__pycache__"):
        (folder / name).mkdir()
        (folder / name / "broken.yaml").write_text("[")
    (folder / ".draft.yaml").write_text("[")
    assert len(load([folder])) == 1


def test_the_garbage_collector_is_as_it_was(tmp_path: Path) -> None:
    import gc

    for _ in range(2):
        with pytest.raises(SuiteError):
            load([tmp_path / "nowhere"])
        assert gc.isenabled()


@pytest.mark.slow
def test_importing_and_loading_stay_light(tmp_path: Path) -> None:
    """What a scenario does not use is not imported: no faker, jsonschema or template engine for a plain one."""
    plain = REFUND.replace("  customer: {fake: name}\n", "  customer: {choice: [Ann, Bo]}\n").replace(
        " | date('%d %B %Y')", ""
    )
    folder = write_suite(tmp_path / "shop", {"refund.yaml": plain})
    program = (
        "import sys; from pathlib import Path; import agentkit.scenario as s\n"
        "heavy = {'faker', 'jsonschema', 'jinja2', 'httpx', 'langgraph', 'sqlalchemy', 'scipy', 'numpy'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
        "s.load([Path(sys.argv[1])])[0].draw('golden', 1)\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": root},
    )
    assert done.stdout.splitlines() == ["[]", "['jinja2']"]


def test_everything_exported_exists() -> None:
    import agentkit.scenario as package

    assert sorted(package.__all__) == package.__all__
    assert all(hasattr(package, name) for name in package.__all__)
