"""A scenario's own detours use the catalogue: placed, worded and expected in its own file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agentkit.errors import UsageError
from agentkit.scenario import Detour, Loaded, Scenario
from agentkit.scenario.detours import CATALOGUE
from agentkit.scenario.document import parse
from agentkit.scenario.schema import scenario_schema
from tests.scenario.scenario_files import REFUND, load_refund, problems_of, write_suite

USES = """\
  - id: bad_day
    disturb:
      - {use: tool:timeout, tools: [refund], times: 2, intensity: 0.9}
      - {use: user:side_question, at: agree, says: ["Are you open on {{ bought }}?"]}
      - {use: model:refusal}
    void: [quiet]
    replaces:
      - {id: confirm, reply: {mentions: [finally]}}
"""
WITH_USES = REFUND + USES
SCHEMA = Draft202012Validator(scenario_schema())


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return load_refund(tmp_path, WITH_USES)


def test_the_golden_path_is_played_under_the_disturbance(loaded: Loaded) -> None:
    assert loaded.variants == ("golden", "poetry", "gives_up", "walks_out", "bad_day")
    found = loaded.disturbed("bad_day", 3)
    assert [detour.id for detour in found.detours] == ["tool:timeout", "user:side_question", "model:refusal"]
    timeout = found.detours[0]
    assert timeout.model_dump() == {"intensity": 0.9, "times": 2, "tools": ("refund",)}
    assert [turn.id for turn in found.undisturbed.turns] == ["ask", "agree", "bye"]
    assert [turn.detour for turn in found.instance.turns] == [None, "user:side_question", None, None]
    assert found.instance.turns[1].user == f"Are you open on {found.instance.variables['bought']}?"
    assert [(step.id, why) for step, why in found.instance.void] == [
        ("quiet", "no longer due after the detour 'bad_day'")
    ]
    confirm = next(step for turn in found.instance.turns for step in turn.steps if step.id == "confirm")
    assert confirm.reply is not None
    assert confirm.reply.mentions == ["finally"]


def test_more_may_come_on_top(loaded: Loaded) -> None:
    more = loaded.disturbed("bad_day+tool:error@0.5", 3)
    assert [detour.id for detour in more.detours][-1] == "tool:error"
    assert more.instance.variant == "bad_day+tool:error@0.5"
    told_again = loaded.disturbed("bad_day+user:side_question@1", 3)
    assert told_again.instance.turns == loaded.disturbed("bad_day", 3).instance.turns
    with pytest.raises(UsageError, match="tool:timeout twice in one conversation"):
        loaded.disturbed("bad_day+tool:timeout@0.5", 3)
    with pytest.raises(UsageError, match="tool:error twice"):
        loaded.disturbed("tool:error@1+tool:error@0.5", 3)


def test_a_detour_may_leave_the_path_and_be_disturbed(tmp_path: Path) -> None:
    both = REFUND.replace("    rejoins: end\n", "    rejoins: end\n    disturb: [{use: tool:error}]\n")
    found = load_refund(tmp_path, both).disturbed("walks_out", 0)
    assert [turn.id for turn in found.instance.turns] == ["out"]
    assert [detour.id for detour in found.detours] == ["tool:error"]


BROKEN = {
    "unknown use": ("tool:timeout", "tool:timout", "[0].use", "(did you mean 'tool:timeout'?)"),
    "an intensity after an @": ("model:refusal", '"model:refusal@1"', "[2].use", "(did you mean 'model:refusal'?)"),
    "no use": ("{use: model:refusal}", "{intensity: 1}", "[2].use", "the key 'use' is required, and missing"),
    "a use that is no text": ("model:refusal", "4", "[2].use", "expected text, found the number 4"),
    "no mapping": ("{use: model:refusal}", "model:refusal", "[2]", "expected a mapping, found the text"),
    "unknown parameter": ("times: 2", "time: 2", "[0].time", "unknown key 'time' (did you mean 'times'?)"),
    "a parameter of another": ("model:refusal", "model:refusal, at: ask", "[2].at", "unknown key 'at'"),
    "unknown tool": ("tools: [refund]", "tools: [refnd]", "[0].tools[0]", "no tool 'refnd' (did you mean 'refund'?)"),
    "a tool that is no text": ("tools: [refund]", "tools: [7]", "[0].tools[0]", "expected text, found the number 7"),
    "a tool that cannot suit": (
        "tool:timeout, tools: [refund]",
        "tool:not_done, tools: [lookup_sale]",
        "[0].tools[0]",
        "tool:not_done needs a tool that changes something, and lookup_sale changes nothing",
    ),
    "too intense": (
        "intensity: 0.9",
        "intensity: 1.5",
        "[0].intensity",
        "less than or equal to 1, found the number 1.5",
    ),
    "an intensity that is no number": ("0.9", "'0.9'", "[0].intensity", "expected a number, found the text '0.9'"),
    "never": ("times: 2", "times: 0", "[0].times", "greater than or equal to 1, found the number 0"),
    "for good": (
        "times: 2",
        "times: 4",
        "[0].times",
        "4 times in a row is more than an agent is expected to outlast (3)",
    ),
    "unknown turn": ("at: agree", "at: agre", "[1].at", "no golden turn 'agre' (did you mean 'agree'?)"),
    "twice": ("model:refusal", "tool:timeout", "[2].use", "a second 'tool:timeout' in one detour"),
    "undefined variable": ("{{ bought }}", "{{ bougt }}", "[1].says[0]", "(did you mean 'bought'?)"),
}


@pytest.mark.parametrize(("old", "new", "place", "message"), BROKEN.values(), ids=BROKEN)
def test_mistakes_are_told_with_their_line(tmp_path: Path, old: str, new: str, place: str, message: str) -> None:
    assert USES.count(old) == 1
    found = problems_of(write_suite(tmp_path / "shop", {"refund.yaml": REFUND + USES.replace(old, new)}))
    assert [problem.field for problem in found] == [f"detours[3].disturb{place}"]
    assert message in found[0].message
    assert found[0].line == REFUND.count("\n") + USES.count("\n", 0, USES.index(old)) + 1


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = WITH_USES
    for old, new, _, _ in (BROKEN["unknown parameter"], BROKEN["unknown tool"], BROKEN["unknown turn"]):
        text = text.replace(old, new)
    text = text.replace("model:refusal", "modl:refusal").replace("{mentions: [finally]}", "{mentions: 4}")
    found = problems_of(write_suite(tmp_path / "shop", {"refund.yaml": text}))
    assert len(found) == 5


WAYS = {
    "neither way nor disturbance": ("", "leaves, turns, rejoins are required, and missing (or `disturb`"),
    "an empty disturbance": ("    disturb: []\n", "at least one is expected, found none"),
    "leaves alone": ("    leaves: ask\n    disturb: [{use: tool:error}]\n", "the key 'turns' is required, and missing"),
    "rejoins alone": ("    rejoins: end\n    disturb: [{use: tool:error}]\n", "the key 'leaves' is required, and"),
}


@pytest.mark.parametrize(("lines", "message"), WAYS.values(), ids=WAYS)
def test_the_way_is_told_as_a_whole_or_not_at_all(tmp_path: Path, lines: str, message: str) -> None:
    text = REFUND + "  - id: lost\n" + lines
    found = problems_of(write_suite(tmp_path / "shop", {"refund.yaml": text}))
    assert any(message in problem.message for problem in found)
    assert all(problem.field.startswith("detours[3]") for problem in found)
    document, _ = parse(text, "f")
    assert document is not None
    assert not SCHEMA.is_valid(document.data)


def test_what_withholds_for_good_has_its_own_outcome(tmp_path: Path) -> None:
    use = "  - {id: down, disturb: [{use: tool:error, times: 9}], outcome: [{id: none, state: {refunds: []}}]}\n"
    assert load_refund(tmp_path, REFUND + use).disturbed("down", 0).detours
    harmless = "  - {id: doubled, disturb: [{use: tool:duplicate, times: 9}]}\n"  # the facts are all there
    assert load_refund(tmp_path, REFUND + harmless).disturbed("doubled", 0).detours


def test_a_detour_that_finds_no_place_is_told(tmp_path: Path) -> None:
    world = "def look(state: dict[str, int]) -> int:\n    return 1\nTOOLS = [look]\n"
    world = "from agentkit import tool\n@tool(writes=False)\n" + world
    text = "title: T\nturns: [{id: t, user: Hi., steps: [{id: s, call: {name: look}}]}]\n"
    text += "outcome: [{id: o, no_call: [look]}]\n"
    text += "detours: [{id: d, disturb: [{use: tool:not_done}]}]\n"
    (problem,) = problems_of(write_suite(tmp_path / "shop", {"s.yaml": text}, world=world))
    assert problem.field == "detours[0].disturb[0]"
    assert "tool:not_done finds no place here: it has no tool that changes something" in problem.message


def test_the_schema_knows_every_entry_and_its_parameters() -> None:
    document, _ = parse(WITH_USES, "f")
    assert document is not None
    SCHEMA.validate(document.data)
    for name in CATALOGUE:
        document.data["detours"][3]["disturb"] = [{"use": name, "intensity": 0.5}]
        SCHEMA.validate(document.data)
    beyond = ("unknown tool", "a tool that cannot suit", "for good", "unknown turn", "twice", "undefined variable")
    for case, (old, new, _, _) in BROKEN.items():
        broken, _ = parse(REFUND + USES.replace(old, new), "f")
        assert broken is not None
        assert SCHEMA.is_valid(broken.data) is (case in beyond), case


def test_python_may_do_the_same(tmp_path: Path) -> None:
    source = (
        "from agentkit.scenario import Check, Detour, Scenario, Step, Turn, Use\n"
        "TURN = Turn(id='t', user='Hi.', steps=[Step(id='q', no_call='any')])\n"
        "SCENARIOS = [Scenario(id='s', title='S', turns=[TURN],\n"
        "    outcome=[Check(id='o', no_call=['refund'])],\n"
        "    detours=[Detour(id='d', disturb=[Use(use='USE', tools=['refund'])])])]\n"
    )
    folder = write_suite(tmp_path / "shop", {"more_scenarios.py": source.replace("USE'", "tool:error'")})
    from agentkit.scenario import load

    assert load([folder])[0].disturbed("d", 0).detours[0].id == "tool:error"
    write_suite(folder, {"more_scenarios.py": source.replace("USE'", "tool:eror'")})
    (problem,) = problems_of(folder)
    assert problem.field == "SCENARIOS[0].detours[0].disturb[0].use"
    assert Detour(id="d").disturb is None
    assert "disturb" in Scenario.model_json_schema()["$defs"]["Detour"]["properties"]


@pytest.mark.slow
def test_without_a_use_the_catalogue_is_not_even_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from agentkit.scenario import load; load([Path(sys.argv[1])]);"
        "print([m for m in ('agentkit.scenario.detours', 'httpx', 'torch', 'langgraph') if m in sys.modules])"
    )

    def heavy(text: str) -> str:
        folder = write_suite(tmp_path / "shop", {"refund.yaml": text})
        ran = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    assert heavy(REFUND) == "[]"
    assert heavy(WITH_USES) == "['agentkit.scenario.detours']"
