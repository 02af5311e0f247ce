"""Which answers are drawn by lot, so that two experts judge them."""

from __future__ import annotations

from collections.abc import Iterable

from agentkit.collect.feedback.sample import chosen
from agentkit.config import LabelSettings
from agentkit.records import Feedback, ResponseId


def drawn(response: ResponseId, settings: LabelSettings) -> bool:
    """Whether this one is. It depends on its id alone."""
    return chosen("second", response, settings.second_share)


def lots(said: Iterable[Feedback], settings: LabelSettings) -> frozenset[ResponseId]:
    """Those among the answers of which something was said."""
    return frozenset(it.response for it in said if it.response is not None and drawn(it.response, settings))
