"""What the OpenAPI document says of each address; requests are checked by hand, where they are read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from agentkit.records import Revision, Target
from agentkit.serve.router.asked import NAME

_TEXT: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}
_NAME: Final = {"type": "string", "pattern": f"^{NAME.pattern}$"}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


_ERROR: Final = _object(
    {
        "error": _object(
            {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            *("message", "type", "param", "code"),
        )
    },
    "error",
)
_WHY: Final = {
    400: "The request is not understood.",
    401: "No valid API key.",
    403: "Not with this key.",
    404: "Not found.",
    405: "Not with this method.",
    408: "The body took too long.",
    409: "Not now.",
    413: "The body is too long.",
    415: "The body is not said to be JSON.",
    422: "The model server does not understand the request.",
    429: "Too many requests.",
    431: "The headers are too long.",
    500: "The router failed.",
    502: "The model server failed.",
    503: "Nothing that could answer is up, or the store does not say whether the key is good.",
    504: "The model server took too long.",
}


def _answers(schema: dict[str, Any], *statuses: int) -> dict[int | str, Any]:
    found: dict[int | str, Any] = {200: {"description": "Done.", **_content(schema)}}
    return found | {status: {"description": _WHY[status], **_content(_ERROR)} for status in statuses}


def _takes(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, **_content(schema)}, "security": [{"key": []}]}


_KEYED: Final[dict[str, Any]] = {"security": [{"key": []}]}
_READ: Final = (400, 401, 403, 408, 413, 415, 431)
_MESSAGE: Final = _object(
    {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"anyOf": [_TEXT, {"type": "array", "items": _OBJECT}, {"type": "null"}]},
        "name": _TEXT,
        "tool_calls": {"type": "array", "items": _OBJECT},
        "tool_call_id": _TEXT,
    },
    "role",
)
_REQUEST: Final = _object(
    {
        "model": {
            "type": "string",
            "pattern": f"^{NAME.pattern}(?:/{NAME.pattern})?$",
            "description": "AGENT/STEP, or AGENT with `metadata.step`.",
        },
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "stream": {"type": ["boolean", "null"]},
        "stream_options": {"anyOf": [_object({"include_usage": {"type": ["boolean", "null"]}}), {"type": "null"}]},
        "tools": {"type": "array", "items": _OBJECT},
        "response_format": _OBJECT,
        "temperature": {"type": "number", "minimum": 0},
        "max_tokens": {"type": "integer", "minimum": 1},
        "n": {"type": "integer", "minimum": 1, "maximum": 16},
        "user": {"type": "string", "maxLength": 512},
        "metadata": _object(
            {
                "agent": _NAME,
                "step": _NAME,
                "conversation_id": {"type": "string", "pattern": "^[!-~]{1,200}$"},
                "consent": {"type": "boolean"},
            }
        ),
    },
    *("model", "messages"),
)
ACTIONS: Final = ("canary", "end_canary", "promote", "rollback", "set")
"""What admins may do to the route table."""
_CHANGE: Final = _object(
    {
        "action": {"enum": list(ACTIONS)},
        "agent": _TEXT,
        "step": _TEXT,
        "target": _TEXT,
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "why": _TEXT,
        "repin": {"type": "boolean"},
        "expected": {"type": "integer"},
    },
    *("action", "why"),
)

KEYS: Final[dict[str, Any]] = {"key": {"type": "http", "scheme": "bearer"}}
ABOUT: Final[dict[str, Any]] = {
    "version": "1",
    "description": "OpenAI-compatible; every step of an agent is answered by what the route table says.",
}
CHAT: Final[dict[str, Any]] = {
    "summary": "A chat completion, whole or streamed.",
    "openapi_extra": _takes(_REQUEST),
    "responses": _answers(_OBJECT, *_READ, 404, 422, 429, 500, 502, 503, 504),
}
MODELS: Final[dict[str, Any]] = {
    "summary": "The agents and steps that have routes.",
    "openapi_extra": _KEYED,
    "responses": _answers(_OBJECT, 401, 403, 503),
}
MODEL: Final[dict[str, Any]] = {
    "summary": "One of them.",
    "openapi_extra": _KEYED,
    "responses": _answers(_OBJECT, 401, 403, 404, 503),
}
FEEDBACK: Final[dict[str, Any]] = {
    "summary": "A judgement of a response, a step or a conversation.",
    "openapi_extra": _takes(_OBJECT),
    "responses": _answers(_OBJECT, *_READ, 404, 409, 422, 429, 503),
}
ROUTES: Final[dict[str, Any]] = {
    "summary": "The route table (admins).",
    "openapi_extra": _KEYED,
    "responses": _answers(_OBJECT, 401, 403, 503),
}
CHANGE: Final[dict[str, Any]] = {
    "summary": "Change the route table (admins).",
    "openapi_extra": _takes(_CHANGE),
    "responses": _answers(_OBJECT, *_READ, 404, 409, 503),
}
METRICS: Final[dict[str, Any]] = {
    "summary": "Prometheus metrics.",
    "responses": {200: {"description": "In Prometheus' text form.", "content": {"text/plain": {"schema": _TEXT}}}},
}
HEALTH: Final[dict[str, Any]] = {"summary": "Whether the router runs.", "responses": _answers(_OBJECT)}
READY: Final[dict[str, Any]] = {
    "summary": "Whether everything that new conversations are led to can answer, and which revision they get.",
    "responses": {**_answers(_OBJECT), 503: {"description": "Not yet, or no more.", **_content(_OBJECT)}},
}


def revision(found: Revision) -> dict[str, Any]:
    """A revision as plain JSON."""
    return {
        **asdict(found),
        "routes": [
            asdict(route) | {"live": _target(route.live), "canary": route.canary and _target(route.canary)}
            for route in found.routes
        ],
    }


def _target(target: Target) -> dict[str, str]:
    return {"kind": target.kind.value, "name": target.name}
