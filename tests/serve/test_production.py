"""What `agentkit serve` puts together, without a model server of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentkit.config import CollectSettings, Config
from agentkit.config.serving import UpstreamSettings
from agentkit.serve.production import Options, served
from agentkit.store import Store


def lines(folder: Path) -> list[Path]:
    return list(folder.glob("*.jsonl"))


@pytest.mark.parametrize(
    ("variables", "recorded"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, False),
    ],
)
async def test_spans_go_to_the_collector_that_is_named_and_nothing_to_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], recorded: bool
) -> None:
    for variable in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(variable)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    config = Config(
        upstreams={"frontier": UpstreamSettings(base_url="http://127.0.0.1:9/v1", model="large")},
        collect=CollectSettings(folder="collect"),
    )
    with Store.open("sqlite:///store.db") as store:
        async with served(config, store, Options(keys=False, replicas=0), lambda _: None) as found:
            span = found.router.parts.tracing.served(None, conversation="c", agent="a", step="s", model="m")
            assert (span.trace_id is not None) == recorded
    assert lines(tmp_path) == []
