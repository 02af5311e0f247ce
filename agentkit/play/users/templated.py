"""A user who says the turns' words in another way: every instance sounds different, and no model is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.play.user import Cue, UserLeft
from agentkit.play.users.paraphrase import reword
from agentkit.play.users.phrases import PHRASES
from agentkit.play.users.styles import STYLES, Style, style_of
from agentkit.play.users.values import drawn
from agentkit.records import Message
from agentkit.scenario.streams import stream

VERSION = 1
"""Of the way in which words are changed; the words themselves are part of the definition."""


@dataclass(frozen=True, slots=True)
class TemplatedUser:
    """Equal instances get equal words, in every run and for every agent. `style` overrides the persona's."""

    name: str
    style: str | None = None
    leaves: bool = False
    """Whether the user goes once they have what they came for."""

    async def say(self, cue: Cue) -> Message:
        if self.leaves and cue.satisfied:
            raise UserLeft
        instance = cue.instance
        words = reword(
            cue.meaning,
            self._style(cue),
            stream(instance.seed, "user", instance.scenario, cue.turn.id),
            keep=drawn(cue.meaning, instance.variables),
            opening=cue.index == 0,
        )
        return Message("user", words, turn=cue.index)

    def _style(self, cue: Cue) -> Style:
        """The same in all turns of a conversation."""
        if self.style is not None:
            return STYLES[self.style]
        return style_of(cue.instance.persona.style, stream(cue.instance.seed, "user", cue.instance.scenario, "style"))

    def definition(self) -> Mapping[str, Any]:
        words = repr([STYLES, [(phrase.pattern.pattern, phrase.ways) for phrase in PHRASES]])
        told = {"leaves": True} if self.leaves else {}
        return {
            "kind": "templated",
            "version": VERSION,
            "style": self.style,
            "words": hashlib.sha256(words.encode()).hexdigest()[:16],
            **told,
        }

    async def close(self) -> None:
        return None
