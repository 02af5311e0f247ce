from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.tracing.traced import Recording


@pytest.fixture(autouse=True)
def _no_telemetry_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have told their own programs where to send traces."""
    for variable in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def recording() -> Iterator[Recording]:
    recording = Recording()
    yield recording
    recording.tracing.close()
