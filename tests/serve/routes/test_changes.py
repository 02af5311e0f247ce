"""Every change is one new revision, the adapters' states go with it, and nothing goes live that did not earn it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from agentkit.errors import ExitCode, StoreError, UsageError
from agentkit.records import AdapterState, Route, Target, TargetKind
from agentkit.serve.routes import (
    Refused,
    end_canaries,
    end_canary,
    newest,
    parse_route,
    parse_target,
    promote,
    rollback,
    set_canary,
    set_live,
    set_several,
)
from agentkit.store import Store
from tests.serve.canary.traffic import play
from tests.serve.routes.conftest import BASE, CLOUD, A, B, state

SAID = {"by": "cli", "why": "because"}
ALL = Route("*", "*", BASE)


def canary(store: Store, target: Target = A, share: float = 0.5) -> None:
    set_canary(store, "till", "refund", target, share, **SAID)


def clean(store: Store) -> None:
    play(store, good={"live": 0.6, "canary": 0.95}, conversations=400)


def promoted(store: Store, target: Target = A) -> None:
    canary(store, target)
    clean(store)
    promote(store, "till", "refund", **SAID)


def test_a_new_store_is_answered_by_the_base_model(store: Store) -> None:
    first = newest(store)
    assert (first.number, first.routes, first.parent) == (1, (ALL,), None)
    assert newest(store) == first


def test_a_canary_is_a_revision_and_a_state(store: Store) -> None:
    made = set_canary(store, "till", "refund", A, 0.1, by="loop", why="to be tried", evidence={"job": "j1"})
    assert (made.number, made.parent, made.by, made.why, made.evidence) == (2, 1, "loop", "to be tried", {"job": "j1"})
    assert made.routes == (ALL, Route("till", "refund", BASE, A, 0.1))
    assert store.revision(2) == made
    assert state(store, A) is AdapterState.CANARY
    assert set_canary(store, "till", "refund", A, 0.1, **SAID) == made, "changes nothing, and so is no revision"
    assert set_canary(store, "till", "refund", A, 0.3, **SAID).routes[1].share == 0.3


def test_a_canary_that_ends_is_a_candidate_again(store: Store) -> None:
    canary(store)
    made = end_canary(store, "till", "refund", **SAID)
    assert made.routes == (ALL, Route("till", "refund", BASE))
    assert (made.evidence, state(store, A)) == (None, AdapterState.CANDIDATE)
    with pytest.raises(UsageError, match="till/refund has no canary: no route has one"):
        end_canary(store, "till", "refund", **SAID)


def test_a_canary_of_another_is_not_ended_by_mistake(store: Store) -> None:
    canary(store, B)
    with pytest.raises(UsageError, match=r"refund-v2-77aa is the canary by now, expected refund-v1-3fa9"):
        end_canary(store, "till", "refund", target=A, **SAID)
    with pytest.raises(UsageError, match="another begins"):
        canary(store, A)
    with pytest.raises(UsageError, match=r"till/refudn has no canary \(did you mean 'till/refund'"):
        end_canary(store, "till", "refudn", **SAID)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_share_is_between_nothing_and_all(store: Store, share: float) -> None:
    with pytest.raises(UsageError, match="expected more than 0 and less than 1"):
        canary(store, A, share)
    assert newest(store).number == 1


def test_what_answers_already_is_no_canary(store: Store) -> None:
    with pytest.raises(UsageError, match="base is what answers there already"):
        canary(store, BASE)


def test_nothing_is_promoted_without_a_certificate_and_a_clean_canary(store: Store) -> None:
    store.set_certificate(store.adapter(A.name).name, {"verdict": "inconclusive"})
    canary(store)
    with pytest.raises(Refused) as refused:
        promote(store, "till", "refund", **SAID)
    assert refused.value.exit_code is ExitCode.FAIL
    for words in ("'inconclusive', expected one that says 'promote'", "not clean: going", "50 more judged"):
        assert words in str(refused.value)
    clean(store)
    with pytest.raises(Refused, match="'inconclusive', expected"):
        promote(store, "till", "refund", **SAID)
    store.set_certificate(store.adapter(A.name).name, {"verdict": "promote"})
    made = promote(store, "till", "refund", **SAID)
    assert made.routes == (ALL, Route("till", "refund", A))
    assert state(store, A) is AdapterState.LIVE
    assert made.evidence is not None
    assert made.evidence["certificate"]["verdict"] == "promote"
    assert made.evidence["canary"]["verdict"] == "clean"
    assert "forced" not in made.evidence


def test_an_upstream_needs_no_certificate_but_a_clean_canary(store: Store) -> None:
    canary(store, CLOUD)
    with pytest.raises(Refused) as refused:
        promote(store, "till", "refund", **SAID)
    assert "certificate" not in str(refused.value)
    clean(store)
    assert promote(store, "till", "refund", **SAID).routes[1] == Route("till", "refund", CLOUD)


def test_what_is_forced_says_what_was_missing(store: Store) -> None:
    canary(store)
    made = promote(store, "till", "refund", by="cli", why="the boss said so", force=True)
    assert made.evidence is not None
    assert made.evidence["forced"][0].startswith("the canary is not clean: going")
    assert (made.why, state(store, A)) == ("the boss said so", AdapterState.LIVE)


def test_an_adapter_goes_live_by_promotion_or_by_force(store: Store) -> None:
    with pytest.raises(Refused, match="refund-v1-3fa9 is candidate and was never promoted"):
        set_live(store, "till", "refund", A, **SAID)
    assert (newest(store).number, state(store, A)) == (1, AdapterState.CANDIDATE)
    made = set_live(store, "till", "refund", A, force=True, **SAID)
    assert (made.evidence, state(store, A)) == (
        {"forced": ["refund-v1-3fa9 is candidate and was never promoted"]},
        AdapterState.LIVE,
    )
    assert set_live(store, "till", "greet", A, **SAID).number == 3, "it is live elsewhere"
    set_live(store, "till", "refund", BASE, **SAID)
    assert state(store, A) is AdapterState.LIVE, "at another step it still is"
    set_live(store, "till", "greet", BASE, **SAID)
    assert state(store, A) is AdapterState.RETIRED
    with pytest.raises(UsageError, match="retired"):
        canary(store)


def test_several_routes_are_one_revision(store: Store) -> None:
    made = set_several(store, {("till", "refund"): CLOUD, ("*", "greet"): CLOUD}, **SAID)
    assert (made.number, len(made.routes)) == (2, 3)


def test_an_adapter_that_nobody_knows_changes_nothing(store: Store) -> None:
    with pytest.raises(StoreError, match="no adapter 'refnud-v1-3fa9' is registered"):
        canary(store, Target(TargetKind.ADAPTER, "refnud-v1-3fa9"))
    with pytest.raises(UsageError, match=r"no adapter 'refund-v1' is registered \(did you mean 'refund-v1-3fa9'"):
        canary(store, Target(TargetKind.ADAPTER, "refund-v1"))


def test_a_promotion_is_rolled_back_and_so_is_what_was_before(store: Store) -> None:
    promoted(store, A)
    assert newest(store).number == 3
    promoted(store, B)
    assert (state(store, A), state(store, B)) == (AdapterState.RETIRED, AdapterState.LIVE)
    back = rollback(store, by="cli", why="B is rude")
    assert back.routes == (ALL, Route("till", "refund", A)), "the canary of B does not come back"
    assert (back.number, back.parent, back.evidence) == (6, 5, {"restores": 4})
    assert (state(store, A), state(store, B)) == (AdapterState.LIVE, AdapterState.RETIRED)
    further = rollback(store, by="cli", why="A is rude, too")
    assert (further.routes, further.evidence) == ((ALL, Route("till", "refund", BASE)), {"restores": 2})
    assert state(store, A) is AdapterState.RETIRED
    assert rollback(store, **SAID).routes == (ALL,)
    with pytest.raises(UsageError, match="there is no earlier table to go back to"):
        rollback(store, **SAID)


def test_a_safety_rollback_names_what_is_taken_back(store: Store) -> None:
    promoted(store, A)
    made = rollback(store, repin=True, **SAID)
    assert made.evidence is not None
    assert made.evidence["withdrawn"] == [
        {"agent": "till", "step": "refund", "kind": "adapter", "name": "refund-v1-3fa9"}
    ]


def test_the_first_revision_cannot_be_rolled_back(store: Store) -> None:
    with pytest.raises(UsageError, match="revision 1: there is no earlier table"):
        rollback(store, **SAID)


def test_who_has_seen_another_table_is_told(store: Store) -> None:
    canary(store)
    with pytest.raises(StoreError, match="at revision 2 by now, expected 1"):
        set_live(store, "till", "greet", CLOUD, expected=1, **SAID)
    assert set_live(store, "till", "greet", CLOUD, expected=2, **SAID).number == 3


def test_a_change_wants_a_reason(store: Store) -> None:
    with pytest.raises(UsageError, match="why: found nothing"):
        set_live(store, "till", "greet", CLOUD, by="cli", why="  ")


def test_many_at_once_lose_no_change(store: Store, url: str) -> None:
    def make(step: int) -> int:
        with Store.open(url) as mine:
            return set_live(mine, "till", f"s{step}", CLOUD, **SAID).number

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(make, range(12)))
    assert sorted(numbers) == list(range(2, 14))
    assert {it.step for it in newest(store).routes} == {"*", *(f"s{step}" for step in range(12))}


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("till/refund", ("till", "refund")),
        ("till", ("till", "*")),
        ("*/*", ("*", "*")),
        ("till/a/b#c", ("till", "a/b#c")),
    ],
)
def test_routes_are_written_with_a_slash(text: str, route: tuple[str, str]) -> None:
    assert parse_route(text) == route


@pytest.mark.parametrize("text", ["", "/", "till/", "/refund", "a\nb/c", "till/ refund", "till/\x1b[2J", "x" * 201])
def test_names_that_no_route_may_have(text: str) -> None:
    with pytest.raises(UsageError, match="expected 1 to 200 printable characters"):
        parse_route(text)


def test_targets_are_named_as_short_as_they_are_clear(store: Store) -> None:
    assert parse_target(store, "base", ()) == BASE
    assert parse_target(store, "refund-v1", ()) == A
    assert parse_target(store, "adapter:refund-v2", ()) == B
    assert parse_target(store, "cloud", ("cloud",)) == CLOUD
    assert parse_target(store, "upstream:cloud", ("cloud",)) == CLOUD
    for text, words in (
        ("clod", r"nothing is called 'clod' that could answer \(did you mean 'cloud'"),
        ("upstream:clod", r"no upstream 'clod' is configured \(did you mean 'cloud'"),
        ("refund", "begins the names of several adapters"),
        ("", "nothing is called ''"),
    ):
        with pytest.raises(UsageError, match=words):
            parse_target(store, text, ("cloud",))
    with pytest.raises(UsageError, match="is an adapter and an upstream"):
        parse_target(store, A.name, (A.name,))


def test_what_cannot_be_served_is_a_canary_nowhere(store: Store) -> None:
    canary(store)
    set_canary(store, "till", "greet", A, 0.1, **SAID)
    set_canary(store, "shop", "*", B, 0.1, **SAID)
    made = end_canaries(store, A, by="serve", why="it could not be loaded")
    assert [str(it.canary) for it in made.routes if it.canary is not None] == [B.name]
    assert (made.number, made.by, made.parent) == (5, "serve", 4)
    assert made.evidence is not None
    assert {(it["agent"], it["step"], it["name"]) for it in made.evidence["withdrawn"]} == {
        ("till", "refund", A.name),
        ("till", "greet", A.name),
    }
    assert (state(store, A), state(store, B)) == (AdapterState.CANDIDATE, AdapterState.CANARY)
    assert end_canaries(store, A, by="serve", why="another process was refused, too") == made
    set_canary(store, "till", "refund", A, 0.1, by="cli", why="mended: it was not found to be worse")
