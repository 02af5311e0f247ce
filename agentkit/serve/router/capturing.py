"""What the router needs of whoever keeps its traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agentkit.records import Exchange


class Figures(Protocol):
    """How keeping goes, as counts since the start."""

    @property
    def offered(self) -> int: ...
    @property
    def stored(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def spilled(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def alarm(self) -> object: ...


class Capturing(Protocol):
    """Keeps exchanges off a request's path."""

    def offer(self, exchange: Exchange, *, size: int | None = None) -> bool:
        """`size`: about how many bytes it holds, where that is known."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def figures(self) -> Figures: ...


@dataclass(frozen=True, slots=True)
class NoFigures:
    """Nothing is kept."""

    offered: int = 0
    stored: int = 0
    dropped: int = 0
    spilled: int = 0
    depth: int = 0
    alarm: bool = False


class NoCapture:
    """Keeps nothing."""

    figures = NoFigures()

    def offer(self, exchange: Exchange, *, size: int | None = None) -> bool:
        return False

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass
