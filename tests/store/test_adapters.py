"""The registry of adapters: whole rows, found by name, moved from state to state by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from agentkit.errors import StoreError
from agentkit.records import AdapterName, AdapterState
from agentkit.store import NEXT_STATES, Store
from tests.store.records import make_adapter

NAME = make_adapter().name
ROOT = Path(__file__).parents[2]


def test_an_adapter_comes_back_as_it_was(store: Store) -> None:
    plain = make_adapter()
    full = make_adapter(
        "refund-v2-77aa", job=None, parents=(), certificate={"verdict": "better"}, state=AdapterState.LIVE
    )
    store.add_adapter(plain)
    store.add_adapter(full)
    assert store.adapters() == [full, plain], "newest first"
    assert store.adapter(NAME) == plain


def test_adapters_are_found_by_step_and_state(store: Store) -> None:
    store.add_adapter(make_adapter())
    store.add_adapter(make_adapter("greet-v1-aaaa", step="greet", state=AdapterState.CANARY))
    assert [it.name for it in store.adapters(step="refund")] == [NAME]
    assert [it.name for it in store.adapters(state=AdapterState.CANARY)] == ["greet-v1-aaaa"]
    assert store.adapters(step="greet", state=AdapterState.LIVE) == []


def test_an_adapter_is_found_by_a_beginning_that_is_its_own(store: Store) -> None:
    with pytest.raises(StoreError, match="no adapter is registered yet, and so none called 'refund'"):
        store.adapter("refund")
    store.add_adapter(make_adapter())
    store.add_adapter(make_adapter("refund-v2-77aa", hash="44" * 32))
    assert store.adapter("refund-v2").name == "refund-v2-77aa"
    with pytest.raises(StoreError, match="begins the names of several adapters: refund-v2-77aa, refund-v1-3fa9"):
        store.adapter("refund")
    with pytest.raises(StoreError, match=r"no adapter 'refnud-v1-3fa9' is registered \(did you mean 'refund-v1-3fa9'"):
        store.adapter("refnud-v1-3fa9")
    with pytest.raises(StoreError, match="no adapter '%'"):
        store.adapter("%")
    with pytest.raises(StoreError, match="no adapter ''"):
        store.adapter("")


def test_registering_again_changes_nothing(store: Store) -> None:
    store.add_adapter(make_adapter())
    store.set_adapter_state(NAME, AdapterState.CANARY)
    store.add_adapter(make_adapter())
    assert [it.state for it in store.adapters()] == [AdapterState.CANARY]


@pytest.mark.parametrize("changed", [{"hash": "00" * 32}, {"manifest_hash": "00" * 32}])
def test_a_name_belongs_to_one_content(store: Store, changed: dict[str, str]) -> None:
    store.add_adapter(make_adapter())
    with pytest.raises(StoreError, match=f"another adapter is registered as '{NAME}'"):
        store.add_adapter(make_adapter(**changed))
    assert store.adapters() == [make_adapter()]


@pytest.mark.parametrize(("before", "after"), list(product(AdapterState, AdapterState)))
def test_only_certain_states_follow_each_other(store: Store, before: AdapterState, after: AdapterState) -> None:
    store.add_adapter(make_adapter(state=before))
    if after is before or after in NEXT_STATES[before]:
        assert store.set_adapter_state(NAME, after) == make_adapter(state=after) == store.adapter(NAME)
        return
    with pytest.raises(StoreError, match=rf"adapter {NAME} is {before} and cannot become {after}; it can become: \w+"):
        store.set_adapter_state(NAME, after)
    assert store.adapter(NAME).state is before


def test_every_way_to_live_leads_through_a_canary() -> None:
    assert [state for state, following in NEXT_STATES.items() if AdapterState.LIVE in following] == ["canary"]
    assert set(NEXT_STATES) == set(AdapterState)


def test_a_state_or_certificate_wants_the_whole_name(store: Store) -> None:
    store.add_adapter(make_adapter())
    with pytest.raises(StoreError, match=r"no adapter 'refund' is registered \(did you mean 'refund-v1-3fa9'"):
        store.set_adapter_state(AdapterName("refund"), AdapterState.CANARY)
    with pytest.raises(StoreError, match=r"no adapter 'refund' is registered"):
        store.set_certificate(AdapterName("refund"), {})
    assert store.adapters() == [make_adapter()]


def test_a_certificate_is_kept_and_replaced(store: Store) -> None:
    store.add_adapter(make_adapter())
    for verdict in ("better", "worse"):
        given = {"verdict": verdict, "target": {"step": "refund", "before": 0.5, "after": 0.75}}
        assert store.set_certificate(NAME, given).certificate == given
        assert store.adapter(NAME) == make_adapter(certificate=given)


def test_hostile_text_in_a_card_is_kept(store: Store) -> None:
    card = {"data": "'; DROP TABLE adapters; --", "note": "a\0b", "number": float("nan")}
    store.add_adapter(make_adapter(card=card, step="naïve ☃"))
    assert store.adapter(NAME) == make_adapter(step="naïve ☃", card={**card, "number": None})


def test_of_two_that_move_an_adapter_at_once_one_is_told(store: Store, url: str) -> None:
    store.add_adapter(make_adapter(state=AdapterState.CANARY))

    def move(state: AdapterState) -> str:
        with Store.open(url) as other:
            try:
                return other.set_adapter_state(NAME, state).state
            except StoreError as error:
                return str(error)

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(move, (AdapterState.LIVE, AdapterState.CANDIDATE)))
    assert store.adapter(NAME).state in said
    assert sum("cannot become" in it for it in said) == 1


@pytest.mark.slow
def test_processes_that_register_at_once_leave_one_row_for_each(store: Store, url: str) -> None:
    code = (
        "import sys\nfrom agentkit.store import Store\nfrom tests.store.records import make_adapter\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    for number in range(20):\n        store.add_adapter(make_adapter(f'refund-v{number}-3fa9'))\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    assert [(worker.communicate()[1], worker.returncode) for worker in workers] == [("", 0)] * 2
    found = store.adapters()
    assert sorted(it.name for it in found) == sorted(f"refund-v{number}-3fa9" for number in range(20))
    assert all(replace(it, name=NAME, path="") == replace(make_adapter(), path="") for it in found)
