"""Routes that change under load: nobody is turned away, and no conversation is on two revisions."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from typing import Any

import pytest

from agentkit.serve.router.client import Client
from agentkit.serve.upstream import Upstream
from tests.serve.router.kept import Real


@pytest.mark.slow
async def test_promotions_and_rollbacks_under_load(real: Real) -> None:
    it = Upstream("it", f"{real.it.fresh().url}/v1", "x", api_key=real.keys["alice"])
    client, revisions, changes = Client(5.0), defaultdict[str, set[str]](set), list[int]()
    targets = dict[tuple[str, str], set[str]]()
    over = asyncio.Event()

    async def talk(number: int) -> None:
        """Conversations of five requests, one after the other, until the changes are over."""
        count = 0
        while not over.is_set():
            count += 1
            name = f"load-{number}-{count}-{time.time_ns():x}"
            body: Any = {
                "model": "pos/change",
                "messages": [{"role": "user", "content": "Hi"}],
                "stream": count % 2 == 0,
            }
            body["metadata"] = {"conversation_id": name}
            for _ in range(5):
                async with await client.post(it, "/chat/completions", json.dumps(body).encode(), {}) as reply:
                    said = await reply.whole(2**20, 10)
                assert reply.status == 200, said
                assert b"event: error" not in said
                revisions[name].add(reply.headers["x-agentkit-revision"])
                key = name, reply.headers["x-agentkit-revision"]
                targets.setdefault(key, set()).add(reply.headers["x-agentkit-target"])

    async def change() -> None:
        for number in range(12):
            action: dict[str, Any] = {"action": "rollback", "why": "a drill"}
            if number % 2 == 0:
                action = {"action": "set", "agent": "pos", "step": "change", "target": "frontier", "why": "a drill"}
            made = await asyncio.to_thread(real.post, "root", "/v1/admin/routes", **action)
            assert made.status_code == 200, made.text
            changes.append(made.json()["number"])
            await asyncio.sleep(0.1)
        over.set()

    await asyncio.gather(change(), *(talk(number) for number in range(12)))
    client.close()
    assert len(revisions) > 50
    assert len({*changes}) == 12
    used = {revision for found in revisions.values() for revision in found}
    assert len(used) > 4, "conversations began on several of them"
    assert {name: found for name, found in revisions.items() if len(found) > 1} == {}
    assert {key: found for key, found in targets.items() if len(found) > 1} == {}
