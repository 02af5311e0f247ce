"""The README's commands work as they stand there, from an empty folder to a conversation on the screen."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
COMMAND = [sys.executable, "-c", "from agentkit.cli import main; main()"]


def commands() -> list[list[str]]:
    """The lines that begin with `$ ` in the README's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line[2:]) for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    folder, ran = tmp_path, 0
    for words in commands():
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        assert words[0] == "agentkit", words
        done = subprocess.run([*COMMAND, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        assert done.stdout
        ran += 1
    assert ran >= 5


def test_the_readme_names_the_two_commands_of_a_fresh_machine() -> None:
    text = README.read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert links
    missing = [link for link in links if not (README.parent / link).exists()]
    assert not missing
