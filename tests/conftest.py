"""One real vLLM with the embedded model for the whole session, and a place that collects the traces it sends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

from agentkit.serve import Endpoint, model_endpoint, served_model
from tests import postgres
from tests.serve.collector import Collector

settings.register_profile("untimed", deadline=None)  # how long an example takes tells of the machine, not of the code
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell; who is started inherits it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Of a database on a real PostgreSQL."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def embedded(collector: Collector) -> Iterator[Endpoint]:
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # while it is started: tests of the same session trace to files
            for variable in [name for name in os.environ if name.startswith("OTEL_")]:
                patch.delenv(variable)
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
            patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
            endpoint = stack.enter_context(model_endpoint(served_model("embedded")))
        yield endpoint
