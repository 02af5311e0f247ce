"""Random streams that depend on a seed and a name alone: the same in every process and on every machine."""

from __future__ import annotations

from hashlib import blake2b
from random import Random


def derive(seed: int, *names: str) -> int:
    """A 64-bit number from a seed and the names of what it is for."""
    text = "\x1f".join((str(seed), *names))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def stream(seed: int, *names: str) -> Random:
    """A random stream of its own for what the names name."""
    return Random(derive(seed, *names))
