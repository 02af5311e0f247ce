"""The words of `--agentkit-detours`: which variants of a scenario become items."""

from __future__ import annotations

from agentkit.errors import UsageError
from agentkit.play.words import catalogue_variants, own_variants, refuse_unknown
from agentkit.records import GOLDEN


class Words:
    """What was asked for, and whether any scenario that was collected knows it."""

    def __init__(self, text: str) -> None:
        self._words = [word.strip() for word in text.split(",")]
        self._own: set[str] = set()
        self._unread = False
        """Whether there is a file that says nothing, being broken: whatever is asked for may stand in it."""
        self._wrong: UsageError | None = None
        try:
            self._catalogue = list(catalogue_variants(self._words))
        except UsageError as error:
            self._catalogue, self._wrong = [], error

    def variants(self, own: list[str] | None) -> list[str]:
        """Those of a scenario, by the ids of its own detours; None where its file is broken."""
        if own is None:
            self._unread = True
            own = []
        self._own.update(own)
        return [GOLDEN, *own_variants(own, self._words), *self._catalogue]

    def refuse_unknown(self) -> None:
        """Once all is collected. Raises UsageError where a word names nothing."""
        if not self._unread:
            refuse_unknown(self._words, self._own)
        if self._wrong is not None:
            raise self._wrong
