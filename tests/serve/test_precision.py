"""Which precision a processor is fast in, by its flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.serve import command
from agentkit.serve.command import EngineSettings, vllm_command
from agentkit.serve.precision import cpu_precision


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", "float32"),
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 amx_tile\n", "bfloat16"),
        ("flags : fpu amx_bf16\n", "bfloat16"),
        ("processor : 0\nFeatures\t: fp asimd sve bf16 i8mm\n", "bfloat16"),
        ("processor : 0\nFeatures\t: fp asimd\n", "float32"),
        ("processor : 0\n", "bfloat16"),
    ],
)
def test_what_the_flags_say(cpuinfo: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert cpu_precision(tmp_path / "cpuinfo") == expected


def test_where_there_are_no_flags_to_read(tmp_path: Path) -> None:
    assert cpu_precision(tmp_path / "none") == "bfloat16"


@pytest.mark.parametrize(
    ("cpu_build", "precision", "asked"),
    [(True, "float32", True), (True, "bfloat16", False), (False, "float32", False)],
)
def test_vllm_is_asked_for_it_on_a_cpu_alone(
    cpu_build: bool, precision: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "is_cpu_build", lambda: cpu_build)
    monkeypatch.setattr(command, "cpu_precision", lambda: precision)
    made = vllm_command("m", "m", 1, EngineSettings(arguments=("--dtype", "bfloat16")))
    assert ("float32" in made) is asked
    assert made[-2:] == ["--dtype", "bfloat16"], "what the user says wins"
