"""A fleet that follows the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from agentkit.errors import AdapterError
from agentkit.records import AdapterName, AdapterState, ConversationId, Revision, Route, Target, TargetKind
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.fleet import Fleet, Follower
from agentkit.serve.production import end_refused
from agentkit.serve.routes import RouteTable, set_canary, set_live
from agentkit.store import Store
from tests.serve.fleet.conftest import BASE, Park, adapter_target, until
from tests.store.records import make_adapter as make_row


@dataclass
class Table:
    """Routes of one step."""

    current: Revision = field(default_factory=lambda: Revision(1, (Route("*", "*", BASE),), "", "cli", ""))
    pinned: set[AdapterName] = field(default_factory=set)

    def set(self, live: Target, canary: Target | None = None) -> None:
        routes = (Route("shop", "refund", live, canary, 0.1 if canary else 0.0),)
        self.current = replace(self.current, number=self.current.number + 1, routes=routes)

    def adapters_needed(self) -> set[AdapterName]:
        targets = [it for route in self.current.routes for it in (route.live, route.canary) if it]
        return self.pinned | {AdapterName(it.name) for it in targets if it.kind is TargetKind.ADAPTER}


async def idle(follower: Follower) -> None:
    """Wait until all that was begun is done."""
    while follower._under_way:
        await asyncio.gather(*follower._under_way.values())


async def followed(follower: Follower) -> None:
    """Step until there is nothing left to do: a load can be followed by a merge."""
    for _ in range(3):
        follower.step()
        await idle(follower)


async def test_adapters_come_and_go_with_the_routes(
    make_fleet: Callable[..., Fleet], make_adapter: Callable[..., AdapterFolder]
) -> None:
    one, two = make_adapter(), make_adapter("refund", 2)
    folders, table = {it.name: it for it in (one, two)}, Table()
    async with make_fleet(replicas=1) as fleet:
        follower = Follower(fleet, table, folders.__getitem__, merge=True)
        await followed(follower)
        assert fleet.adapters == frozenset()
        table.set(BASE, adapter_target(one.name))
        await followed(follower)
        assert (fleet.adapters, fleet.merged) == ({one.name}, frozenset())
        assert (fleet.serves(one.name), fleet.serves_merged(one.name)) == (True, False)
        table.set(adapter_target(one.name), adapter_target(two.name))
        await followed(follower)
        assert (fleet.adapters, fleet.merged) == ({one.name, two.name}, {one.name})
        table.pinned = {one.name}
        table.set(adapter_target(two.name))
        await followed(follower)
        assert fleet.merged == {one.name, two.name}, "conversations are still on the first"
        table.pinned = set()
        await followed(follower)
        assert (fleet.adapters, fleet.merged) == ({two.name}, {two.name})


async def test_a_canary_gets_a_replica_of_its_own_where_that_is_wanted(
    make_fleet: Callable[..., Fleet], make_adapter: Callable[..., AdapterFolder]
) -> None:
    one, two = make_adapter(), make_adapter("refund", 2)
    folders, table = {it.name: it for it in (one, two)}, Table()
    async with make_fleet(replicas=1) as fleet:
        follower = Follower(fleet, table, folders.__getitem__, merge=True, canaries=True)
        table.set(adapter_target(one.name), adapter_target(two.name))
        await followed(follower)
        assert fleet.merged == {one.name, two.name}
        assert [fleet.serves_merged(it.name) for it in (one, two)] == [True, True]
        table.set(adapter_target(one.name))
        await followed(follower)
        assert fleet.merged == {one.name}


async def test_what_cannot_be_served_is_told_once_and_hinders_nothing_else(
    make_fleet: Callable[..., Fleet], make_adapter: Callable[..., AdapterFolder], park: Park
) -> None:
    good, table, said = make_adapter("zebra"), Table(), list[str]()

    def find(name: AdapterName) -> AdapterFolder:
        if name != good.name:
            raise AdapterError(f"no adapter is called {name!r}")
        return good

    table.set(adapter_target(AdapterName("bad-v1-3fa9")), adapter_target(good.name))
    async with make_fleet(replicas=1) as fleet:
        follower = Follower(fleet, table, find, tell=said.append)
        await followed(follower)
        assert fleet.adapters == {good.name}
        assert follower.refused == {"bad-v1-3fa9"}
        table.set(adapter_target(good.name))
        await followed(follower)
        assert follower.refused == frozenset()
    assert said == ["load adapter bad-v1-3fa9: no adapter is called 'bad-v1-3fa9'"]
    assert sum("load" in it for it in park.control.events) == 1


CLOUD = Target(TargetKind.UPSTREAM, "cloud")
SAID = {"by": "cli", "why": "because"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


@pytest.fixture
def open_table(store: Store) -> Iterator[Callable[[], RouteTable]]:
    """Makes tables that follow the store only when they are told to."""
    tables: list[RouteTable] = []

    def make() -> RouteTable:
        tables.append(RouteTable(store, clock=lambda: datetime.now(UTC)))
        return tables[-1]

    yield make
    for it in tables:
        it.close()


def following(fleet: Fleet, table: RouteTable, store: Store, adapter: AdapterFolder, said: list[str]) -> Follower:
    end = partial(end_refused, store, table, said.append)
    return Follower(fleet, table, {adapter.name: adapter}.__getitem__, try_again=0.0, end_canary=end)


async def test_a_canary_that_cannot_be_served_ends_and_what_waited_for_it_begins(
    make_fleet: Callable[..., Fleet],
    make_adapter: Callable[..., AdapterFolder],
    park: Park,
    store: Store,
    open_table: Callable[[], RouteTable],
) -> None:
    bad, said = make_adapter(), list[str]()
    store.add_adapter(make_row(bad.name))
    park.control.silent = True
    table, elsewhere = open_table(), open_table()
    async with make_fleet(replicas=1) as fleet:
        table.begin_once_up(fleet.serves)
        follower = following(fleet, table, store, bad, said)
        set_canary(store, "till", "refund", adapter_target(bad.name), 0.5, **SAID)
        set_live(store, "till", "greet", CLOUD, **SAID)
        elsewhere.refresh()  # another router, whose servers do serve it
        theirs = [ConversationId(f"c{number}") for number in range(50)]
        assert {str(elsewhere.resolve(it, "till", "refund").target) for it in theirs} == {"base", bad.name}
        for _ in range(2):
            table.refresh()
            follower.step()
            await idle(follower)
            assert (table.begun.number, table.current.number) == (1, 3)
        follower.step()
        await idle(follower)
        assert (table.begun.number, table.current.number, table.current.by) == (4, 4, "serve")
        assert f"{bad.name} could not be served in 3 tries: " in table.current.why
        assert "answers exactly as the base model does" in table.current.why
        assert said == [f"revision 4: {table.current.why}"]
        found = [table.resolve(ConversationId("new"), "till", step) for step in ("refund", "greet")]
        assert [(it.revision, str(it.target)) for it in found] == [(4, "base"), (4, "cloud")]
        elsewhere.refresh()
        assert {str(elsewhere.resolve(it, "till", "refund").target) for it in theirs} == {"base"}
        follower.step()
        await idle(follower)
        assert (follower.refused, table.current.number) == (frozenset(), 4)
    assert store.adapter(bad.name).state is AdapterState.CANDIDATE


async def test_a_canary_is_not_ended_because_the_servers_are_down(
    make_fleet: Callable[..., Fleet],
    make_adapter: Callable[..., AdapterFolder],
    park: Park,
    store: Store,
    open_table: Callable[[], RouteTable],
) -> None:
    adapter, table = make_adapter(), open_table()
    store.add_adapter(make_row(adapter.name))
    async with make_fleet(replicas=1) as fleet:
        table.begin_once_up(fleet.serves)
        follower = following(fleet, table, store, adapter, [])
        park.control.die = True
        await park.servers[0].kill()
        await until(lambda: not fleet.serving(BASE))
        set_canary(store, "till", "refund", adapter_target(adapter.name), 0.5, **SAID)
        table.refresh()
        for _ in range(5):
            follower.step()
            await idle(follower)
            assert follower.refused == {adapter.name}
        park.control.die = False
        await until(lambda: fleet.serving(BASE))
        follower.step()
        await idle(follower)
        table.refresh()
        assert (table.begun.number, table.current.number) == (2, 2)


async def test_a_canary_whose_own_replica_does_not_come_up_ends_where_it_is_to_have_one(
    make_fleet: Callable[..., Fleet],
    make_adapter: Callable[..., AdapterFolder],
    park: Park,
    store: Store,
    open_table: Callable[[], RouteTable],
) -> None:
    adapter, table = make_adapter(), open_table()
    store.add_adapter(make_row(adapter.name))
    async with make_fleet(replicas=1) as fleet:
        table.begin_once_up(fleet.serves_merged)
        end = partial(end_refused, store, table, lambda _: None)
        find = {adapter.name: adapter}.__getitem__
        follower = Follower(fleet, table, find, merge=True, canaries=True, try_again=0.0, end_canary=end)
        set_canary(store, "till", "refund", adapter_target(adapter.name), 0.5, **SAID)
        table.refresh()
        follower.step()
        await idle(follower)
        park.control.die = True
        for _ in range(3):
            assert (fleet.serves(adapter.name), table.begun.number) == (True, 1)
            follower.step()
            await idle(follower)
        assert (table.begun.number, table.current.by) == (3, "serve")
        assert "did not come up: RuntimeError: not enough memory" in table.current.why


async def test_a_copy_of_what_is_merged_makes_room(
    make_fleet: Callable[..., Fleet], make_adapter: Callable[..., AdapterFolder]
) -> None:
    one, two = make_adapter(), make_adapter("refund", 2)
    async with make_fleet(replicas=1, room=1) as fleet:
        await fleet.load(one)
        await fleet.swap([one])
        await fleet.load(two)
        assert fleet.adapters == {one.name, two.name}
        assert [it.adapters for it in fleet.replicas] == [(two.name,), (one.name,)]


async def test_it_goes_on_after_a_defect(
    make_fleet: Callable[..., Fleet], make_adapter: Callable[..., AdapterFolder]
) -> None:
    adapter, table, said = make_adapter(), Table(), list[str]()
    table.set(adapter_target(adapter.name))
    tried = 0

    def find(name: AdapterName) -> AdapterFolder:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise OSError("disk full")
        return adapter

    async with make_fleet(replicas=1) as fleet:
        follower = Follower(fleet, table, find, interval=0.01, try_again=0.05, tell=said.append)
        following = asyncio.create_task(follower.run())
        await until(lambda: fleet.serving(adapter_target(adapter.name)))
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
    assert said == [f"load adapter {adapter.name}: OSError('disk full')"]
