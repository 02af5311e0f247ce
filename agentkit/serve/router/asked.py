"""What a caller asks for: agent and step, the conversation, and the request that goes upstream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from agentkit.collect.capture import CONSENTED
from agentkit.config import RouterSettings
from agentkit.errors import near_match
from agentkit.records import ConversationId
from agentkit.serve.router.refused import Refused, bad, shown

NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:@+ -]{0,126}[A-Za-z0-9_])?")
"""Of an agent or a step: nothing that a path, a header, a log or a terminal would take for something else."""
_CONVERSATION = re.compile(r"[!-~]{1,200}")
_OURS = ("metadata", "user", "model", "stream", "stream_options", "safety_identifier", "store")
"""Members that are read here and do not go upstream as they came."""
_FORBIDDEN = frozenset(
    {
        *(
            "chat_template",
            "chat_template_kwargs",
            "documents",
            "kv_transfer_params",
            "lora_request",
            "media_io_kwargs",
        ),
        *("mm_processor_kwargs", "priority", "prompt_embeds", "request_id", "vllm_xargs"),
    }
)
"""Members by which a caller could reach into a model server."""
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
MOST_ANSWERS = 16
"""Choices (`n`) of one request."""
_KINDS = {
    **{str: "a text", bool: "a boolean", int: "a number", float: "a number", dict: "an object", list: "a list"},
    type(None): "nothing",
}
_NO = (False, "false", "no", "refused", "denied", "0")
_YES = (True, *CONSENTED)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be answered."""

    agent: str
    step: str
    """Empty where the caller named none."""
    name: str
    """The model's name as the caller gave it; the answer's `model` is the same."""
    conversation: ConversationId
    body: Mapping[str, Any]
    """What goes upstream, without `model` and `stream`."""
    stream: bool
    counted: bool
    """Whether the caller wants the tokens at the end of a stream."""
    user: str | None
    consent: bool | None
    """Whether the end user agreed that this is kept; None where nobody said."""


def understood(
    body: Mapping[str, Any],
    header: bytes | None,
    key: str,
    settings: RouterSettings,
    pseudonym: Callable[[str], str | None],
) -> Asked:
    """What a Chat Completions request asks for. `header` is that of the conversation, `key` the caller's name, and
    `pseudonym` gives that of an end user.

    Raises Refused (400) that names the field, what was found and what was expected.
    """
    metadata = _metadata(body)
    agent, step, name = _names(body, metadata)
    messages = _messages(body, settings.max_messages)
    for member in _FORBIDDEN.intersection(body):
        raise bad(member, "a member that reaches into a model server", "none", code="unsupported_parameter")
    stream = _flag(body, "stream")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise bad("stream_options", shown(options), "an object or null")
    answers = body.get("n")
    if answers is not None and (type(answers) is not int or not 1 <= answers <= MOST_ANSWERS):
        raise bad("n", shown(answers), f"an integer from 1 to {MOST_ANSWERS}")
    user = _user(body, metadata)
    conversation = _named(metadata, header) or _unnamed(key, None if user is None else pseudonym(user), messages)
    return Asked(
        agent=agent,
        step=step,
        name=name,
        conversation=conversation,
        body={member: value for member, value in body.items() if member not in _OURS},
        stream=stream,
        counted=stream and _flag(options or {}, "include_usage"),
        user=user,
        consent=_consent(metadata),
    )


def check_agent(asked: Asked, routed: Collection[str], settings: RouterSettings) -> None:
    """Refuse an agent that neither the settings nor a route names.

    Raises Refused (404).
    """
    if asked.agent not in settings.agents and asked.agent not in routed:
        near = near_match(asked.agent, {*settings.agents, *routed})
        raise Refused(404, "model_not_found", f"model: no agent is called {asked.agent!r}{near}", param="model")


def _names(body: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[str, str, str]:
    """Agent, step, and the model's name as it was given: AGENT/STEP, or AGENT with `metadata.step`."""
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise bad("model", _kind(name), "AGENT/STEP, or AGENT with `metadata.step`")
    agent, _, step = name.partition("/")
    agent, step = metadata.get("agent") or agent, step or metadata.get("step") or ""
    for field, found in (("model", agent), *((("model", step),) if step else ())):
        if not isinstance(found, str) or not NAME.fullmatch(found):
            raise Refused(
                404,
                "model_not_found",
                f"{field}: found {shown(found)}, which is no name of an agent or a step",
                param=field,
            )
    return agent, step, name


def _messages(body: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise bad("messages", _kind(messages), "a list of at least one message")
    if len(messages) > most:
        raise bad("messages", f"{len(messages)} messages", f"at most {most}")
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            raise bad(f"messages[{place}]", _kind(message), "an object")
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise bad(f"messages[{place}].role", shown(role), ", ".join(sorted(_ROLES)))
    return messages


def _metadata(body: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = body.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise bad("metadata", _kind(metadata), "an object")
    return metadata


def _named(metadata: Mapping[str, Any], header: bytes | None) -> ConversationId | None:
    """The conversation as the caller names it, in the metadata or else in a header; None where it does not."""
    place, found = "metadata.conversation_id", metadata.get("conversation_id")
    if found is None and header is not None:
        place, found = "X-Conversation-Id", header.decode("latin-1")
    if found is None:
        return None
    if not isinstance(found, str) or not _CONVERSATION.fullmatch(found):
        raise bad(place, shown(found), "1 to 200 printable ASCII characters without spaces")
    return ConversationId(found)


def _unnamed(key: str, pseudonym: str | None, messages: list[dict[str, Any]]) -> ConversationId:
    """The same for all requests of a conversation: the system prompt and the first words of a user do not change. Two
    users who begin alike have one each, so that one can be forgotten without the other; by pseudonym, since with a
    plain hash whoever sees it could try out names."""
    begin = next(
        (place for place, it in enumerate(messages) if it["role"] not in ("system", "developer")), len(messages)
    )
    known = orjson.dumps([key, pseudonym, [[it["role"], it.get("content")] for it in messages[: begin + 1]]])
    return ConversationId(f"auto-{hashlib.sha256(known).hexdigest()[:32]}")


def _user(body: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    user = body.get("user") or metadata.get("user") or metadata.get("user_id")
    if user is None:
        return None
    if not isinstance(user, str) or len(user) > 512:
        raise bad("user", shown(user), "a text of at most 512 characters")
    return user


def _consent(metadata: Mapping[str, Any]) -> bool | None:
    """A word that is neither yes nor no is refused: kept against someone's will would be worse."""
    found = metadata.get("consent")
    if found is None:
        return None
    word = found.lower() if isinstance(found, str) else found
    if not isinstance(word, bool | str) or word not in (*_NO, *_YES):
        raise bad("metadata.consent", shown(found), "true or false")
    return word in _YES


def _flag(members: Mapping[str, Any], name: str) -> bool:
    found = members.get(name)
    if found is None or isinstance(found, bool):
        return bool(found)
    raise bad(name, shown(found), "true or false")


def _kind(value: object) -> str:
    """What `value` is, in the words of JSON."""
    if value in ("", [], {}):
        return f"an empty {_KINDS[type(value)].split()[1]}"
    return _KINDS[type(value)]
