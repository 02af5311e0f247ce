"""Groups of users who talk side by side."""

from __future__ import annotations

import threading
import time

import pytest

from agentkit.errors import AgentkitError
from agentkit.loop.crowd import Crowd
from agentkit.records import RunId, Trial
from tests.store.records import make_trial


class Users:
    """Each group's conversations take as long as `going` is not set; counts who talks at once."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.seeds: list[int] = []
        self.at_once = 0
        self.most = 0
        self.fails_at = fails_at
        self._lock = threading.Lock()

    def talk(self, trials: int, seed: int) -> list[Trial]:
        with self._lock:
            self.seeds.append(seed)
            if len(self.seeds) == self.fails_at:
                raise OSError("the router is gone")
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.01)
        with self._lock:
            self.at_once -= 1
        return [make_trial(RunId("r"), 0)] * trials


def test_groups_talk_at_once_each_with_a_seed_of_its_own_and_are_counted() -> None:
    told: list[str] = []
    users = Users()
    crowd = Crowd(users, told.append, seed=100)
    crowd.talk(40)
    crowd.talk_while(lambda: crowd.talks < 120)
    assert users.most > 1
    assert len(set(users.seeds)) == len(users.seeds)
    other = Users()
    Crowd(other, told.append, seed=101).talk(2)
    assert other.seeds[0] not in users.seeds
    assert crowd.talks == 40 + 2 * (len(users.seeds) - 1)
    assert 120 <= crowd.talks < 120 + 8 * 2
    assert told[0] == "40 conversations of simulated users so far"
    assert len(told) == crowd.talks // 20 - 1


def test_those_under_way_when_it_is_wanted_no_more_are_waited_for_and_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Three(Users):
        """Three conversations come to their end, all others only after it is wanted no more."""

        def talk(self, trials: int, seed: int) -> list[Trial]:
            with self._lock:
                self.seeds.append(seed)
                number = len(self.seeds)
            if number == 3:
                more.wait(30)
            elif number > 3:
                more.set()
                late.wait(30)
            return [make_trial(RunId("r"), 0)] * trials

    def wanted() -> bool:
        if crowd.talks < 6:
            return True
        threading.Timer(0.1, late.set).start()
        return False

    monkeypatch.setattr("agentkit.loop.crowd._REST", 0.01)
    more, late, users = threading.Event(), threading.Event(), Three()
    crowd = Crowd(users, lambda _: None, seed=0)
    assert crowd.talk_while(wanted) == 6
    assert crowd.talks == 2 * len(users.seeds) > 6


def test_they_talk_while_it_is_wanted_and_all_are_heard_at_the_end() -> None:
    users = Users()
    crowd = Crowd(users, lambda _: None, seed=0)
    with crowd.talking(lambda: False):
        time.sleep(0.05)
    assert users.seeds == []
    with crowd.talking(lambda: True):
        time.sleep(0.05)
    assert crowd.talks == 2 * len(users.seeds) > 0


def test_what_users_could_not_do_is_an_error_and_ends_the_waiting() -> None:
    crowd = Crowd(Users(fails_at=3), lambda _: None, seed=0)
    with pytest.raises(AgentkitError, match="the simulated users could not go on: the router is gone"):
        crowd.talk_while(lambda: True)


def test_whoever_waits_for_them_is_told_while_they_are_still_wanted() -> None:
    crowd, asked = Crowd(Users(fails_at=3), lambda _: None, seed=0), threading.Event()

    def wait() -> None:
        with crowd.talking(lambda: True):
            for _ in range(3000):
                crowd.check()
                asked.wait(0.01)

    with pytest.raises(AgentkitError, match="the simulated users could not go on: the router is gone"):
        wait()


def test_where_what_happens_inside_fails_that_is_told_and_nobody_is_waited_for() -> None:
    class Slow(Users):
        def talk(self, trials: int, seed: int) -> list[Trial]:
            begun.set()
            end.wait(30)
            return [make_trial(RunId("r"), 0)] * trials

    begun, end = threading.Event(), threading.Event()

    def interrupted() -> None:
        with Crowd(Slow(), lambda _: None, seed=0).talking(lambda: True):
            begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not end.is_set()
    end.set()
