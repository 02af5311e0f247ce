"""What keeps the house in order: a light import, exports that exist, no heavy library where it does not belong."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import agentkit

HEAVY = ("torch", "transformers", "trl", "peft", "vllm", "langgraph", "langchain_core", "opentelemetry", "sqlalchemy")
HEAVY += ("scipy", "numpy", "httpx", "faker", "pydantic", "rich", "yaml")

EXPORTING = [
    file.parent.name
    for file in sorted(Path(agentkit.__file__).parent.glob("*/__init__.py"))
    if "__all__" in file.read_text(encoding="utf-8")
]
"""Stages that export names; the others' modules are imported one by one."""


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_exported_name_is_there() -> None:
    for name in agentkit.__all__:
        assert getattr(agentkit, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        agentkit.nonsense  # noqa: B018


def test_the_stages_are_found() -> None:
    assert {"gate", "grade", "scenario"} <= set(EXPORTING)


@pytest.mark.parametrize("stage", EXPORTING)
def test_the_exports_of_a_stage_are_there(stage: str) -> None:
    module = import_module(f"agentkit.{stage}")
    assert module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_importing_agentkit_loads_nothing_heavy() -> None:
    assert not loaded_after("import agentkit") & set(HEAVY)


def test_help_loads_nothing_heavy() -> None:
    statement = "from agentkit.cli import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass"
    assert not loaded_after(statement) & set(HEAVY)


@pytest.mark.slow
def test_loading_a_suite_needs_neither_langgraph_nor_torch() -> None:
    statement = "from pathlib import Path\nfrom agentkit.scenario import load\nload([Path('scenarios')])"
    found = loaded_after(statement)
    assert not found & {"torch", "langgraph", "langchain_core", "opentelemetry", "sqlalchemy", "scipy", "httpx"}
