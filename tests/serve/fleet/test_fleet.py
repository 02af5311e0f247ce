"""Replicas that come, die and come again; adapters that are answered for only where they were attested."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.errors import AdapterError, EngineError
from agentkit.records import AdapterName, Target, TargetKind
from agentkit.serve import Endpoint
from agentkit.serve.adapter_folder import AdapterFolder
from agentkit.serve.fleet import Fleet, State
from agentkit.serve.upstream import Upstream
from tests.serve.fleet.conftest import BASE, QUICK, SETTINGS, Park, adapter_target, until

MakeFleet = Callable[..., Fleet]
MakeAdapter = Callable[..., AdapterFolder]


def names(fleet: Fleet, target: Target = BASE) -> list[str]:
    return [it.name for it in fleet.serving(target)]


async def test_replicas_serve_and_are_gone_in_the_end(make_fleet: MakeFleet, park: Park) -> None:
    async with make_fleet() as fleet:
        await until(lambda: names(fleet) == ["engine-0", "engine-1"])
        one, two = fleet.serving(BASE)
        assert one.base_url != two.base_url
        assert one.api_key
        assert one.api_key != two.api_key
        assert one.model == "tiny"
        assert [it.state for it in fleet.replicas] == [State.READY, State.READY]
    assert fleet.serving(BASE) == ()


async def test_a_killed_replica_leaves_the_others_and_comes_again(make_fleet: MakeFleet, park: Park) -> None:
    said: list[str] = []
    async with make_fleet(on_progress=said.append) as fleet:
        await until(lambda: len(fleet.serving(BASE)) == 2)
        dead = fleet.serving(BASE)[0]
        await park.servers[0].kill()
        await until(lambda: names(fleet) == ["engine-1"])
        await until(lambda: names(fleet) == ["engine-0", "engine-1"])
        assert fleet.serving(BASE)[0].base_url != dead.base_url
        assert [it.restarts for it in fleet.replicas] == [1, 0]
    assert "engine-0: dead: tiny was killed" in said


async def test_one_that_says_it_is_sick_is_started_again(make_fleet: MakeFleet, park: Park) -> None:
    async with make_fleet(replicas=1) as fleet:
        park.control.sick = True
        await until(lambda: fleet.replicas[0].restarts)
        park.control.sick = False
        await until(lambda: fleet.serving(BASE))
        assert names(fleet) == ["engine-0"]


async def test_a_fleet_of_which_nothing_comes_up_says_why(make_fleet: MakeFleet, park: Park) -> None:
    park.control.die = True
    with pytest.raises(EngineError, match="no replica came up") as caught:
        await make_fleet().__aenter__()
    assert "RuntimeError: not enough memory" in str(caught.value)
    assert "engine-1" in str(caught.value)


async def test_a_process_that_the_system_refuses_is_tried_again(make_fleet: MakeFleet, park: Park) -> None:
    said: list[str] = []
    async with make_fleet(on_progress=said.append) as fleet:
        await until(lambda: len(fleet.serving(BASE)) == 2)
        park.control.no_process = True
        await park.servers[0].kill()
        await until(lambda: fleet.replicas[0].restarts > 2)
        assert names(fleet) == ["engine-1"]
        park.control.no_process = False
        await until(lambda: names(fleet) == ["engine-0", "engine-1"])
    assert "engine-0: dead: OSError(12, 'Cannot allocate memory')" in said


async def test_a_first_start_that_the_system_refuses_is_told(make_fleet: MakeFleet, park: Park) -> None:
    park.control.no_process = True
    with pytest.raises(EngineError, match=r"no replica came up:\nengine-0: OSError\(12, 'Cannot allocate memory'\)"):
        await asyncio.wait_for(make_fleet().__aenter__(), 60)


def test_starts_that_fail_wait_longer_and_longer() -> None:
    assert [QUICK.before_start(failures) for failures in (0, 1, 2, 3, 4)] == [0, 0, 0.02, 0.04, 0.08]
    assert QUICK.before_start(90) == QUICK.longest_backoff


async def test_an_adapter_is_served_once_it_is_attested_on_each(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park
) -> None:
    adapter = make_adapter()
    target = adapter_target(adapter.name)
    async with make_fleet() as fleet:
        await until(lambda: len(fleet.serving(BASE)) == 2)
        assert not fleet.known(target)
        await fleet.load(adapter)
        await fleet.load(adapter)
        assert fleet.known(target)
        assert [(it.name, it.model) for it in fleet.serving(target)] == [
            ("engine-0", adapter.name),
            ("engine-1", adapter.name),
        ]
        assert names(fleet) == ["engine-0", "engine-1"]
        await fleet.unload(adapter.name)
        assert fleet.serving(target) == ()
        assert not fleet.known(target)
    name = adapter.name
    assert park.control.events == [f"tiny load {name} {name}"] * 2 + [f"tiny unload {name}"] * 2


async def test_a_replica_that_comes_again_loads_and_attests_anew(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park
) -> None:
    adapter = make_adapter()
    target = adapter_target(adapter.name)
    async with make_fleet() as fleet:
        await until(lambda: len(fleet.serving(BASE)) == 2)
        await fleet.load(adapter)
        await park.servers[0].kill()
        await until(lambda: names(fleet, target) == ["engine-1"])
        await until(lambda: names(fleet, target) == ["engine-0", "engine-1"])
        park.control.silent = True
        await park.servers[1].kill()
        await until(lambda: "applies nothing" in fleet.replicas[1].why)
        assert names(fleet, target) == ["engine-0"]
        assert names(fleet) == ["engine-0", "engine-1"]


@pytest.mark.parametrize(
    ("trouble", "words"), [("bare", "loads no adapters"), ("no_numbers", "out of memory"), ("refuse", "no room")]
)
async def test_an_adapter_that_does_not_load_takes_no_server_down_and_is_tried_again(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park, trouble: str, words: str
) -> None:
    adapter = make_adapter()
    target = adapter_target(adapter.name)
    async with make_fleet(replicas=1) as fleet:
        await fleet.load(adapter)
        setattr(park.control, trouble, True)
        await park.servers[0].kill()
        await until(lambda: words in fleet.replicas[0].why)
        park.control.events.clear()
        await until(lambda: sum("load" in it.split() for it in park.control.events) > 2)
        assert (names(fleet), fleet.serving(target), fleet.replicas[0].restarts) == (["engine-0"], (), 1)
        setattr(park.control, trouble, False)
        await until(lambda: names(fleet, target) == ["engine-0"])
        await until(lambda: not fleet.replicas[0].why)
        assert fleet.replicas[0].restarts == 1


async def test_a_silent_fall_back_to_the_base_model_is_refused(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park
) -> None:
    adapter = make_adapter()
    park.control.silent = True
    async with make_fleet() as fleet:
        await until(lambda: len(fleet.serving(BASE)) == 2)
        with pytest.raises(AdapterError, match="answers exactly as the base model does"):
            await fleet.load(adapter)
        assert not fleet.known(adapter_target(adapter.name))
        assert names(fleet) == ["engine-0", "engine-1"]
    assert f"tiny unload {adapter.name}" in park.control.events


@pytest.mark.parametrize(("change", "words"), [(-1.0, "-100% of what it changes"), (0.0, "cannot be told")])
async def test_other_numbers_than_peft_s_are_refused(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, change: float, words: str
) -> None:
    async with make_fleet(replicas=1) as fleet:
        with pytest.raises(AdapterError, match=words):
            await fleet.load(make_adapter(change=change))


async def test_what_was_changed_on_the_disk_is_refused(make_fleet: MakeFleet, make_adapter: MakeAdapter) -> None:
    adapter = make_adapter()
    weights = adapter.path / "adapter_model.safetensors"
    weights.chmod(0o644)
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    async with make_fleet(replicas=1) as fleet:
        with pytest.raises(AdapterError, match="was changed"):
            await fleet.load(adapter)


async def test_what_a_server_refuses_is_said(make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park) -> None:
    park.control.refuse = True
    async with make_fleet(replicas=1) as fleet:
        with pytest.raises(AdapterError, match="the server refused it: 400: no room"):
            await fleet.load(make_adapter())


async def test_there_is_room_for_so_many(make_fleet: MakeFleet, make_adapter: MakeAdapter) -> None:
    async with make_fleet(replicas=1, room=1) as fleet:
        await fleet.load(make_adapter())
        with pytest.raises(
            EngineError, match=r"room for 1 adapters, and as many are loaded: refund-v1-.*live_adapters"
        ):
            await fleet.load(make_adapter("greet", 2))
    async with make_fleet(replicas=1, room=0) as fleet:
        with pytest.raises(EngineError, match="no replica can load adapters"):
            await fleet.load(make_adapter())


async def test_room_is_made_by_no_copy_that_alone_answers(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park
) -> None:
    first, second = make_adapter(), make_adapter("greet", 2)
    target = adapter_target(first.name)
    async with make_fleet(replicas=1, room=1) as fleet:
        await fleet.load(first)
        await fleet.swap([first])
        park.control.die = True
        await park.servers[1].kill()
        await until(lambda: not fleet.serves_merged(first.name))
        with pytest.raises(EngineError, match="room for 1 adapters"):
            await fleet.load(second)
        assert names(fleet, target) == ["engine-0"]
        park.control.die = False
        await until(lambda: fleet.serves_merged(first.name))
        await fleet.load(second)
        assert (names(fleet, target), names(fleet, adapter_target(second.name))) == (["merged-1"], ["engine-0"])


async def test_unloading_waits_for_what_is_under_way(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park
) -> None:
    adapter = make_adapter()
    target = adapter_target(adapter.name)
    async with make_fleet(replicas=1) as fleet:
        await fleet.load(adapter)
        (one,) = fleet.serving(target)
        with fleet.using(one), fleet.using(fleet.serving(BASE)[0]):
            unloading = asyncio.create_task(fleet.unload(adapter.name))
            await until(lambda: not fleet.serving(target))
            await asyncio.sleep(0.05)
            assert not unloading.done()
            assert not any("unload" in it for it in park.control.events)
        await unloading
        assert park.control.events[-1] == f"tiny unload {adapter.name}"


async def test_a_swap_moves_over_and_takes_the_old_one_away(make_fleet: MakeFleet, make_adapter: MakeAdapter) -> None:
    first, second = make_adapter(), make_adapter("refund", 2)
    async with make_fleet(replicas=1) as fleet:
        await fleet.load(first)
        await fleet.swap([first])
        (old,) = fleet.serving(adapter_target(first.name))
        assert (old.name, old.model) == ("merged-1", f"tiny+{first.name}")
        assert names(fleet) == ["engine-0"]
        with fleet.using(old):
            swapping = asyncio.create_task(fleet.swap([second]))
            await until(lambda: fleet.serving(adapter_target(second.name)))
            assert names(fleet, adapter_target(second.name)) == ["merged-2"]
            await until(lambda: fleet.replicas[1].state is State.DRAINING)
            assert names(fleet, adapter_target(first.name)) == ["engine-0"], "the copy that is loaded answers"
            assert not swapping.done()
        await swapping
        assert [it.name for it in fleet.replicas] == ["engine-0", "merged-2"]
        await fleet.swap([first], keep=[second.name])
        assert [it.name for it in fleet.replicas] == ["engine-0", "merged-2", "merged-3"]
        await fleet.unload(second.name)
        assert [it.name for it in fleet.replicas] == ["engine-0", "merged-3"]


async def test_a_swap_that_fails_leaves_all_as_it_was(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park
) -> None:
    adapter = make_adapter()
    async with make_fleet(replicas=1) as fleet:
        await fleet.load(adapter)
        park.control.silent = True
        with pytest.raises(EngineError, match="0% of what it changes"):
            await fleet.swap([adapter])
        assert [it.name for it in fleet.replicas] == ["engine-0"]
        assert names(fleet, adapter_target(adapter.name)) == ["engine-0"]


async def test_a_merged_replica_that_dies_is_stood_in_for_and_comes_again(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, park: Park
) -> None:
    adapter = make_adapter()
    target = adapter_target(adapter.name)
    async with make_fleet(replicas=1) as fleet:
        await fleet.load(adapter)
        await fleet.swap([adapter])
        await park.servers[1].kill()
        await until(lambda: names(fleet, target) == ["engine-0"])
        await until(lambda: names(fleet, target) == ["merged-1"])
        assert [it.restarts for it in fleet.replicas] == [0, 1]


async def test_servers_that_run_already_are_asked_and_left_alone(
    make_fleet: MakeFleet, make_adapter: MakeAdapter, base: Path, park: Park
) -> None:
    adapter = make_adapter()
    server = park.make(base, "tiny", SETTINGS)
    endpoint = await server.start()
    try:
        for _ in range(2):
            async with Fleet(base, name="tiny", replicas=0, existing=[endpoint], pace=QUICK) as fleet:
                await fleet.load(adapter)
                assert names(fleet, adapter_target(adapter.name)) == ["existing-0"]
        assert server.ended() is None
        stranger = Endpoint(endpoint.base_url, "other", endpoint.api_key)
        with pytest.raises(EngineError, match="serves no other"):
            await Fleet(base, name="other", replicas=0, existing=[stranger], pace=QUICK).__aenter__()
    finally:
        await server.stop()
    assert park.control.events.count(f"tiny load {adapter.name} {adapter.name}") == 2


async def test_models_elsewhere_are_known_with_no_replica(base: Path) -> None:
    elsewhere = Upstream("big", "https://models.example/v1", "big-1")
    async with Fleet(base, name="tiny", replicas=0, elsewhere={"big": elsewhere}) as fleet:
        assert fleet.serving(Target(TargetKind.UPSTREAM, "big")) == (elsewhere,)
        assert fleet.known(Target(TargetKind.UPSTREAM, "big"))
        assert not fleet.known(Target(TargetKind.UPSTREAM, "small"))
        assert not fleet.known(BASE)
        assert not fleet.known(adapter_target(AdapterName("refund-v1-3fa9")))
