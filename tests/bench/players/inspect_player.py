"""The same conversations as an Inspect AI task: `mockllm`, the built-in tool loop, a scorer, an `.eval` log.

Everything is left at Inspect's defaults (log file, samples and events logged, scores shown in real time,
control channel) except the terminal display, which is off, and the concurrency, which is the caller's.
"""

from __future__ import annotations

import json
import tempfile

from inspect_ai import Task
from inspect_ai import eval as run_eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import includes
from inspect_ai.solver import Generate, Solver, TaskState, solver, system_message, use_tools
from inspect_ai.tool import Tool, ToolChoice, ToolInfo, tool

from players import conversation as talk

MODEL = "mockllm/model"


class Mock:
    """The instant model. It reports its token usage, so that Inspect need not count tokens itself."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(
        self, messages: list[ChatMessage], tools: list[ToolInfo], choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        self.calls += 1
        last = messages[-1]
        if isinstance(last, ChatMessageTool):
            output = ModelOutput.from_content(MODEL, talk.reply_for(last.tool_call_id or ""))
        else:
            sale_id = talk.sale_for(last.text)
            output = ModelOutput.for_tool_call(
                MODEL,
                talk.TOOL_NAME,
                {talk.TOOL_ARGUMENT: sale_id},
                tool_call_id=talk.call_id_for(sale_id),
                content="",
            )
        output.usage = ModelUsage(
            input_tokens=talk.INPUT_TOKENS,
            output_tokens=talk.OUTPUT_TOKENS,
            total_tokens=talk.INPUT_TOKENS + talk.OUTPUT_TOKENS,
        )
        return output


@tool(name=talk.TOOL_NAME)
def lookup_sale() -> Tool:
    async def execute(sale_id: str) -> str:
        """Look up one sale by the number printed on its receipt.

        Args:
            sale_id: The number printed on the receipt, such as R-10442.
        """
        return json.dumps(talk.sale(sale_id))

    return execute


@solver
def converse() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await generate(state, tool_calls="loop")
        for turn in talk.TURNS[1:]:
            state.messages.append(ChatMessageUser(content=turn.user))
            state = await generate(state, tool_calls="loop")
        return state

    return solve


def play(conversations: int, concurrency: int) -> int:
    """Play one evaluation of so many conversations; returns the number of model calls made."""
    mock = Mock()
    samples = [
        Sample(id=index, input=talk.TURNS[0].user, target=talk.TURNS[-1].sale_id)
        for index in range(1, conversations + 1)
    ]
    evaluation = Task(
        dataset=MemoryDataset(samples),
        solver=[system_message(talk.SYSTEM), use_tools(lookup_sale()), converse()],
        scorer=includes(),
    )
    with tempfile.TemporaryDirectory() as logs:
        (log,) = run_eval(
            evaluation,
            model=get_model(MODEL, custom_outputs=mock, memoize=False),
            display="none",
            log_dir=logs,
            max_samples=concurrency,
            max_connections=concurrency,
        )
    # The samples themselves stay in the log file: reading them back is no part of playing.
    if log.status != "success" or log.results is None:
        raise RuntimeError(f"Inspect AI did not finish: {log.status}, {log.error}")
    accuracy = log.results.scores[0].metrics["accuracy"].value
    if log.results.completed_samples != conversations or accuracy != 1:
        raise RuntimeError(f"Inspect AI scored {accuracy} on {log.results.completed_samples} samples")
    return mock.calls
