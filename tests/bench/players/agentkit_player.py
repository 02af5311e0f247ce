"""The same conversations as an agentkit run: graded, traced to files with their content, recorded in a SQLite store.

It goes through the run that `agentkit run` goes through, with the chat agent and its defaults; only the model behind
the agent is the mock, and nobody looks at the progress.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from agentkit.config import ChatAgent as ChatSettings
from agentkit.llm import Budget, ChatRequest, ChatResponse, FakeChat
from agentkit.play.agents.chat import ChatAgent
from agentkit.play.runner import Progress
from agentkit.play.session import RunSettings, open_session, play_session
from agentkit.records import GOLDEN, ModelCall, ToolCall, Usage
from agentkit.scenario import load
from agentkit.store import Store
from players import conversation as talk

SUITE = Path(__file__).with_name("bookshop")
_SETTINGS = ChatSettings(kind="chat", model="mock")
_CALL = ModelCall("mock", Usage(talk.INPUT_TOKENS, talk.OUTPUT_TOKENS), cost=0.0)


class Mock:
    """The instant model."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, request: ChatRequest) -> ChatResponse:
        self.calls += 1
        last = request.messages[-1]
        if last.role == "tool":
            return ChatResponse(talk.reply_for(last.tool_call_id or ""), _CALL)
        sale_id = talk.sale_for(last.content)
        call = ToolCall(talk.call_id_for(sale_id), talk.TOOL_NAME, {talk.TOOL_ARGUMENT: sale_id})
        return ChatResponse("", _CALL, (call,))


def play(conversations: int, concurrency: int) -> int:
    """Play one run of so many trials; returns the number of model calls made."""
    mock, budget, heard = Mock(), Budget(), Progress(0, 0)
    agent = ChatAgent("mock", FakeChat(mock, name="mock", budget=budget), _SETTINGS, talk.SYSTEM)
    scenarios = load([SUITE])
    settings = RunSettings(
        paths=(str(SUITE),),
        agent="mock",
        agent_settings=_SETTINGS,
        variants=tuple((scenario.id, GOLDEN) for scenario in scenarios),
        trials=conversations,
        concurrency=concurrency,
    )

    def listen(progress: Progress) -> None:
        nonlocal heard
        heard = progress

    with tempfile.TemporaryDirectory() as folder, Store.open(f"sqlite:///{folder}/agentkit.db") as store:
        traces = Path(folder) / "traces"
        session = open_session(settings, scenarios, agent, store)
        run = asyncio.run(play_session(session, agent, judge=None, budget=budget, trace_folder=traces, listener=listen))
        recorded, traced = len(store.keys(run.id)), _roots(traces / "traces.jsonl")
    if not heard.successes == recorded == traced == conversations:
        raise RuntimeError(
            f"agentkit: of {conversations} trials {heard.successes} succeeded, {recorded} are recorded, {traced} traced"
        )
    return mock.calls


def _roots(file: Path) -> int:
    """Number of whole traces in a file."""
    with file.open("rb") as lines:
        return sum(line.count(b'"name":"invoke_workflow ') for line in lines)
