import json
from pathlib import Path

import pytest

from agentkit.cli.run import _HardLimits, _left
from agentkit.errors import BudgetExhausted
from tests.cli.conftest import Cli
from tests.store.records import make_run

DOCUMENT_KEYS = {"run_id", "scenarios", "steps", "all", "golden", "off_path"}


def test_a_new_project_runs_at_once(cli: Cli) -> None:
    done = cli("run")
    assert done.returncode == 0, done.stderr
    assert "orders/cancel · golden" in done.stdout
    assert "compounded" in done.stdout


def test_the_json_document(cli: Cli, project: Path) -> None:
    assert cli("run", "--json", "out.json").returncode == 0
    document = json.loads((project / "out.json").read_text())
    assert document.keys() >= DOCUMENT_KEYS
    assert document["scenarios"][0].keys() >= {"id", "variant", "trials", "valid", "invalid", "successes"}
    assert {"golden", "in_a_hurry", "changes_mind"} == {cell["variant"] for cell in document["scenarios"]}
    assert document["steps"][0].keys() >= {
        "scenario",
        "variant",
        "step",
        "reached",
        "passed",
        "accuracy",
        "low",
        "high",
    }
    for group in ("all", "golden", "off_path"):
        assert document[group].keys() >= {"compounded", "observed", "gap", "fix_first"}
        assert document[group]["compounded"].keys() >= {"estimate", "low", "high", "method"}
    again = cli("show", "last", "--json", "-")
    assert json.loads(again.stdout) == document


@pytest.mark.slow
def test_five_steps_at_ninety_percent_compound_to_what_they_must(cli: Cli) -> None:
    done = cli("run", "--agent", "scripted:0.9", "--detours", "none", "--trials", "400", "--json", "-")
    compounded = json.loads(done.stdout)["golden"]["compounded"]
    assert compounded["low"] < 0.9**5 < compounded["high"]
    assert compounded["high"] - compounded["low"] < 0.12


def test_show_one_conversation(cli: Cli) -> None:
    cli("run")
    for name in ("1", "orders/cancel/in_a_hurry#0"):
        shown = cli("show", "last", "--trial", name)
        assert shown.returncode == 0, shown.stderr
        assert "✗ keeps_calm" in shown.stdout
        assert "found: " in shown.stdout
        assert "outcome" in shown.stdout
    whole = json.loads(cli("show", "last", "--trial", "1", "--json", "-").stdout)
    assert whole["key"]["variant"] == "in_a_hurry"


def test_several_agents_play_the_same_instances(cli: Cli) -> None:
    done = cli("run", "--agent", "scripted:1", "--agent", "my-agent", "--json", "-")
    runs = json.loads(done.stdout)["runs"]
    assert [run["agent"] for run in runs] == ["scripted:1", "my-agent"]
    assert len(json.loads(cli("runs", "--json", "-").stdout)) == 2


@pytest.fixture
def down(project: Path) -> None:
    """An agent of that name, which nobody can reach."""
    (project / "down.py").write_text("async def respond(moment):\n    raise ConnectionError('nobody is there')\n")
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[tool.agentkit.agents.down]\nkind = "function"\nfunction = "down:respond"\n')


@pytest.mark.usefixtures("down")
def test_an_unplayable_agent_gives_no_verdict(cli: Cli) -> None:
    done = cli("run", "--agent", "down")
    assert done.returncode == 3
    assert "15 invalid" in done.stdout
    listed = cli("show", "last", "--invalid")
    assert "infrastructure: ConnectionError: nobody is there" in listed.stdout


@pytest.mark.usefixtures("down")
def test_of_several_agents_the_one_that_was_not_measured_is_named(cli: Cli, project: Path) -> None:
    words = ("--trials", "1", "--detours", "none")
    done = cli("run", "--agent", "scripted:1", "--agent", "down", *words, "--json", "out.json")
    assert done.returncode == 3
    up, away = json.loads((project / "out.json").read_text())["runs"]
    assert (up["scenarios"][0]["valid"], away["agent"]) == (1, "down")
    told = f"nothing to judge: no valid trial was played of down (see: agentkit show {away['run_id']} --invalid)"
    assert told in done.stderr
    assert "scripted:1 (see" not in done.stderr
    assert "compounded" in done.stdout


def test_store_by_option_and_by_environment(cli: Cli, project: Path) -> None:
    assert cli("run", "--store", "sqlite:///one.db").returncode == 0
    assert cli("run", AGENTKIT_STORE="sqlite:///two.db").returncode == 0
    assert (project / "one.db").exists()
    assert (project / "two.db").exists()
    assert not (project / ".agentkit" / "agentkit.db").exists()
    assert cli("show", "last").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rum"], "did you mean 'run'"),
        (["run", "--agent", "my-agnet"], "did you mean 'my-agent'"),
        (["run", "--agent", "scripted:1.5"], "P from 0 to 1"),
        (["run", "--agent", "scripted:x"], "found 'x'"),
        (["run", "scenario"], "did you mean 'scenarios'"),
        (["run", "--detours", "in_a_hury"], "did you mean 'in_a_hurry'"),
        (["run", "--tag", "order"], "did you mean 'orders'"),
        (["run", "--tag", "orders", "--tag", "ordres"], "no scenario has the tag 'ordres' (did you mean 'orders'?)"),
        (["run", "--trials", "0"], "--trials"),
        (["run", "--resume", "nope"], "no run is recorded"),
        (["run", "--resume", "last", "scenarios"], "--resume takes paths"),
        (["run", "--resume", "last", "--seed", "3", "--trials", "5"], "--resume takes trials, seed"),
        (["show", "nope"], "no run is recorded"),
        (["show", "--store", "nonsense://x"], "nonsense"),
        (["run", "--json", "missing/folder/x.json"], "cannot be written"),
        (["run", "--agent", "scripted:1", "--max-calls", "-1"], "--max-calls"),
        (["new", "scenarios"], "not empty"),
        (["new", "bad name!"], "cannot be a project's name"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(cli: Cli, arguments: list[str], said: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("[tool.agentkit.agents.x]\nkind = 'chat'\ntemprature = 0", "did you mean 'temperature'"),
        ("[tool.agentkit.agents.x]\nkind = 'chatt'", "did you mean 'chat'"),
        ("[tool.agentkit.limits]\ntoken = 5", "did you mean 'tokens'"),
        ("[tool.agentkit.judge]\nmodle = 'm'", "did you mean 'model'"),
        ("[tool.agentkit.agents.x]\nkind = 'scripted'\naccuracy = 2", "accuracy"),
    ],
)
def test_a_mistake_in_the_configuration(cli: Cli, project: Path, setting: str, said: str) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write(f"\n{setting}\n")
    done = cli("run")
    assert done.returncode == 2
    assert "pyproject.toml" in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("my_agent:respnd", "did you mean 'respond'"),
        ("my_agnt:respond", "importing my_agnt failed"),
        ("my_agent", "expected `module:name`"),
        ("json:dumps", "not an `async def` function"),
    ],
)
def test_an_agent_that_cannot_be_imported(cli: Cli, project: Path, function: str, said: str) -> None:
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace("my_agent:respond", function))
    done = cli("run")
    assert done.returncode == 2
    assert said in done.stderr


def test_hostile_text_on_the_terminal_is_inert(cli: Cli, project: Path) -> None:
    (project / "my_agent.py").write_text(
        "async def respond(moment):\n    return '\\x1b[2J\\x1b]0;gone\\x07 \\u202e[red]hi'\n"
    )
    assert cli("run").returncode == 0
    shown = cli("show", "last", "--trial", "0").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\x1b[2J" in shown
    assert "[red]hi" in shown


@pytest.mark.slow
def test_a_hard_limit_stops_cleanly_and_the_run_goes_on_later(cli: Cli) -> None:
    stopped = cli("run", "--max-calls", "12", "--json", "-")
    assert stopped.returncode == 0, stopped.stderr
    document = json.loads(stopped.stdout)
    assert document["status"] == "stopped"
    assert document["spent"]["calls"] == 12
    assert 0 < sum(cell["trials"] for cell in document["scenarios"]) < document["planned"] == 15
    same = cli("run", "--resume", "last", "--max-calls", "12", "--json", "-")
    assert json.loads(same.stdout)["spent"]["calls"] == 12
    whole = json.loads(cli("run", "--resume", "last", "--json", "-").stdout)
    assert whole["status"] == "finished"
    undisturbed = json.loads(cli("run", "--json", "-").stdout)
    assert whole["steps"] == undisturbed["steps"]
    assert whole["all"] == undisturbed["all"]


@pytest.mark.parametrize(
    ("agents", "limit", "played", "not_played"),
    [
        (("my-agent", "second", "third"), "7", [("finished", 4), ("stopped", 3)], ["third"]),
        (("my-agent", "second"), "4", [("finished", 4)], ["second"]),
        (("my-agent", "second"), "8", [("finished", 4), ("finished", 4)], []),
        (("scripted:1", "scripted:0.5"), "0", [("finished", 0), ("finished", 0)], []),
    ],
)
def test_a_hard_limit_holds_for_all_agents_together(
    cli: Cli, project: Path, agents: tuple[str, ...], limit: str, played: list[tuple[str, int]], not_played: list[str]
) -> None:
    with (project / "pyproject.toml").open("a") as file:
        for name in ("second", "third"):
            file.write(f'\n[tool.agentkit.agents.{name}]\nkind = "function"\nfunction = "my_agent:respond"\n')
    named = [word for name in agents for word in ("--agent", name)]
    words = ("--trials", "2", "--detours", "none", "--concurrency", "1", "--max-calls", limit, "--json", "-")
    done = cli("run", *named, *words)
    assert done.returncode == (3 if not_played else 0), done.stderr
    document = json.loads(done.stdout)
    assert [(it["status"], it["spent"]["calls"]) for it in document["runs"]] == played
    assert document["not_played"] == not_played
    assert len(json.loads(cli("runs", "--json", "-").stdout)) == len(played)
    if not_played:
        assert f"not played: {not_played[0]}: the limit of {limit} model calls is reached" in done.stderr


def test_what_runs_leave_of_a_limit_on_cost() -> None:
    free, dear = (make_run(spent={"calls": 3, "cost": cost}) for cost in (0.0, 0.75))
    unpriced = make_run(spent={"calls": 3, "cost": 0.0, "unpriced": 1})
    limits = _HardLimits(None, 1.0)
    assert _left(limits, []) == limits
    assert _left(limits, [free, dear]) == _HardLimits(None, 0.25)
    with pytest.raises(BudgetExhausted, match=r"\$1 is reached: \$1.5000 spent"):
        _left(limits, [dear, dear])
    with pytest.raises(BudgetExhausted, match="can no longer be enforced"):
        _left(limits, [unpriced])


def test_a_limit_that_cannot_be_enforced_is_refused(cli: Cli) -> None:
    done = cli("run", "--max-cost", "1")
    assert done.returncode == 2
    assert "max_cost cannot be enforced" in done.stderr
