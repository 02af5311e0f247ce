"""A process that offers exchanges, and says which are safe, until it is killed."""

from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection

from agentkit.collect.capture import Capture
from agentkit.config import CollectSettings
from agentkit.store import Store
from tests.collect.captured import make_exchange


def offer(folder: str, url: str, prefix: str, pause: float, said: Connection) -> None:
    """After each offer says which it was, when (monotonic seconds), and how many are on the disk."""
    asyncio.run(_offer(CollectSettings(folder=folder, queue=100_000, retention_days=None), url, prefix, pause, said))


async def _offer(settings: CollectSettings, url: str, prefix: str, pause: float, said: Connection) -> None:
    with Store.open(url) as store:
        capture = Capture(settings, store)
        await capture.start()
        number = 0
        while True:
            if not capture.offer(make_exchange(f"{prefix}-{number}")):
                raise RuntimeError("dropped")
            said.send((number, time.monotonic(), capture.figures.spilled))
            number += 1
            await asyncio.sleep(pause)
