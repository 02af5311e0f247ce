"""The showing of a turn, as far as it needs no model."""

from __future__ import annotations

import os
from pathlib import Path

from agentkit.config import Config
from agentkit.loop.show import Show
from agentkit.loop.simulated import KEY
from agentkit.store import Store


def test_the_users_key_is_good_as_long_as_they_talk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with Store.open(url) as store:
        with Show(store, Config(), lambda _: None, url, trials=1, share=0.5)._key():
            [key] = store.api_keys()
            assert key.revoked_at is None
            assert os.environ[KEY]
        [key] = store.api_keys()
        assert key.revoked_at is not None
        assert KEY not in os.environ
