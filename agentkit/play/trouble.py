"""Whose fault is it that an agent raised: the agent's own, or a provider's that it depends on."""

from __future__ import annotations

from collections.abc import Mapping

from agentkit.errors import ProviderError
from agentkit.grade.text import shortened
from agentkit.llm.retry import kind_of
from agentkit.records import Stop
from agentkit.redact import redact

_CONTEXT_OVERFLOW = ("context length", "context_length", "maximum context", "tokens in the prompt cannot exceed")
_PASSING = ("rate_limit", "server", "timeout", "connection")
"""Kinds of a provider's trouble that say nothing of the request."""


class TurnLimitReached(Exception):
    """An agent that drives its own loop ran into its own limit."""


class TimeLimitReached(Exception):
    """The agent took longer than it may."""


def agent_trouble(error: BaseException) -> tuple[Stop, str]:
    """Why the trial ends, and the reason in words.

    A provider's trouble makes it invalid. Exceptions of client libraries are known by what they carry: a
    `status_code` (or a `response` that has one) that may pass, or a lost connection. Everything else is the
    agent's own fault. A prompt longer than the model's context is the agent's token limit; trouble that may pass is not
    about the prompt, whatever it says.
    """
    if isinstance(error, TimeLimitReached):
        return Stop.TIME_LIMIT, str(error)
    if isinstance(error, TurnLimitReached):
        return Stop.TURN_LIMIT, str(error)
    reason = shortened(redact(f"{type(error).__name__}: {error}"), 500)
    providers, passing = _trouble(error)
    if not passing and any(sign in str(error).lower() for sign in _CONTEXT_OVERFLOW):
        return Stop.TOKEN_LIMIT, reason
    return (Stop.INVALID if providers else Stop.AGENT_ERROR), reason


def _trouble(error: BaseException) -> tuple[bool, bool]:
    """Whether it is a provider's, and whether it may pass."""
    if isinstance(error, ProviderError):
        return True, error.kind in _PASSING
    if isinstance(error, ConnectionError | TimeoutError):
        return True, True
    status = _status(error)
    if status is not None:
        again = kind_of(status)[1]
        return again, again
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"TransportError", "APIConnectionError", "ClientConnectionError"}:
        return True, True
    cause = error.__cause__
    return (False, False) if cause is None or cause is error else _trouble(cause)


def _status(error: BaseException) -> int | None:
    """The HTTP status that an exception carries; botocore's has it in a mapping."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        metadata = response.get("ResponseMetadata")
        status = metadata.get("HTTPStatusCode") if isinstance(metadata, Mapping) else None
    else:
        status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    return status if isinstance(status, int) else None
