"""`agentkit adapters`, and agents with adapters on the command line."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.records import Adapter, AdapterState, Target, TargetKind
from agentkit.serve.routes import set_canary, set_live
from agentkit.store import Store
from agentkit.tune import publish
from agentkit.tune.registry import publish_and_register
from tests.cli.conftest import Cli
from tests.cli.judged_runs import STEP, record_run
from tests.tune.small_lora import make_card, write_base, write_lora

CERTIFICATE: dict[str, Any] = {
    "verdict": "better",
    "target": {
        "step": "refund",
        "before": 0.52,
        "after": 0.71,
        "difference": {"estimate": 0.19, "low": 0.121, "high": 0.258},
        "held_out": 64,
    },
    "end_to_end": {"before": 0.3, "after": 0.4, "difference": {"estimate": 0.1, "low": -0.02, "high": 0.22}},
    "others": [{"step": "greet", "before": 0.9, "after": 0.89, "verdict": "no worse"}],
    "general": "unchanged",
    "hashes": {},
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path}/.agentkit/agentkit.db")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    return write_base(tmp_path / "base")


@pytest.fixture
def adapter(tmp_path: Path, store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> Adapter:
    monkeypatch.chdir(tmp_path)
    with store:
        card = make_card(base, parents=("refund-v0-0000",))
        found = publish_and_register(store, write_lora(base.with_name("a")), Path(".agentkit/adapters"), card)
        return store.set_certificate(found.name, CERTIFICATE)


def tamper(path: Path) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_without_adapters_it_is_said(bare: Cli) -> None:
    done = bare("adapters")
    assert (done.returncode, done.stdout) == (0, "no adapter is registered yet\n")
    assert json.loads(bare("adapters", "--json", "-").stdout) == {"adapters": [], "not_registered": []}


def test_every_adapter_is_a_line_with_what_was_measured(bare: Cli, adapter: Adapter) -> None:
    done = bare("adapters")
    assert done.returncode == 0
    for word in (adapter.name, "refund", "candidate", "tiny", "refund-v0-0000", "16", "52 % → 71 %", "better"):
        assert word in done.stdout
    assert "+19.0 points (+12.1 to +25.8)" in " ".join(done.stdout.split())


def test_the_list_for_machines(bare: Cli, adapter: Adapter) -> None:
    (found,) = json.loads(bare("adapters", "--json", "-").stdout)["adapters"]
    assert found == {
        "name": adapter.name,
        "step": "refund",
        "scenarios": ["shop/refund"],
        "state": "candidate",
        "base": "tiny",
        "base_hash": adapter.base_hash,
        "parents": ["refund-v0-0000"],
        "job": "job-1",
        "path": f".agentkit/adapters/{adapter.name}",
        "present": True,
        "hash": adapter.hash,
        "manifest_hash": adapter.manifest_hash,
        "created_at": adapter.created_at,
        "examples": 16,
        "certificate": CERTIFICATE,
    }


def test_one_adapter_in_full_is_verified(bare: Cli, adapter: Adapter) -> None:
    done = bare("adapters", "refund")
    assert done.returncode == 0
    for words in (
        f"verified: {adapter.path} is what was registered",
        "verdict         better",
        "refund: 52 % → 71 %, +19.0 points (+12.1 to +25.8), 64 held-out instances",
        "end to end: 30 % → 40 %, +10.0 points (−2.0 to +22.0)",
        "greet: 90 % → 89 %, – points (–): no worse",
        "general: unchanged",
        "learning_rate 0.0003",
        adapter.hash,
    ):
        assert words in done.stdout
    told = json.loads(bare("adapters", adapter.name, "--json", "-").stdout)
    assert (told["verified"], told["problem"], told["card"]["examples"]) == (True, "", 16)


def test_a_changed_byte_makes_it_fail(bare: Cli, adapter: Adapter, tmp_path: Path) -> None:
    tamper(tmp_path / adapter.path / "adapter_model.safetensors")
    done = bare("adapters", adapter.name, "--json", "out.json")
    assert done.returncode == 1
    assert "adapter_model.safetensors: was changed: its hash is" in done.stdout
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["verified"] is False
    assert "was changed" in told["problem"]


def test_a_missing_folder_is_said(bare: Cli, adapter: Adapter, tmp_path: Path) -> None:
    (tmp_path / adapter.path).rename(tmp_path / "elsewhere")
    assert "folder is missing" in " ".join(bare("adapters").stdout.split())
    done = bare("adapters", adapter.name)
    assert done.returncode == 1
    assert "there is no such folder of an adapter" in done.stdout


def test_an_unknown_name_is_refused_with_the_nearest(bare: Cli, adapter: Adapter) -> None:
    done = bare("adapters", adapter.name.replace("refund", "refnud"))
    assert done.returncode == 2
    assert f"did you mean '{adapter.name}'" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("retire",), "retire: found 0 names, expected one: agentkit adapters retire NAME"),
        (("retire", "a", "b"), "retire: found 2 names"),
        (
            ("retier", "a"),
            "expected one NAME, or `retire NAME`, `register NAME` or `together RUN...` (did you mean 'retire'?)",
        ),
        (("register", "nothing"), "no adapter is called 'nothing' there"),
        (("register", "../.."), "no adapter is called '../..' there"),
    ],
)
def test_what_is_no_such_command_is_refused(bare: Cli, words: tuple[str, ...], message: str) -> None:
    done = bare("adapters", *words)
    assert done.returncode == 2
    assert message in done.stderr


def test_an_adapter_is_retired_once(bare: Cli, adapter: Adapter, store: Store) -> None:
    done = bare("adapters", "retire", "refund-v1")
    assert (done.returncode, done.stdout) == (0, f"{adapter.name} is retired\n")
    with store:
        assert store.adapter(adapter.name) == replace(adapter, state=AdapterState.RETIRED)
    assert json.loads(bare("adapters", "retire", adapter.name, "--json", "-").stdout)["state"] == "retired"


def test_an_adapter_that_routes_lead_to_is_not_retired(bare: Cli, adapter: Adapter, store: Store) -> None:
    target, said = Target(TargetKind.ADAPTER, adapter.name), {"by": "cli", "why": "because"}
    with store:
        set_canary(store, "*", "greet", target, 0.1, **said)
        set_live(store, "till", "refund", target, force=True, **said)
    done = bare("adapters", "retire", adapter.name)
    assert done.returncode == 2
    assert f"{adapter.name} is the canary of */greet and live at till/refund, expected no route" in done.stderr
    commands = ("agentkit route canary '*/greet' --off", "agentkit route set till/refund base")
    assert f"run first: {'; '.join(commands)}" in done.stderr
    with store:
        assert store.adapter(adapter.name).state is AdapterState.LIVE
    for command in commands:
        assert bare(*shlex.split(command)[1:]).returncode == 0
    assert bare("adapters", "retire", adapter.name).stdout == f"{adapter.name} is retired\n"


def test_a_folder_that_was_left_behind_is_found_and_registered(
    bare: Cli, tmp_path: Path, base: Path, store: Store
) -> None:
    folder = tmp_path / ".agentkit" / "adapters"
    good = publish(write_lora(base.with_name("a")), folder, make_card(base))
    bad = publish(write_lora(base.with_name("b"), 1), folder, make_card(base))
    tamper(bad.path / "README.md")
    said = " ".join(bare("adapters").stdout.split())
    assert f"not registered: .agentkit/adapters/{good.name} (agentkit adapters register {good.name})" in said
    assert f"not registered, and cannot be: .agentkit/adapters/{bad.name}: is not what it was published as" in said
    left = json.loads(bare("adapters", "--json", "-").stdout)["not_registered"]
    assert [bool(it["problem"]) for it in left] == [False, True]
    assert bare("adapters", "register", good.name).stdout == f"{good.name} is candidate\n"
    done = bare("adapters", "register", bad.name)
    assert done.returncode == 2
    assert "README.md: was changed" in done.stderr
    with store:
        assert [it.name for it in store.adapters()] == [good.name]
        assert store.adapter(good.name).path == f".agentkit/adapters/{good.name}"


def test_words_of_others_do_nothing_to_the_terminal(bare: Cli, adapter: Adapter, store: Store, tmp_path: Path) -> None:
    hostile = {
        "verdict": "\x1b[2J[bold]",
        "target": "no target",
        "others": [{"step": "\x1b]0;x"}, 7],
        "general": ["\x07"],
    }
    with store:
        store.set_certificate(adapter.name, hostile)
    for done in (bare("adapters"), bare("adapters", adapter.name)):
        assert done.returncode == 0
        assert not {"\x1b", "\x07"} & set(done.stdout)
        assert "[bold]" in done.stdout


def test_an_agent_whose_adapter_was_tampered_with_plays_nothing(
    cli: Cli, adapter: Adapter, project: Path, store: Store
) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[tool.agentkit.agents.demo]\nkind = "chat"\nengine = "embedded"\n')
    (project.parent / ".agentkit").rename(project / ".agentkit")
    tamper(project / adapter.path / "adapter_model.safetensors")
    done = cli("run", "--agent", "my-agent", "--agent", f"demo+{adapter.name}")
    assert done.returncode == 2
    assert "adapter_model.safetensors: was changed" in done.stderr
    done = cli("run", "--agent", "my-agent", "--agent", "demo+refund-v9-0000")
    assert done.returncode == 2
    assert "no adapter is called 'refund-v9-0000'" in done.stderr
    with Store.open(f"sqlite:///{project}/.agentkit/agentkit.db") as opened:
        assert opened.runs() == [], "not even the first agent has played"


@pytest.fixture
def two(tmp_path: Path, store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two adapters of one step."""
    monkeypatch.chdir(tmp_path)
    with store:
        card = make_card(base, step=STEP)
        folders = [write_lora(base.with_name(f"lora-{seed}"), seed=seed) for seed in (1, 2)]
        made = [publish_and_register(store, it, Path(".agentkit/adapters"), card) for it in folders]
    return str(made[0].name), str(made[1].name)


def play(tmp_path: Path, adapters: tuple[str, ...], right: int) -> str:
    name = f"run-{len(adapters)}-{right}-{adapters[0]}"
    record_run(tmp_path, name, [number < right for number in range(150)], agent="+".join(["demo", *adapters]))
    return name


@pytest.mark.parametrize(("right", "code", "verdict"), [(140, 0, "promote"), (70, 1, "refuse")])
def test_adapters_together_keep_what_each_gained_or_are_refused(
    bare: Cli, two: tuple[str, str], tmp_path: Path, right: int, code: int, verdict: str
) -> None:
    runs = [play(tmp_path, (name,), 140) for name in two]
    done = bare("adapters", "together", *runs, play(tmp_path, two, right), "--json", "found.json")
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith(f"{verdict}: ")
    found = json.loads((tmp_path / "found.json").read_text())
    assert [it["adapter"] for it in found["steps"]] == list(two)


def test_together_wants_each_alone_and_all_of_them(bare: Cli, two: tuple[str, str], tmp_path: Path) -> None:
    done = bare("adapters", "together", play(tmp_path, (two[0],), 140), play(tmp_path, two, 140))
    assert done.returncode == 2
    assert f"found runs of demo+{two[0]}, demo+{two[0]}+{two[1]}; expected one of each adapter alone" in done.stderr
