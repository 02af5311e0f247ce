"""Judging a canary by what the store holds by now."""

from __future__ import annotations

from agentkit.config.serving import CanarySettings
from agentkit.records import Revision
from agentkit.serve.canary.judge import judge
from agentkit.serve.canary.judgement import Judgement
from agentkit.serve.canary.watched import traffic, watched
from agentkit.store import Store


def look(
    store: Store, current: Revision, agent: str, step: str, settings: CanarySettings | None = None
) -> Judgement | None:
    """Judge the canary of exactly this route in the revision `current`; None where it has none. Blocking."""
    found = watched(store, current, agent, step)
    return None if found is None else judge(found, *traffic(store, found), settings)
