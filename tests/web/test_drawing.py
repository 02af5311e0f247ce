"""Drawing elsewhere."""

from __future__ import annotations

import operator
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentkit.web.drawing import Drawer


@pytest.mark.slow
def test_calls_from_many_threads_go_to_one_process_which_is_started_again_where_it_dies() -> None:
    drawer = Drawer()
    try:
        with ThreadPoolExecutor(4) as pool:
            found = set(pool.map(lambda _: drawer(os.getpid), range(12)))
        assert len(found) == 1
        assert os.getpid() not in found
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            drawer(operator.truediv, 1, 0)
        with pytest.raises(RuntimeError, match="has died"):
            drawer(os._exit, 1)
        assert drawer(os.getpid) not in found
    finally:
        drawer.close()
