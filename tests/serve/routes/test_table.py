"""The table as a process sees it: conversations keep their revision, arms are sticky, changes elsewhere arrive."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from agentkit.errors import StoreError
from agentkit.records import Arm, ConversationId, Route
from agentkit.serve.routes import RouteTable, end_canary, promote, rollback, set_canary, set_live
from agentkit.serve.routes.arms import arm_of
from agentkit.store import Store
from tests.serve.routes.conftest import BASE, CLOUD, A, B, Clock

ROOT = Path(__file__).parents[3]
SAID = {"by": "cli", "why": "because"}
MANY = [ConversationId(f"c{number}") for number in range(2_000)]


def ask(table: RouteTable, conversation: str = "c", step: str = "refund") -> tuple[int, str]:
    found = table.resolve(ConversationId(conversation), "till", step)
    return found.revision, str(found.target)


def in_arm(table: RouteTable, arm: Arm) -> str:
    """A conversation that the canary at till/refund has, or has not."""
    route = next(it for it in table.current.routes if it.canary is not None)
    return next(name for name in MANY if arm_of(route, name) is arm)


def test_the_most_special_route_answers(store: Store, table: RouteTable) -> None:
    set_live(store, "*", "greet", CLOUD, **SAID)
    set_live(store, "till", "*", A, force=True, **SAID)
    set_live(store, "till", "refund", B, force=True, **SAID)
    table.refresh()
    asked = [("till", "refund"), ("till", "greet"), ("till", ""), ("shop", "greet"), ("shop", "refund"), ("", "")]
    found = [str(table.resolve(ConversationId("c"), agent, step).target) for agent, step in asked]
    assert found == [B.name, A.name, A.name, "cloud", "base", "base"]


def test_a_conversation_keeps_its_revision_until_it_was_idle(store: Store, table: RouteTable, clock: Clock) -> None:
    assert ask(table) == (1, "base")
    set_live(store, "*", "*", CLOUD, **SAID)
    table.refresh()
    assert ask(table, "new") == (2, "cloud")
    for _ in range(3):
        clock.wait(29)
        assert ask(table) == (1, "base")
    clock.wait(30.1)
    assert ask(table) == (2, "cloud")


def test_a_revision_takes_conversations_once_its_adapters_are_up(store: Store, table: RouteTable) -> None:
    up: set[str] = set()
    table.begin_once_up(lambda name: name in up)
    set_live(store, "till", "*", A, force=True, **SAID)
    table.refresh()
    assert ask(table, "early") == (1, "base")
    assert (table.begun.number, table.current.number) == (1, 2)
    assert A.name in table.adapters_needed(), "so that it is loaded"
    up.add(A.name)
    table.refresh()
    assert (table.begun.number, *ask(table, "late")) == (2, 2, A.name)
    assert ask(table, "early") == (1, "base")
    up.clear()
    set_live(store, "till", "greet", CLOUD, **SAID)
    table.refresh()
    assert ask(table, "later") == (3, A.name), "what was up once is waited for by its requests"


@pytest.mark.parametrize("repin", [True, False])
def test_a_rollback_waits_for_nothing(store: Store, table: RouteTable, repin: bool) -> None:
    up = {A.name}
    table.begin_once_up(lambda name: name in up)
    set_live(store, "till", "*", A, force=True, **SAID)
    table.refresh()
    set_live(store, "till", "*", CLOUD, **SAID)
    table.refresh()
    assert ask(table, "before") == (3, "cloud")
    up.clear()
    rollback(store, repin=repin, **SAID)
    table.refresh()
    assert ask(table, "after") == (4, A.name)


def test_a_restart_lets_in_no_canary_that_waits(store: Store, clock: Clock) -> None:
    up: set[str] = set()
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    set_live(store, "till", "greet", CLOUD, **SAID)
    again = RouteTable(store, clock=clock)
    again.begin_once_up(lambda name: name in up)
    assert (again.begun.number, again.current.number) == (1, 3)
    assert {ask(again, name) for name in MANY[:50]} == {(1, "base")}
    assert again.adapters_needed() == {A.name}, "so that it is loaded"
    up.add(A.name)
    again.refresh()
    assert again.begun.number == 3
    again.close()


def test_a_restart_takes_nothing_back_that_had_begun(store: Store, table: RouteTable, clock: Clock) -> None:
    set_live(store, "till", "*", B, force=True, **SAID)
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    set_live(store, "till", "greet", CLOUD, **SAID)
    table.refresh()
    ask(table, "before")
    table.flush()
    clock.wait(120)
    set_canary(store, "shop", "refund", A, 0.5, **SAID)
    set_canary(store, "shop", "greet", B, 0.5, **SAID)
    again = RouteTable(store, clock=clock)
    again.begin_once_up(lambda _: False)
    assert again.begun.number == 6, "whose adapters are those of what had begun"
    assert (ask(again, "new", "greet"), ask(again, "new", "")) == ((6, "cloud"), (6, B.name))
    again.close()


def test_a_restart_keeps_a_rollback(store: Store, clock: Clock) -> None:
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    set_live(store, "till", "greet", CLOUD, **SAID)
    rollback(store, **SAID)
    again = RouteTable(store, clock=clock)
    again.begin_once_up(lambda _: False)
    assert (again.begun.number, ask(again, "new", "greet")) == (4, (4, "base"))
    again.close()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_canary_has_its_share(share: float) -> None:
    route = Route("till", "refund", BASE, A, share)
    had = sum(arm_of(route, name) is Arm.CANARY for name in MANY)
    assert had == pytest.approx(share * len(MANY), abs=4 * (len(MANY) * share * (1 - share)) ** 0.5)


def test_a_greater_share_keeps_those_who_were_in_the_canary() -> None:
    small, large = (
        {name for name in MANY if arm_of(Route("till", "refund", BASE, A, share), name) is Arm.CANARY}
        for share in (0.1, 0.3)
    )
    assert small < large


def test_another_canary_divides_conversations_anew() -> None:
    def had(route: Route) -> set[ConversationId]:
        return {name for name in MANY if arm_of(route, name) is Arm.CANARY}

    one = had(Route("till", "refund", BASE, A, 0.5))
    for other in (Route("till", "refund", BASE, B, 0.5), Route("till", "greet", BASE, A, 0.5)):
        assert len(one & had(other)) == pytest.approx(len(MANY) / 4, abs=100)


@pytest.mark.slow
def test_both_arms_answer_and_say_so(store: Store, table: RouteTable) -> None:
    set_canary(store, "till", "refund", A, 0.3, **SAID)
    table.refresh()
    found = [table.resolve(name, "till", "refund") for name in MANY]
    assert Counter((it.arm, str(it.target)) for it in found).keys() == {("live", "base"), ("canary", A.name)}
    assert found == [table.resolve(name, "till", "refund") for name in MANY], "and again the same"
    assert table.resolve(MANY[0], "till", "greet").arm is Arm.LIVE
    table.flush()
    stored = {it.conversation: it.arm for it in store.pins(limit=9_999)}
    assert stored == {name: it.arm for name, it in zip(MANY, found, strict=True)}


def test_a_rollback_is_for_new_conversations_and_a_safety_rollback_for_all(store: Store, table: RouteTable) -> None:
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    table.refresh()
    had, had_not = in_arm(table, Arm.CANARY), in_arm(table, Arm.LIVE)
    assert (ask(table, had), ask(table, had_not)) == ((2, A.name), (2, "base"))
    rollback(store, **SAID)
    table.refresh()
    assert (ask(table, had), ask(table, "new")) == ((2, A.name), (3, "base"))
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    end_canary(store, "till", "refund", repin=True, **SAID)
    table.refresh()
    assert (ask(table, had), ask(table, had_not), ask(table, "new")) == ((5, "base"), (2, "base"), (3, "base"))
    table.flush()
    pin, other = store.pin(ConversationId(had)), store.pin(ConversationId(had_not))
    assert pin is not None
    assert other is not None
    assert (pin.revision, pin.arm, pin.repinned_from) == (5, Arm.LIVE, 2)
    assert (other.revision, other.repinned_from) == (2, None), "nothing that it asks for was taken back"


def test_a_safety_rollback_moves_running_conversations_before_they_ask_again(store: Store, table: RouteTable) -> None:
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    table.refresh()
    had = in_arm(table, Arm.CANARY)
    ask(table, had)
    end_canary(store, "till", "refund", repin=True, **SAID)
    table.refresh()
    table.flush()
    pin = store.pin(ConversationId(had))
    assert pin is not None
    assert (pin.revision, pin.repinned_from) == (3, 2)


def test_a_process_that_begins_later_knows_what_was_taken_back(store: Store, table: RouteTable, clock: Clock) -> None:
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    table.refresh()
    had = in_arm(table, Arm.CANARY)
    ask(table, had)
    table.flush()
    end_canary(store, "till", "refund", repin=True, **SAID)
    set_live(store, "*", "*", CLOUD, **SAID)
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    other = RouteTable(store, clock=clock)
    assert ask(other, had) == (3, "base"), "neither what was taken back nor what came after"
    other.close()


def test_adapters_stay_as_long_as_a_conversation_may_ask_for_them(
    store: Store, table: RouteTable, clock: Clock
) -> None:
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    promote(store, "till", "refund", force=True, **SAID)
    table.refresh()
    ask(table, "old")
    set_canary(store, "till", "refund", B, 0.5, **SAID)
    promote(store, "till", "refund", force=True, **SAID)
    table.refresh()
    assert table.adapters_needed() == {A.name, B.name}
    table.flush()
    other = RouteTable(store, clock=clock)
    other.tidy()
    assert other.adapters_needed() == {A.name, B.name}, "for another process's conversation"
    clock.wait(31.5)
    for it in (table, other):
        it.tidy()
        assert it.adapters_needed() == {B.name}
    other.close()


def test_what_was_taken_back_is_not_needed(store: Store, table: RouteTable) -> None:
    set_canary(store, "till", "refund", A, 0.5, **SAID)
    table.refresh()
    for name in MANY[:50]:
        ask(table, name)
    end_canary(store, "till", "refund", repin=True, **SAID)
    table.refresh()
    assert table.adapters_needed() == set()


def test_a_conversation_is_found_by_another_process(store: Store, table: RouteTable, clock: Clock) -> None:
    ask(table)
    table.flush()
    set_live(store, "*", "*", CLOUD, **SAID)
    other = RouteTable(store, clock=clock)
    assert (ask(other), ask(other, "new")) == ((1, "base"), (2, "cloud"))
    other.close()


def test_of_two_processes_at_once_the_one_that_was_first_has_the_word(
    store: Store, table: RouteTable, clock: Clock
) -> None:
    ask(table)
    set_live(store, "*", "*", CLOUD, **SAID)
    other = RouteTable(store, clock=clock)
    assert ask(other) == (2, "cloud"), "the first has written nothing yet"
    table.flush()
    other.flush()
    assert (ask(table), ask(other)) == ((1, "base"), (1, "base"))
    other.close()


def test_the_time_of_the_last_request_reaches_the_store(store: Store, table: RouteTable, clock: Clock) -> None:
    ask(table)
    table.flush()
    first = store.pins()[0].seen_at
    clock.wait(0.5)
    ask(table)
    table.flush()
    assert store.pins()[0].seen_at == first, "not at every request"
    clock.wait(0.6)
    ask(table)
    table.flush()
    assert store.pins()[0].seen_at > first
    clock.wait(0.5)
    ask(table)
    clock.wait(31)
    table.tidy()
    table.flush()
    assert (store.pins()[0].seen_at > first, table._pinned.all()) == (True, []), "and once it has ended, exactly"


class Broken(Store):
    """A store that is down, or that does not answer, as long as it is told so."""

    down = hanging = False
    release = threading.Event()

    def _trouble(self) -> None:
        if self.down:
            raise StoreError("the store is down")
        if self.hanging:
            self.release.wait()

    def pin(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self._trouble()
        return super().pin(*args, **kwargs)

    def set_pins(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self._trouble()
        return super().set_pins(*args, **kwargs)


def test_a_store_that_is_down_stops_no_answer_and_gets_the_pins_later(url: str, clock: Clock) -> None:
    with Broken.open(url) as store:
        table = RouteTable(store, clock=clock)
        store.down = True
        assert ask(table) == (1, "base")
        with pytest.raises(StoreError, match="down"):
            table.flush()
        assert ask(table) == (1, "base")
        store.down = False
        table.flush()
        assert [it.conversation for it in store.pins()] == ["c"]
        table.close()


def test_a_store_that_hangs_is_not_waited_for(url: str, clock: Clock) -> None:
    with Broken.open(url) as store:
        table = RouteTable(store, clock=clock)
        store.hanging = True
        assert [ask(table, name) for name in MANY[:20]] == [(1, "base")] * 20
        store.hanging = False
        store.release.set()
        table.close()
        assert len(store.pins()) == 20


@pytest.mark.slow
def test_changes_of_another_process_arrive_by_themselves(store: Store, url: str) -> None:
    table = RouteTable.open(store)
    try:
        asked = ask(table)
        code = (
            "import sys\nfrom agentkit.serve.routes import set_live\nfrom agentkit.store import Store\n"
            "from tests.serve.routes.conftest import CLOUD\n"
            "with Store.open(sys.argv[1]) as store:\n    set_live(store, '*', '*', CLOUD, by='cli', why='because')\n"
        )
        subprocess.run([sys.executable, "-c", code, url], check=True, cwd=ROOT)
        deadline = time.monotonic() + 20
        while table.current.number == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (asked, ask(table), ask(table, "new")) == ((1, "base"), (1, "base"), (2, "cloud"))
    finally:
        table.close()
    assert {it.conversation: it.revision for it in store.pins()} == {"c": 1, "new": 2}


def test_threads_that_ask_for_one_conversation_at_once_get_one_answer(store: Store) -> None:
    table = RouteTable.open(store)
    found: list[tuple[int, str]] = []

    def change() -> None:
        for target in (CLOUD, BASE) * 5:
            set_live(store, "*", "*", target, **SAID)

    def client(number: int) -> None:
        for conversation in range(50):
            found.append((conversation, ask(table, f"c{conversation}")[0]))  # type: ignore[arg-type]

    threads = [threading.Thread(target=change), *(threading.Thread(target=client, args=(n,)) for n in range(4))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table.close()
    assert len(set(found)) == 50, "one revision a conversation"
