"""`POST /v1/feedback`: judgements, taken in by `agentkit.collect.feedback`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentkit.collect.feedback.accept import accept, receipt
from agentkit.errors import FeedbackError
from agentkit.serve.router.parts import Feedback
from agentkit.serve.router.refused import Refused
from agentkit.store import Store

_CODES = {404: "not_found", 409: "conflict", 413: "request_too_large"}


def feedback_of(store: Store) -> Feedback:
    """What takes judgements in for a store."""

    def take(key: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return receipt(accept(store, key, body))
        except FeedbackError as error:
            raise Refused(error.status, _CODES.get(error.status, "invalid_value"), str(error)) from None

    return take
