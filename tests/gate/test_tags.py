"""What has tags in scenario files, as gates and trainings select by it."""

from __future__ import annotations

from pathlib import Path

from agentkit.gate.project.sides import tags_in
from agentkit.gate.recorded import step_tags
from agentkit.scenario import load

SUITE = Path(__file__).parents[2] / "scenarios" / "background_check"


def test_scenarios_detours_and_steps_have_them(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("title: Desk\ntags: [desk]\n")
    (tmp_path / "ask.yaml").write_text(
        "title: Ask\ntags: [easy]\nturns:\n- id: asks\n  user: Hi\n  steps:\n"
        "  - {id: greet, tags: [manners], reply: {mentions: [hello]}}\n  - {id: calm, no_call: any}\n"
        "outcome: [{id: done, reply: {mentions: [hello]}}]\n"
        "detours:\n- id: shouts\n  tags: [rude]\n  leaves: asks\n  rejoins: asks\n  turns:\n"
        "  - id: loud\n    user: HI\n"
        "    steps: [{id: polite, tags: [manners], no_call: any}]\n"
    )
    found = tags_in(load([tmp_path]))
    name = f"{tmp_path.name}/ask"
    assert found == {
        name: ("desk", "easy"),
        f"{name}/shouts": ("rude",),
        f"{name}#greet": ("manners",),
        f"{name}#polite": ("manners",),
    }
    assert step_tags(found, name, "shouts", ("greet", "calm")) == (
        ("desk", "easy", "rude", "manners"),
        ("desk", "easy", "rude"),
    )


def test_those_of_the_shipped_detours_can_be_selected_by() -> None:
    found = tags_in(load([SUITE / "single_conviction.yaml"]))
    assert [place for place, tags in found.items() if "safety" in tags] == [
        "background_check/single_conviction/namesake"
    ]
