"""The spans of a turn's calls: `chat {model}` and `execute_tool {tool}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from opentelemetry.trace import SpanKind

from agentkit.records import Message, ModelCall, Party, ToolCall, ToolSpec
from agentkit.tracing import attributes as names
from agentkit.tracing.content import (
    JsonCache,
    input_message,
    name,
    output_attributes,
    output_message,
    plain,
    system_parts,
    text,
    to_json,
    tool_definition,
)
from agentkit.tracing.span import Attributes, Span, error_type

_REQUEST: Final = (
    ("temperature", names.REQUEST_TEMPERATURE, float),
    ("top_p", names.REQUEST_TOP_P, float),
    ("max_tokens", names.REQUEST_MAX_TOKENS, int),
    ("seed", names.REQUEST_SEED, int),
)


class Chat(Span):
    """`chat {model}`: one request to a model, retries included."""

    answer: Message | None = None

    def __init__(
        self,
        parent: Span,
        cache: JsonCache,
        model: str,
        provider: str,
        request: Mapping[str, Any],
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
    ) -> None:
        recorder = parent.recorder
        content: Attributes = {}
        if recorder.on:
            self._about: Attributes = {names.PROVIDER_NAME: name(provider), names.REQUEST_MODEL: name(model)}
            for key, attribute, kind in _REQUEST:
                if isinstance(value := request.get(key), int | float):
                    self._about[attribute] = kind(value)
            if recorder.capture.on_spans:
                content = _request_content(cache, messages, tools)
            if recorder.capture.on_events:
                self._sent = (tuple(messages), tuple(tools))
        super().__init__(
            recorder,
            parent.clock,
            parent.session,
            names.CHAT,
            model,
            {**self._about, **content} if recorder.on else {},
            parent=parent,
            kind=SpanKind.CLIENT,
        )

    def by_user(self, user: str, turn: int) -> None:
        """Tells that it is not the agent who asks but a simulated user, to find its words for a turn."""
        if self.recorder.on:
            self._about[names.PARTY] = Party.USER.value
            found = {names.PARTY: Party.USER.value, names.USER_NAME: name(user), names.TURN_INDEX: turn}
            self._attributes |= found

    def finish(self, message: Message, call: ModelCall | None = None) -> None:
        """Takes the model's answer; `call` defaults to the message's own."""
        if not self.pending:
            return
        if call is not None and message.call is not call:
            message = replace(message, call=call)
        self.answer = message
        found = _response_attributes(message.call)
        self._about |= found
        if self.recording and self.recorder.capture.on_spans:
            found |= output_attributes(message)
        self._settle(self.end(found))

    def fail(self, error: BaseException | str) -> None:
        """Ends the span of a request that brought no answer; `error` or the qualified name of one."""
        if not self.pending:
            return
        self._about[names.ERROR_TYPE] = error_type(error)
        self._settle(self.end({}, error))

    def _settle(self, seconds: float) -> None:
        self.recorder.meters.chat(seconds, self._about)
        if self.recording and self.recorder.capture.on_events:
            self._details()

    def _details(self) -> None:
        """The event that carries content apart from the trace; there the conventions want it structured."""
        messages, tools = self._sent
        said: Attributes = {
            names.OPERATION_NAME: names.CHAT,
            names.CONVERSATION_ID: self.session,
            **self._about,
            names.INPUT_MESSAGES: plain([input_message(m) for m in messages if m.role != "system"]),
        }
        if system := system_parts(messages):
            said[names.SYSTEM_INSTRUCTIONS] = system
        if tools:
            said[names.TOOL_DEFINITIONS] = plain([tool_definition(tool) for tool in tools])
        if self.answer is not None:
            said[names.OUTPUT_MESSAGES] = plain([output_message(self.answer)])
        self.event(names.OPERATION_DETAILS, said, debug=True)


class Tool(Span):
    """`execute_tool {tool}`: one call that a model asked for."""

    def __init__(self, parent: Span, agent: str, call: ToolCall) -> None:
        found: Attributes = {}
        if parent.recorder.on:
            self._agent = agent
            self._tool = name(call.name)
            found = {
                names.TOOL_NAME: self._tool,
                names.TOOL_TYPE: "function",
                names.TOOL_CALL_ID: name(call.id),
                names.AGENT_NAME: agent,
            }
            if parent.recorder.capture.on_spans:
                arguments = text(call.raw or "") if call.arguments is None else to_json(call.arguments)
                found[names.TOOL_CALL_ARGUMENTS] = found[names.INPUT_VALUE] = arguments
        super().__init__(
            parent.recorder, parent.clock, parent.session, names.EXECUTE_TOOL, call.name, found, parent=parent
        )

    def remote(self, *, transport: str, protocol: str = "") -> None:
        """Tells that the call went to an MCP server, and how: no span of its own, so that traces stay as flat as they
        are for tools at hand."""
        if not self.open:
            return
        self._attributes |= {names.MCP_METHOD: "tools/call", names.NETWORK_TRANSPORT: transport}
        if protocol:
            self._attributes[names.MCP_PROTOCOL] = name(protocol)

    def finish(self, content: str, error: str | None = None) -> None:
        """`error` is the qualified name of the exception that the tool raised."""
        if not self.pending:
            return
        found: Attributes = {}
        if self.recording and self.recorder.capture.on_spans:
            found[names.TOOL_CALL_RESULT] = found[names.OUTPUT_VALUE] = text(content)
        self._settle(self.end(found, error), error)

    def fail(self, error: BaseException | str) -> None:
        """Ends the span of a call that brought no result, not even an error of the tool's."""
        if self.pending:
            self._settle(self.end({}, error), error_type(error))

    def _settle(self, seconds: float, error: str | None) -> None:
        self.recorder.meters.tool(seconds, self._tool, self._agent, error)


def _request_content(cache: JsonCache, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Attributes:
    content: Attributes = {names.INPUT_MESSAGES: cache.inputs(messages)}
    if messages:
        content[names.INPUT_VALUE] = text(messages[-1].content)
    if system := cache.system(messages):
        content[names.SYSTEM_INSTRUCTIONS] = system
    if tools:
        content[names.TOOL_DEFINITIONS] = cache.tools(tools)
    return content


def _response_attributes(call: ModelCall | None) -> Attributes:
    if call is None:
        return {}
    found: Attributes = {names.RESPONSE_MODEL: name(call.model)}
    if call.response_id:
        found[names.RESPONSE_ID] = name(call.response_id)
    if call.finish_reason:
        found[names.RESPONSE_FINISH_REASONS] = (name(call.finish_reason),)
    usage = call.usage
    if usage.total:  # a provider that reports nothing is not one that used nothing
        found[names.INPUT_TOKENS] = usage.input_tokens
        found[names.OUTPUT_TOKENS] = usage.output_tokens
    if usage.reasoning_tokens:
        found[names.REASONING_TOKENS] = usage.reasoning_tokens
    if usage.cached_tokens:
        found[names.CACHED_TOKENS] = found[names.CACHED_TOKENS_OLD] = usage.cached_tokens
    return found
