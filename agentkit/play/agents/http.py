"""An agent behind an HTTP endpoint, spoken to through a mapping of request and response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jmespath
import orjson

from agentkit.config import HttpAgent as HttpSettings
from agentkit.errors import ConfigError, ProviderError
from agentkit.llm import Budget
from agentkit.llm.endpoint import checked_headers, checked_url
from agentkit.llm.post import Post, Posted
from agentkit.llm.retry import Retries, kind_of
from agentkit.llm.throttle import Clock
from agentkit.llm.wire import dump
from agentkit.play.agent import Moment
from agentkit.records import Message, ModelCall, ToolCall

_SECRETS_GO = "header_env"
_NOT_ITS_ANSWERS = {"headers", "header_env", "timeout", "retry_for"}
"""Settings that change no answer of the agent, or may hold a secret."""


class HttpAgent:
    """One request a move. The values of `secret_headers` stay out of its definition, errors and traces."""

    def __init__(
        self,
        name: str,
        settings: HttpSettings,
        secret_headers: Mapping[str, str],
        budget: Budget,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.deterministic = settings.deterministic
        self._settings = settings
        self._budget = budget
        self._request = {key: _expression(name, f"request.{key}", text) for key, text in settings.request.items()}
        self._reply = _expression(name, "reply", settings.reply)
        self._calls = None if settings.calls is None else _expression(name, "calls", settings.calls)
        headers = checked_headers(settings.headers, f"agent {name}: headers", _SECRETS_GO)
        self._post = Post(
            name,
            checked_url(settings.url, f"agent {name}: url", _SECRETS_GO),
            headers={**headers, **secret_headers},
            # `Bearer` or the like may stand before what is secret.
            secrets=[part for value in secret_headers.values() for part in (value, value.rpartition(" ")[2])],
            timeout=settings.timeout,
            retries=Retries(total=settings.retry_for),
            budget=budget,
            clock=clock,
        )

    async def act(self, moment: Moment) -> tuple[Message, ...]:
        posted = await self._ask(moment)
        call = ModelCall(self.name, latency=posted.latency, attempts=posted.attempts)
        self._budget.spend(call.usage, call.cost)
        try:
            answer = orjson.loads(posted.content)
        except orjson.JSONDecodeError:
            raise ValueError("the agent's response is not JSON") from None
        done, pending = self._read_calls(answer, moment)
        text = self._reply.search(answer)
        if not isinstance(text, str) and not pending:
            raise ValueError(f"`{self._settings.reply}` finds no text in the agent's response")
        last = Message("assistant", text if isinstance(text, str) else "", moment.turn, tool_calls=pending, call=call)
        return (*done, last)

    async def _ask(self, moment: Moment) -> Posted:
        view = _view(moment)
        body = dump({key: expression.search(view) for key, expression in self._request.items()})
        try:
            return await self._post.send(
                body, headers={"traceparent": moment.span.traceparent}, method=self._settings.method
            )
        except ProviderError as error:
            # What asking again cannot mend is the agent's own doing; but an empty account says so in a passing status.
            passing = error.status is not None and kind_of(error.status)[1]
            if error.kind in ("rejected", "protocol") and not passing:
                raise ValueError(str(error)) from None
            raise

    def _read_calls(self, answer: Any, moment: Moment) -> tuple[list[Message], tuple[ToolCall, ...]]:
        """Calls that the agent executed by itself, as messages, and those that are to be executed here."""
        done: list[Message] = []
        pending: list[ToolCall] = []
        for number, item in enumerate((self._calls.search(answer) if self._calls else None) or []):
            if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
                raise ValueError(f"`{self._settings.calls}` finds a call without a name in the agent's response")
            arguments = item.get("arguments")
            known = arguments if isinstance(arguments, Mapping) else None
            call_id = str(item.get("id") or f"call-{len(moment.messages)}-{number}")
            call = ToolCall(call_id, item["name"], known, None if known is not None else str(arguments))
            if "result" not in item:
                pending.append(call)
                continue
            said = item["result"] if isinstance(item["result"], str) else orjson.dumps(item["result"]).decode()
            result = Message("tool", said, moment.turn, tool_call_id=call.id, name=call.name)
            done += [Message("assistant", "", moment.turn, tool_calls=(call,)), result]
        return done, tuple(pending)

    def definition(self) -> Mapping[str, Any]:
        return {"kind": "http", **self._settings.model_dump(mode="json", exclude=_NOT_ITS_ANSWERS)}

    async def close(self) -> None:
        await self._post.close()


def _expression(agent: str, place: str, text: Any) -> Any:
    try:
        return jmespath.compile(text)
    except (jmespath.exceptions.JMESPathError, TypeError, AttributeError) as error:
        raise ConfigError(f"agent {agent}: {place}: found {text!r}, expected a JMESPath expression: {error}") from None


def _view(moment: Moment) -> dict[str, Any]:
    """What request expressions may name. Messages are in the form of the Chat Completions API."""
    return {
        "messages": [_plain(message) for message in moment.messages],
        "user": next((m.content for m in reversed(moment.messages) if m.role == "user"), ""),
        "conversation_id": moment.conversation_id,
        "turn": moment.turn,
        "policy": moment.policy,
        "tools": [
            {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
            for tool in moment.tools.values()
        ],
    }


def _plain(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        plain["tool_calls"] = [
            {
                "id": call.id,
                "name": call.name,
                "arguments": call.raw if call.arguments is None else dict(call.arguments),
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        plain |= {"tool_call_id": message.tool_call_id, "name": message.name}
    return plain
