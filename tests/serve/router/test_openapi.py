"""Requests made up from the router's own OpenAPI document: none of them makes it fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.router.kept import Real
from tests.serve.router.world import HELLO, World


@pytest.mark.slow
@pytest.mark.parametrize("name", ["root", "nobody"])
def test_schemathesis_finds_no_failure(real: Real, name: str, tmp_path: Path) -> None:
    one, key = real.it.fresh(), real.keys.get(name, "wrong")
    examples = "40" if name == "root" else "5"  # who has no key waits for each answer
    program = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{one.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {key}", "--checks", "not_a_server_error", "--seed", "7"),
        *("--max-examples", examples, "--phases", "coverage,fuzzing", "--suppress-health-check", "all"),
    ]
    found = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    print(found.stdout)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Server error" not in found.stdout
    assert (len(one.upstream.seen) > 10) == (name == "root"), "some of them were answered"


def test_the_document_says_what_there_is(one: World) -> None:
    with one.client(None) as client:
        document = client.get("/openapi.json").json()
    assert sorted(document["paths"]) == [
        *("/healthz", "/metrics", "/readyz", "/v1/admin/routes", "/v1/chat/completions", "/v1/feedback"),
        *("/v1/models", "/v1/models/{name}"),
    ]
    chat = document["paths"]["/v1/chat/completions"]["post"]
    required = chat["requestBody"]["content"]["application/json"]["schema"]["required"]
    assert set(required) == set(HELLO)
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}
