"""What speculation gains on the shipped scenarios' tool calls, one request at a time (see README.md).

    python tests/bench/turbo.py [--requests 16] [--earlier 24] [--dialect guided|hermes|both] [--base]

Each answer of the golden conversations is written by a real vLLM with the embedded model and a LoRA adapter, the
grammar forcing its words, so that every server writes the same tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from agentkit.config import Sampling
from agentkit.play.agents.chat import ChatAgent
from agentkit.scenario import load
from agentkit.serve import EngineSettings, embedded_model
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.embedded import NAME
from agentkit.serve.turbo import LOOKUP, Sample, golden_traffic
from agentkit.serve.turbo.measure import Speed, speed
from agentkit.serve.turbo.payoff import at_least
from agentkit.serve.turbo.traffic import asking
from agentkit.tune import publish
from tests.serve.fleet.real_lora import write_real_lora
from tests.tune.small_lora import make_card

ROOT = Path(__file__).parents[2]


def agent(dialect: str) -> ChatAgent:
    from agentkit.config import load_config

    shipped = asking(load_config(ROOT))
    return shipped if dialect == "guided" else ChatAgent(shipped.name, shipped.model, Sampling())


def adapter(folder: Path) -> AdapterFolder:
    """Of random numbers: what an adapter costs does not depend on them, and the words are forced."""
    return publish(write_real_lora(folder / "trained"), folder / "adapters", make_card(embedded_model()))


async def traffic(dialect: str, requests: int) -> tuple[Sample, ...]:
    return await golden_traffic(load([ROOT / "scenarios"]), agent(dialect), requests)


async def measure(dialect: str, options: argparse.Namespace, adapted: AdapterFolder | None) -> list[tuple[str, Speed]]:
    samples = await traffic(dialect, options.earlier + options.requests)
    earlier, samples = samples[: options.earlier], samples[options.earlier :]
    found = []
    for given in ("null", *(options.speculative or [json.dumps(LOOKUP)])):
        speculative: Mapping[str, Any] | None = json.loads(given)
        room = 0 if adapted is None else 1
        settings = EngineSettings(max_loras=room, max_cpu_loras=room, speculative=speculative)
        took = await speed(embedded_model(), NAME, settings, samples, adapted, earlier=earlier)
        found.append(("without" if speculative is None else given, took))
        plain = found[0][1]
        times = took.tokens_per_second / plain.tokens_per_second
        print(
            f"{dialect:<7} {took.tokens_per_second:6.1f} tokens/s, {times:5.2f} times (at least "
            f"{at_least(plain, took):5.2f}); once the first is there {took.writing:6.1f}, "
            f"{took.writing / plain.writing:5.2f} times; {sum(it.tokens for it in took.requests)} tokens; "
            f"{found[-1][0]}",
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--earlier", type=int, default=24, help="requests that are answered before, all at once")
    parser.add_argument("--dialect", choices=("guided", "hermes", "both"), default="both")
    parser.add_argument("--base", action="store_true", help="the base model, with no adapter")
    parser.add_argument("--speculative", action="append", help="instead of the default; may be given several times")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        adapted = None if options.base else adapter(Path(folder))
        for dialect in ("guided", "hermes") if options.dialect == "both" else (options.dialect,):
            asyncio.run(measure(dialect, options, adapted))


if __name__ == "__main__":
    main()
