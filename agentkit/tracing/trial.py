"""The root of a trace and its turns.

Calls end when they end, but are exported when their turn finishes: only then has it been graded, and the span
of a call names the steps that it met. So a crash loses the open turn and nothing before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from agentkit.records import Disturbance, Message, Party, ToolCall, ToolSpec, Verdict
from agentkit.tracing import attributes as names
from agentkit.tracing.calls import Chat, Tool
from agentkit.tracing.content import JsonCache, name, output_attributes, text, to_json
from agentkit.tracing.recorder import Recorder
from agentkit.tracing.span import Attributes, Clock, Span


class Turn(Span):
    """`invoke_agent {agent}`: what one message of the user set off."""

    def __init__(self, trial: Trial, index: int, agent: str) -> None:
        self._agent = name(agent)
        self._cache = trial.cache
        self._calls: list[Chat | Tool] = []
        super().__init__(
            trial.recorder,
            trial.clock,
            trial.session,
            names.INVOKE_AGENT,
            agent,
            {names.AGENT_NAME: self._agent, names.TURN_INDEX: index},
            parent=trial,
        )

    def chat(
        self,
        *,
        model: str,
        provider: str,
        request: Mapping[str, Any],
        messages: Sequence[Message],
        tools: Sequence[ToolSpec] = (),
    ) -> Chat:
        """Starts a request. Of `request`, `temperature`, `top_p`, `max_tokens` and `seed` are recorded."""
        chat = Chat(self, self._cache, model, provider, request, messages, tools)
        if chat.pending:
            self._calls.append(chat)
        return chat

    def tool(self, call: ToolCall) -> Tool:
        """Starts a tool call."""
        tool = Tool(self, self._agent, call)
        if tool.pending:
            self._calls.append(tool)
        return tool

    def finish(
        self,
        steps: Mapping[str, Sequence[str]] | None = None,
        *,
        messages: Sequence[Message] = (),
        error: BaseException | str | None = None,
    ) -> None:
        """Ends the turn and exports it together with its calls.

        `steps`: which steps each span met, by `span_id`; this turn's own id for the steps that no call met.
        `messages`: the turn's, the user's first.
        `error`: an exception or the qualified name of one. A call that is still open ends with it.
        """
        if not self.pending:
            return
        for call in self._calls:
            if call.pending:
                call.fail(error or names.OTHER_ERROR)
        content: Attributes = {}
        if self.recording and self.recorder.capture.on_spans:
            content = conversation(messages, self._cache) | _disturbed(messages)
        self.end(content, error)
        spans, self._calls = (*self._calls, self), []
        if not self.recording:
            return
        for span in spans:
            for step in (steps or {}).get(span.span_id or "", ()):
                span.step(step)
        self.recorder.export([span.finished() for span in spans])


class Trial(Span):
    """`invoke_workflow {scenario}`: the root of a trace."""

    def __init__(
        self,
        recorder: Recorder,
        conversation_id: str,
        scenario: str,
        variant: str,
        index: int,
        agent: str,
        facts: Mapping[str, Any],
    ) -> None:
        self.cache = JsonCache()
        self._turn: Turn | None = None
        self._user: list[Chat] = []
        super().__init__(
            recorder,
            Clock(),
            conversation_id,
            names.INVOKE_WORKFLOW,
            scenario,
            {
                names.WORKFLOW_NAME: scenario,
                names.AGENT_NAME: name(agent),
                names.SCENARIO_ID: scenario,
                names.VARIANT: variant,
                names.TRIAL_INDEX: index,
                names.RUN_ID: recorder.run_id,
                **facts,
            },
        )

    def user_chat(
        self,
        *,
        user: str,
        turn: int,
        model: str,
        provider: str,
        request: Mapping[str, Any],
        messages: Sequence[Message],
    ) -> Chat:
        """Starts a simulated user's request for its words of a turn. It comes before the turn, so it is no part of it:
        what stands inside `invoke_agent` is the agent's."""
        chat = Chat(self, self.cache, model, provider, request, messages, ())
        chat.by_user(user, turn)
        if chat.pending:
            self._user.append(chat)
        return chat

    def _export_user(self) -> None:
        for chat in self._user:
            if chat.pending:
                chat.fail(names.OTHER_ERROR)
        if self._user and self.recording:
            self.recorder.export([chat.finished() for chat in self._user])
        self._user.clear()

    def turn(self, *, index: int, agent: str) -> Turn:
        """Starts a turn, from 0."""
        self._export_user()
        self._turn = Turn(self, index, agent)
        return self._turn

    def finish(
        self,
        verdict: Verdict,
        messages: Sequence[Message] = (),
        error: BaseException | str | None = None,
        *,
        fault: Party | None = None,
        reason: str = "",
        grades: int | None = None,
        disturbances: Sequence[Disturbance] = (),
    ) -> None:
        """Ends the trace, and a turn that is still open with it.

        `messages`: the whole conversation. `error`: what cut the trial short, or its qualified name. `fault` and
        `reason`: whose, and in words, where there is something to tell. `grades`: how many were recorded.
        `disturbances`: one for each detour of the catalogue.
        """
        if not self.pending:
            return
        if self._turn is not None:
            self._turn.finish(error=error)
        self._export_user()
        if not self.recording:
            self.end({}, error)
            return
        found: Attributes = {names.VERDICT: verdict.value}
        if grades is not None:
            found[names.GRADES] = grades
        if fault is not None:
            found[names.FAULT] = fault.value
        if reason and self.recorder.capture.anywhere:  # it may quote the conversation
            found[names.REASON] = text(reason)
        if disturbances and self.recorder.capture.anywhere:
            found[names.DISTURBANCES] = to_json([asdict(it) for it in disturbances])
        if self.recorder.capture.on_spans:
            found |= conversation(messages, self.cache)
        self.end(found, error)
        self.recorder.export([self.finished()])


def conversation(messages: Sequence[Message], cache: JsonCache) -> Attributes:
    """Input and output of a turn or a trial: the last answer is the output, the first words its preview."""
    said = [m for m in messages if m.role != "system"]
    answer = said[-1] if said and said[-1].role == "assistant" else None
    inputs = said[:-1] if answer else said
    found: Attributes = {}
    if inputs:
        found[names.INPUT_MESSAGES] = cache.inputs(inputs)
        found[names.INPUT_VALUE] = text(inputs[0].content)
    if answer is not None:
        found |= output_attributes(answer)
    return found


def _disturbed(messages: Sequence[Message]) -> Attributes:
    """What detours did to a turn's messages, `{place: {planted, original, failures}}`; nothing where nothing."""
    found = {
        str(place): {
            "planted": message.planted,
            "original": None if message.original is None else text(message.original),
            "failures": message.call.failures if message.call else None,
        }
        for place, message in enumerate(messages)
        if message.planted or message.original is not None or (message.call is not None and message.call.failures)
    }
    return {names.DISTURBED: to_json(found)} if found else {}
