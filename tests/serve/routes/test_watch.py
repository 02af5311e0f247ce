"""A canary's watch: what is worse is taken back by itself, from running conversations, too, and on the record."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentkit.collect.feedback.accept import accept
from agentkit.config.serving import CanarySettings
from agentkit.errors import StoreError
from agentkit.records import AdapterState, Arm, ConversationId, Route, Target, TargetKind
from agentkit.serve.canary import CanaryVerdict, Judgement, Side, look, watched
from agentkit.serve.routes import CanaryWatch, Refused, RouteTable, newest, promote, set_canary, set_live
from agentkit.store import Store
from tests.serve.canary.traffic import AT, add_labels, exchange, play, thumb
from tests.serve.routes.conftest import BASE, CLOUD, A, B, state
from tests.store.records import make_adapter

SAID = {"by": "cli", "why": "because"}
WORSE = {"live": 0.9, "canary": 0.65}


def canary(store: Store, share: float = 0.3) -> None:
    set_canary(store, "till", "refund", A, share, **SAID)


def judged(store: Store) -> Judgement:
    """The canary of till/refund, by what is known now."""
    found = look(store, newest(store), "till", "refund")
    assert found is not None
    return found


def test_a_worse_canary_is_taken_back_and_a_running_conversation_with_it(store: Store, table: RouteTable) -> None:
    canary(store)
    table.refresh()
    names = [ConversationId(f"n{number}") for number in range(40)]
    before = {name: table.resolve(name, "till", "refund") for name in names}
    had = [name for name, it in before.items() if it.target == A]
    assert 0 < len(had) < 40
    watch = CanaryWatch(store, table)
    assert watch.look_once() == []
    assert judged(store).verdict is CanaryVerdict.GOING
    play(store, good=WORSE, conversations=600)
    (made,) = watch.look_once()
    assert made == newest(store) == table.current
    assert made.routes == (Route("*", "*", BASE), Route("till", "refund", BASE))
    assert (made.number, made.by) == (3, "canary")
    assert made.why.startswith("refund-v1-3fa9 is worse than base: conversations judged good: ")
    assert made.evidence is not None
    assert made.evidence["verdict"] == "roll_back"
    first = made.evidence["criteria"][0]
    assert first["e_value"] >= first["needed"] > 30
    assert made.evidence["withdrawn"] == [{"agent": "till", "step": "refund", "kind": "adapter", "name": A.name}]
    assert state(store, A) is AdapterState.CANDIDATE
    for name, it in before.items():
        after = table.resolve(name, "till", "refund")
        assert (str(after.target), after.revision) == ("base", 3 if it.target == A else 2)
    table.flush()
    assert {it.conversation for it in store.pins() if it.repinned_from == 2} == set(had)
    assert watch.look_once() == []


def test_what_people_say_of_the_step_that_an_adapter_repairs_counts_by_itself(store: Store, table: RouteTable) -> None:
    set_canary(store, "till", "*", A, 0.5, **SAID)
    passed = play(store, step="", conversations=400)
    assert CanaryWatch(store, table).look_once() == []
    add_labels(
        store,
        [
            thumb(it, it.arm is Arm.LIVE or number % 3 > 0, response=None, step="refund")
            for number, it in enumerate(passed)
        ],
    )
    (made,) = CanaryWatch(store, table).look_once()
    assert made.why.startswith("refund-v1-3fa9 is worse than base: refund judged good: ")


@pytest.mark.parametrize(
    ("step", "counted"),
    [
        ("refund", "refund"),
        ("shop/refund/golden#refund", "refund"),
        ("skill:refund", "refund"),
        ("tag:x", ""),
        ("re*", ""),
    ],
)
def test_the_step_counts_by_itself_where_the_adapter_is_for_one(store: Store, step: str, counted: str) -> None:
    adapter = make_adapter("refund-v3-1234", step=step, hash="66" * 32, manifest_hash="77" * 32)
    store.add_adapter(adapter)
    set_canary(store, "till", "*", Target(TargetKind.ADAPTER, adapter.name), 0.5, **SAID)
    found = watched(store, newest(store), "till", "*")
    assert found is not None
    assert found.repairs == counted


def test_what_was_thrown_out_does_not_come_back_unforced(store: Store, table: RouteTable) -> None:
    canary(store)
    play(store, good=WORSE, conversations=600)
    assert len(CanaryWatch(store, table).look_once()) == 1
    with pytest.raises(Refused, match=r"refund-v1-3fa9 was thrown out of till/refund in revision 3: .* is worse"):
        canary(store)
    set_canary(store, "till", "refund", A, 0.1, force=True, **SAID)
    assert newest(store).evidence is not None


@pytest.mark.slow
def test_shares_may_change_while_it_runs(store: Store, table: RouteTable) -> None:
    for share in (0.1, 0.3, 0.5):
        canary(store, share)
        play(store, good=WORSE, conversations=150)
    set_live(store, "till", "greet", CLOUD, **SAID)
    play(store, good=WORSE, conversations=150)
    (made,) = CanaryWatch(store, table).look_once()
    assert made.evidence is not None
    assert made.evidence["revisions"] == [2, 3, 4, 5]


def test_only_its_own_step_counts(store: Store, table: RouteTable) -> None:
    canary(store, 0.5)
    set_canary(store, "till", "*", B, 0.5, **SAID)
    play(store, good={"live": 0.9, "canary": 0.4}, step="greet", conversations=300)
    (made,) = CanaryWatch(store, table).look_once()
    assert made.why.startswith("refund-v2-77aa is worse than base")
    assert judged(store).feedback.canary.known == 0
    assert next(it for it in made.routes if it.step == "refund").canary == A


def test_what_was_answered_before_the_canary_is_not_judged_as_its_own(store: Store) -> None:
    """A conversation that another revision began, and that the canary went on with."""
    early = exchange("c", at="2025-05-31T12:00:00.000+00:00", revision=1, arm=Arm.LIVE, target=BASE)
    canary(store)
    late = exchange("c", revision=2, arm=Arm.CANARY, target=A)
    store.add_exchanges([early, late])
    said = {"conversation": early.conversation, "response": None, "at": early.at}
    add_labels(store, [thumb(early, False, step="refund", at=AT), thumb(late, False, **said)])
    assert judged(store).feedback.canary.known == 0
    add_labels(store, [thumb(late, False)])
    assert judged(store).feedback.canary.known == 1


def test_thumbs_for_whole_conversations_count_whichever_step_was_the_last(store: Store) -> None:
    canary(store, 0.5)
    passed = play(store, conversations=20)
    later = "2025-06-01T12:00:01.000+00:00"
    store.add_exchanges(
        [exchange(it.conversation, "goodbye", at=later, revision=2, arm=Arm.LIVE, target=BASE) for it in passed]
    )
    for it in passed:
        accept(store, "shop", {"conversation": it.conversation, "thumb": "down" if it.arm is Arm.CANARY else "up"})
    found = judged(store)
    tried = sum(it.arm is Arm.CANARY for it in passed)
    assert (found.feedback.live, found.feedback.canary) == (Side(20 - tried, 20 - tried), Side(0, tried))


def test_a_canary_beside_another_live_target_begins_anew(store: Store) -> None:
    canary(store, 0.5)
    play(store, good=WORSE, conversations=100)
    set_live(store, "till", "refund", CLOUD, **SAID)
    assert judged(store).feedback.canary.known == 0


def test_several_that_watch_take_it_back_once(store: Store, url: str) -> None:
    canary(store)
    play(store, good=WORSE, conversations=600)

    def watch(_: int) -> int:
        with Store.open(url) as mine:
            table = RouteTable.open(mine)
            try:
                return len(CanaryWatch(mine, table).look_once())
            finally:
                table.close()

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(watch, range(3))) == 1
    assert newest(store).number == 3


async def test_it_runs_in_the_background_and_outlives_a_store_in_trouble(
    store: Store, table: RouteTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary(store)
    play(store, good=WORSE, conversations=600)
    read, down = Store.seen_labels, [True]

    def once_down(self: Store, *args: object, **kwargs: object) -> object:
        if down:
            down.clear()
            raise StoreError("the store is down")
        return read(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "seen_labels", once_down)
    watch = CanaryWatch(store, table, CanarySettings(every=0.01))
    await watch.start()
    async with asyncio.timeout(30):
        while table.current.number < 3:  # noqa: ASYNC110 - a thread of the watch tells nobody
            await asyncio.sleep(0.01)
    await watch.stop()
    await watch.stop()
    assert (down, newest(store).by) == ([], "canary")


def test_after_a_promotion_there_is_nothing_to_watch(store: Store, table: RouteTable) -> None:
    canary(store)
    promote(store, "till", "refund", force=True, **SAID)
    assert CanaryWatch(store, table).look_once() == []
