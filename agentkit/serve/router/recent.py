"""What was answered a moment ago: feedback may come before its exchange is in the store."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 20_000


class Recent:
    """Responses and conversations of the last `seconds`, each known to the key that asked for it alone."""

    def __init__(self, seconds: float = 10.0, *, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._at: OrderedDict[tuple[str, object], float] = OrderedDict()

    def add(self, key: str, *names: str) -> None:
        """They were answered now."""
        for name in names:
            self._at[key, name] = self._now()
            self._at.move_to_end((key, name))
        while len(self._at) > _MOST:
            self._at.popitem(last=False)

    def knows(self, key: str, *names: object) -> bool:
        """Whether any of them was answered to this key a moment ago. What is no text is no name."""
        oldest = self._now() - self._seconds
        return any(isinstance(name, str) and self._at.get((key, name), oldest) > oldest for name in names)
