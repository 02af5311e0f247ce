"""Choosing a share of things by their names, so that everybody chooses the same."""

from __future__ import annotations

from hashlib import sha256


def chosen(purpose: str, name: str, share: float) -> bool:
    """Whether something is among a share of its kind. Larger shares hold the smaller; purposes choose independently."""
    digest = sha256(f"{purpose}\0{name}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share
