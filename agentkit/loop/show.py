"""A whole turn shown on this machine: a real router and model server, simulated users, and a planted bad adapter.

Nothing of it is told the outcome: users talk, the loop decides by what they say and by its own plays.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from agentkit.config import Config
from agentkit.errors import EngineError
from agentkit.loop.choose import answering
from agentkit.loop.crowd import Crowd
from agentkit.loop.planted import Planted, moments_of, plant
from agentkit.loop.play import Runs
from agentkit.loop.production import Production, answered_by, production
from agentkit.loop.simulated import KEY, SimulatedUsers
from agentkit.loop.stages import STAGES
from agentkit.loop.turn import Turn
from agentkit.records import ANY, Decision, Revision, Target, TargetKind
from agentkit.serve import served_model
from agentkit.serve.keys import new_key
from agentkit.serve.process import ServerProcess
from agentkit.serve.routes import end_canary, newest, set_canary
from agentkit.store import Store

Tell = Callable[[str], None]
_START = 600.0
"""Seconds that the router may take to be ready."""
_THREADS = "OMP_NUM_THREADS"
"""While the loop itself plays and trains, nobody else computes here, and it takes all cores; the servers that answer
users beside each other share them, as they always do."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of it."""

    decision: Decision
    """The turn's last."""
    before: Production
    after: Production | None
    planted: Planted | None
    worse: Production | None
    """Of the planted adapter."""
    thrown_out: Revision | None
    """The revision in which the canary's watch took the planted adapter back."""
    conversations_until: int
    """Of both arms, until it did."""
    seconds: dict[str, float]

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        thrown = self.thrown_out
        return {
            "outcome": self.decision.outcome,
            "why": self.decision.why,
            "before": self.before.document(),
            "after": self.after and self.after.document(),
            "planted": self.planted
            and {
                "adapter": self.planted.adapter.name,
                "right": [self.planted.passed, self.planted.graded],
                "production": self.worse and self.worse.document(),
            },
            "thrown_out": thrown and {"revision": thrown.number, "by": thrown.by, "why": thrown.why},
            "conversations_until_thrown_out": self.conversations_until,
            "seconds": self.seconds,
        }


@dataclass(slots=True)
class Show:
    """The showing of one turn."""

    store: Store
    config: Config
    tell: Tell
    store_url: str
    trials: int
    """Conversations of each variant before and after the turn."""
    share: float
    """Of the conversations that a canary answers, here where nobody can wait for days."""
    seed: int = 0
    drop: float = 0.27
    """How much worse the planted adapter is at its step, in conversations of users."""
    longest: float = 1_500.0
    """Seconds that users go on talking to a canary."""
    _seconds: dict[str, float] = field(default_factory=dict)
    _url: str = ""
    """Of the router."""

    def go(self) -> Shown:
        """Play it all; raises AgentkitError where a part of it fails."""
        turn = Turn.open(self.store, self._config(), tell=self.tell)
        os.environ.setdefault(_THREADS, str(os.cpu_count() or 1))
        with self._serving(), self._key():
            crowd = Crowd(self._users(turn.agent), self.tell, self.seed)
            turn.check_traffic = crowd.check
            with self._timed("traffic before"):
                crowd.talk(self.trials)
            before = self._production(turn.agent, answering(newest(self.store), turn.agent), since=turn.since())
            with self._timed("turn"), crowd.talking(self._canary_answers):
                decision = turn.go(STAGES)
            if decision.outcome != "promoted":
                return Shown(decision, before, None, None, None, None, 0, self._seconds)
            live = Target(TargetKind.ADAPTER, decision.evidence["adapter"])
            with self._timed("traffic after"):
                crowd.talk(self.trials)
            after = self._production(turn.agent, live, since=newest(self.store).created_at)
            planted, thrown, talks = self._plant(turn, crowd)
            worse = self._production(turn.agent, Target(TargetKind.ADAPTER, str(planted.adapter.name)))
        return Shown(decision, before, after, planted, worse, thrown, talks, self._seconds)

    def _plant(self, turn: Turn, crowd: Crowd) -> tuple[Planted, Revision | None, int]:
        evidence = turn.decided["tune"].evidence
        job, good = self.store.job(evidence["job"]), self.store.adapter(evidence["adapter"])
        with self._timed("planting"):
            base = served_model(self.config.serve.engines.model, on_progress=self.tell).folder
            names = answered_by(Target(TargetKind.ADAPTER, str(good.name)), self.store, turn.agent, turn.since())
            had = [it for it in crowd.talked if it.conversation_id in names]
            moments = asyncio.run(moments_of(self.store, Path(job.folder), had, self._runs().scenarios()))
            planted = plant(self.store, Path(job.folder), good, base, moments, self.drop)
        self.tell(f"planted {planted}")
        target = Target(TargetKind.ADAPTER, str(planted.adapter.name))
        begun = set_canary(
            self.store, turn.agent, ANY, target, self.share, by="show", why="a worse adapter, planted to be found"
        )
        talked, end = crowd.talks, time.monotonic() + self.longest
        with self._timed("bad canary"):
            self._wait_for(begun)
            until = crowd.talk_while(lambda: newest(self.store).number == begun.number and time.monotonic() < end)
        now = newest(self.store)
        if now.number > begun.number:
            return planted, now, until - talked
        end_canary(self.store, turn.agent, ANY, by="show", why="its time to be found is over", target=target)
        return planted, None, until - talked

    def _canary_answers(self) -> bool:
        """Whether who begins to talk now may meet a canary; while its server starts there is nothing to compare."""
        now = newest(self.store)
        return any(route.canary is not None for route in now.routes) and _begun(self._url) == now.number

    def _wait_for(self, revision: Revision) -> None:
        """Until it answers those who begin to talk."""
        end = time.monotonic() + _START
        while (begun := _begun(self._url)) < revision.number:
            if time.monotonic() > end:
                raise EngineError(f"revision {revision.number} has not begun after {_START:.0f} s: {revision.why}")
            time.sleep(0.5)
        if begun > revision.number:
            raise EngineError(f"revision {revision.number} never began: {newest(self.store).why}")

    def _users(self, agent: str) -> SimulatedUsers:
        wrong, user = self.config.serve.canary.wrong_labels, self.config.loop.show_user
        return SimulatedUsers(self._runs(), agent, f"{self._url}/v1", wrong=wrong, user=user)

    def _runs(self) -> Runs:
        loop = self.config.loop
        return Runs(self.store, self.config, loop.show_scenarios or loop.scenarios or (self.config.scenarios,))

    def _production(self, agent: str, target: Target, since: str | None = None) -> Production:
        wrong = self.config.serve.canary.wrong_labels
        return production(self.store, agent, target=target, since=since, wrong=wrong)

    def _config(self) -> Config:
        """A person's approval is not waited for, and the canary gets a share that is soon judged."""
        return self.config.model_copy(
            update={"loop": self.config.loop.model_copy(update={"approve": False, "share": self.share})}
        )

    @contextmanager
    def _key(self) -> Iterator[None]:
        """The users' key, good as long as they talk."""
        secret, key = new_key(f"show-{time.time_ns():x}")
        self.store.add_key(key)
        os.environ[KEY] = secret
        try:
            yield
        finally:
            del os.environ[KEY]
            self.store.revoke_key(key.name)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self._seconds[part] = round(time.monotonic() - begin, 1)

    @contextmanager
    def _serving(self) -> Iterator[None]:
        """`agentkit serve` as a user starts it, on a free port of this machine."""
        port = _free_port()
        words = ["serve", "--port", str(port), "--store", self.store_url]
        program = [sys.executable, "-P", "-c", "from agentkit.cli import main; main()", *words]
        self._url = f"http://127.0.0.1:{port}"
        process = ServerProcess(program, {name: it for name, it in os.environ.items() if name != _THREADS})
        try:
            with self._timed("serving begins"):
                _wait(f"{self._url}/readyz", process)
            yield
        finally:
            process.stop()


def _wait(url: str, process: ServerProcess) -> None:
    begin = time.monotonic()
    while time.monotonic() - begin < _START:
        if (code := process.exit_code) is not None:
            raise EngineError(process.explain(f"agentkit serve ended with exit code {code}"))
        try:
            if httpx.get(url, timeout=5.0, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise EngineError(process.explain(f"agentkit serve was not ready after {_START:.0f} s"))


def _begun(url: str) -> int:
    """The revision that new conversations get; 0 where the router does not say."""
    try:
        return int(httpx.get(f"{url}/readyz", timeout=30.0, trust_env=False).json()["revision"])
    except httpx.TransportError:
        return 0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
