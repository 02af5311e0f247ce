"""A real label server on a port of its own, over a real store of captured conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from agentkit.config import LabelSettings
from agentkit.records import Exchange
from agentkit.store import Store
from agentkit.web.label import Labeller
from tests.collect.feedback.talks import exchange
from tests.report.conftest import browser  # noqa: F401

Serve = Callable[..., Labeller]

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {
                "type": "object",
                "properties": {"sale": {"type": "string"}, "amount": {"type": "number"}},
                "required": ["sale"],
            },
        },
    }
    for name in ("find_sale", "refund")
]
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "refund", "arguments": '{"sale":"S-1","amount":5}'}}
    ],
}


def captured(id: str, conversation: str, step: str, *, ago: float = 60, **changes: Any) -> Exchange:
    """An exchange of so many minutes ago."""
    at = datetime.now(UTC) - timedelta(minutes=ago)
    return exchange(id, conversation, step, **{"at": at.isoformat(timespec="milliseconds"), **changes})


def refunds(count: int) -> list[Exchange]:
    """Conversations that look a sale up, pay it back, and take leave."""
    found = []
    for n in range(count):
        talk: list[dict[str, Any]] = [
            {"role": "system", "content": "You are the till of a clothes shop. Look a sale up before you pay it back."},
            {"role": "user", "content": f"I want my money back for sale S-{n}, the summer dress. It did not fit."},
        ]
        paid = {"role": "tool", "tool_call_id": "a", "name": "refund", "content": '{"paid":59.9,"to":"card"}'}
        answers = (
            ("refund", CALL, 60),
            ("say_amount", {"role": "assistant", "content": f"You get 59.90 back for S-{n}, in cash."}, 59),
        )
        for step, answer, ago in answers:
            request = {"messages": list(talk), "tools": TOOLS}
            found.append(captured(f"r{n}.{step}", f"c{n}", step, ago=ago + 3 * n, request=request, response=answer))
            talk += [answer, paid]
    return found


@contextmanager
def serving(store: Store, settings: LabelSettings, **options: Any) -> Iterator[Labeller]:
    """The server, answering from a thread."""
    with Labeller(store, settings, **options) as labeller:
        thread = Thread(target=labeller.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield labeller
        finally:
            labeller.shutdown()
            thread.join()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(tmp_path)
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


@pytest.fixture
def serve(store: Store) -> Iterator[Serve]:
    """Starts a server for `expert`; `settings` as the project would say."""
    with ExitStack() as stack:

        def start(expert: str | None = "ann", **settings: Any) -> Labeller:
            return stack.enter_context(serving(store, LabelSettings(**{"second_share": 0, **settings}), expert=expert))

        yield start


@pytest.fixture
def client() -> Iterator[Callable[[Labeller], httpx.Client]]:
    with ExitStack() as stack:
        yield lambda labeller: stack.enter_context(
            httpx.Client(base_url=labeller.url.rstrip("/"), timeout=60, trust_env=False)
        )
