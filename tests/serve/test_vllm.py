"""The embedded model on a real vLLM: what it says, what it is held to, its traces, and its end."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentkit.serve import Endpoint
from tests.serve.collector import Collector

pytestmark = pytest.mark.serve


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
SALE = {"type": "string", "pattern": "^S-[0-9]{5}$"}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Find a sale by its number.",
        "parameters": closed({"sale_id": SALE}),
    },
}


async def ask(endpoint: Endpoint, *messages: dict[str, Any], traceparent: str = "", **body: Any) -> Any:
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        answer = await client.post(
            f"{endpoint.base_url}/chat/completions",
            headers={"Authorization": f"Bearer {endpoint.api_key}", "traceparent": traceparent},
            json={"model": endpoint.model, "messages": messages, "temperature": 0, "max_tokens": 48, **body},
        )
    answer.raise_for_status()
    return answer.json()["choices"][0]["message"]


async def test_it_is_a_real_language_model(embedded: Endpoint) -> None:
    answer = await ask(embedded, SYSTEM, {"role": "user", "content": "What is the capital of France?"})
    assert "Paris" in answer["content"]


async def test_only_the_key_opens_it(embedded: Endpoint) -> None:
    stranger = Endpoint(embedded.base_url, embedded.model, "wrong")
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        await ask(stranger, {"role": "user", "content": "Hi"})


async def test_guided_output_is_compact_json_of_the_schema(embedded: Endpoint) -> None:
    schema = {
        "type": "object",
        "properties": {
            "action": {"const": "look_up"},
            "arguments": {"type": "object", "properties": {"sale_id": SALE}},
        },
        "required": ["action", "arguments"],
        "additionalProperties": False,
    }
    schema["properties"]["arguments"] |= {"required": ["sale_id"], "additionalProperties": False}  # type: ignore[index]
    form = {"type": "json_schema", "json_schema": {"name": "action", "schema": schema}}
    sales = [f"S-{12007 * n % 100000:05}" for n in range(1, 9)]
    answers = await asyncio.gather(
        *(
            ask(embedded, SYSTEM, {"role": "user", "content": f"Look up sale {sale}."}, response_format=form)
            for sale in sales
        )
    )
    found = [json.loads(answer["content"]) for answer in answers]
    assert all(" " not in answer["content"] for answer in answers)
    assert sum(one["arguments"]["sale_id"] == sale for one, sale in zip(found, sales, strict=True)) >= 6


async def test_a_forced_tool_call(embedded: Endpoint) -> None:
    choice = {"type": "function", "function": {"name": "look_up"}}
    question = {"role": "user", "content": "Look up sale S-48213."}
    answer = await ask(embedded, SYSTEM, question, tools=[TOOL], tool_choice=choice)
    (call,) = answer["tool_calls"]
    assert call["function"]["name"] == "look_up"
    assert json.loads(call["function"]["arguments"]) == {"sale_id": "S-48213"}


async def test_a_history_with_calls_and_no_words(embedded: Endpoint) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"sale_id": "S-48213"}'}}
    answer = await ask(
        embedded,
        {"role": "user", "content": "Look up sale S-48213."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"total": 12.5}'},
        tools=[TOOL],
        tool_choice="none",
    )
    assert answer["content"]


async def test_its_span_is_a_child_of_ours(embedded: Endpoint, collector: Collector) -> None:
    trace, parent = secrets.token_bytes(16), secrets.token_bytes(8)
    traceparent = f"00-{trace.hex()}-{parent.hex()}-01"
    await ask(embedded, SYSTEM, {"role": "user", "content": "Hi"}, traceparent=traceparent)
    span = await asyncio.to_thread(collector.wait_for, trace, "llm_request")
    assert span.parent_span_id == parent


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_it_ends_with_a_killed_owner() -> None:
    program = (
        "import time\nfrom agentkit.serve import model_endpoint, served_model\n"
        "with model_endpoint(served_model('embedded')) as endpoint:\n"
        "    print(endpoint.base_url, flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        port = owner.stdout.readline().strip().removesuffix("/v1").rpartition(":")[2]
        assert port
        started = servers(port)
        assert len(started) >= 3
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(cmdline(pid) for pid in started):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def servers(port: str) -> set[int]:
    """The server that was given this port, its keeper, and all that stem from them."""
    parents = {int(p.name): int((p / "stat").read_text().rpartition(")")[2].split()[1]) for p in processes()}
    found = {pid for pid in parents if f"--port\0{port}\0" in cmdline(pid)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def processes() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdigit() and (path / "stat").exists()]


def cmdline(pid: int) -> str:
    """Empty for a process that has ended and only waits to be collected."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
