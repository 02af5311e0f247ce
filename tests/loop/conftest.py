"""A store, and plays and trainings that cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.loop import stages as module
from agentkit.records import Run
from agentkit.store import Store
from agentkit.tune.certificate import Promotion
from tests.loop.turns import ADAPTER, Ended
from tests.store.records import make_adapter, make_job, make_run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(tmp_path)
    with Store.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        yield opened


@pytest.fixture
def trained(store: Store, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Plays and trainings that cost nothing: the real ones have tests of their own. Gives how often each was asked."""
    asked = {"play": 0, "tune": 0}
    monkeypatch.setattr(module, "choose_target", lambda *_, **__: None)

    def play(self: object, settings: object, opened: Any) -> Run:
        asked["play"] += 1
        run = make_run(f"r{asked['play']}", planned=4, status="finished")
        store.create_run(run)
        opened(run)
        return run

    def do(self: Any) -> Ended:
        asked["tune"] += 1
        store.add_adapter(make_adapter(ADAPTER.name, certificate={"verdict": "promote"}))
        return Ended(Promotion.PROMOTE, {"verdict": "promote", "sentence": "promote: refund is better"}, ADAPTER.name)

    def job(store: Store, target: str, settings: object) -> Any:
        made = make_job("j1")
        store.create_job(made)
        return made

    monkeypatch.setattr(module.Runs, "play", play)
    monkeypatch.setattr(module.Work, "do", do)
    monkeypatch.setattr(module, "new_job", job)
    return asked
