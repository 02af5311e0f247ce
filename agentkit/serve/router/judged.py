"""`POST /v1/feedback`: judgements, taken in by `agentkit.collect.feedback`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from agentkit.collect.feedback.accept import accept, receipt
from agentkit.errors import FeedbackError
from agentkit.serve.router.parts import Feedback
from agentkit.serve.router.refused import Refused
from agentkit.store import Store

_PAUSES = (0.3, 0.7, 1.0)
"""Seconds between tries to find what is judged: an answer is given before it is recorded, and some judge at once."""
_CODES = {404: "not_found", 409: "conflict", 413: "request_too_large"}


def feedback_of(store: Store) -> Feedback:
    """What takes judgements in for a store."""

    def take(key: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        for pause in (*_PAUSES, None):
            try:
                return receipt(accept(store, key, body))
            except FeedbackError as error:
                if error.status != 404 or pause is None:
                    raise Refused(error.status, _CODES.get(error.status, "invalid_value"), str(error)) from None
            time.sleep(pause)
        raise AssertionError("the last try gives an answer or an error")

    return take
