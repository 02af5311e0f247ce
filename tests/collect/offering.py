"""A process that offers exchanges, and says which are safe, until it is killed.

`python -m tests.collect.offering FOLDER STORE PREFIX PAUSE`: a line `NUMBER SECONDS SPILLED` after each offer, with the
number offered last, when (monotonic), and how many are on the disk.
"""

from __future__ import annotations

import asyncio
import sys
import time

from agentkit.collect.capture import Capture
from agentkit.config import CollectSettings
from agentkit.store import Store
from tests.collect.captured import make_exchange


async def main(folder: str, url: str, prefix: str, pause: str) -> None:
    with Store.open(url) as store:
        capture = Capture(CollectSettings(folder=folder, queue=100_000, retention_days=None), store)
        await capture.start()
        number = 0
        while True:
            if not capture.offer(make_exchange(f"{prefix}-{number}")):
                raise RuntimeError("dropped")
            print(number, time.monotonic(), capture.figures.spilled, flush=True)
            number += 1
            await asyncio.sleep(float(pause))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
