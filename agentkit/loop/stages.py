"""The stages of a turn, in words and deeds: what each looks at, does, and decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from agentkit.collect.draft import judged_bad, write_drafts
from agentkit.config import agent_settings, rewards_folder
from agentkit.loop.choose import bounds, worst_step
from agentkit.loop.play import Runs
from agentkit.loop.production import production
from agentkit.loop.turn import Turn
from agentkit.records import ANY, AdapterName, Decision, Revision, Route, Run, Target, TargetKind
from agentkit.serve.canary import CanaryVerdict, look
from agentkit.serve.router import breaches
from agentkit.serve.routes import Refused, end_canary, newest, promote, set_canary
from agentkit.tune.certificate import Promotion
from agentkit.tune.job import Work
from agentkit.tune.jobs import new_job
from agentkit.tune.settings import job_settings

_BY = "loop"


def collect(turn: Turn) -> Decision:
    """What production says, and which step needs repair."""
    settings = turn.config.loop
    found = production(turn.store, turn.agent, since=turn.since(), wrong=turn.config.serve.canary.wrong_labels)
    evidence: dict[str, Any] = {"production": found.document(), "since": turn.since()}
    if found.judged < settings.min_judged:
        why = f"{found.judged} of the {settings.min_judged} judged conversations that it takes are there"
        return turn.decide("collect", "waiting", why, evidence)
    worst = worst_step(found, settings.goal, settings.min_judged)
    if worst is None:
        why = f"no step is shown to be right less than {settings.goal:.0%} of the time"
        return turn.decide("collect", "nothing to do", why, evidence)
    why = f"{worst.step} is right in {worst.estimate:.0%} of {worst.judged} judged conversations ({bounds(worst)})"
    return turn.decide("collect", "enough", why, {**evidence, "step": worst.step})


def draft(turn: Turn) -> Decision:
    """The worst conversations, as scenarios that a person may confirm."""
    settings = turn.config.loop
    talks = turn.store.conversations(since=turn.since(), agent=turn.agent)
    chosen = judged_bad(turn.store, talks)[: settings.max_drafts]
    suite = next((it.suite.folder for it in runs_of(turn).scenarios() if it.suite.world is not None), None)
    drafts = write_drafts(turn.store, chosen, Path(settings.drafts), suite) if chosen else []
    files = [str(it.file) for it in drafts if it.file is not None]
    why = f"{len(files)} of the worst conversations are scenario drafts in {settings.drafts}; confirm what is right"
    return turn.decide("draft", "drafted", why, {"files": files, "left_out": [it.why for it in drafts if not it.file]})


def play(turn: Turn) -> Decision:
    """The project's scenarios, for failures that can be learned from."""
    settings, stage = turn.config.loop, runs_of(turn)
    begun = turn.decided.get("play")
    if begun is not None:
        run = stage.go_on(begun.evidence["run"])
    else:
        scenarios = stage.scenarios()
        told = stage.settings(
            turn.agent,
            agent_settings(turn.agent, turn.config),
            scenarios,
            detours=settings.detours,
            trials=settings.trials,
            seed=int.from_bytes(turn.id.encode()[-4:], "big"),
        )
        run = stage.play(told, partial(_opened, turn))
    return turn.decide("play", "played", f"{run.planned} trials of run {run.id}", {"run": run.id})


def _opened(turn: Turn, run: Run) -> None:
    turn.note("play", "begun", f"run {run.id}", {"run": run.id})


def tune(turn: Turn) -> Decision:
    """Train for the failing step, and prove it."""
    begun = turn.decided.get("tune")
    if begun is not None:
        job = turn.store.job(begun.evidence["job"])
        settings = job_settings(dict(job.settings))
    else:
        told = {
            "run": turn.decided["play"].evidence["run"],
            "step": turn.decided["collect"].evidence["step"],
            "rewards": str(rewards_folder()),
            "adapters": str(Path(turn.config.adapters).absolute()),
            **turn.config.loop.tune,
        }
        settings = job_settings(told)
        job = new_job(turn.store, str(settings.step), settings)
        turn.note("tune", "begun", f"job {job.id}", {"job": job.id})
    work = Work(
        job=job,
        settings=settings,
        store=turn.store,
        scenarios=list(runs_of(turn).scenarios()),
        config=turn.config,
        tell=turn.tell,
        progress=partial(_learning, turn),
    )
    ended = work.do()
    evidence = {"job": job.id, "adapter": ended.adapter, "certificate": _short(ended.document)}
    outcome = "certified" if ended.verdict is Promotion.PROMOTE else "refused"
    return turn.decide("tune", outcome, str(ended.document["sentence"]), evidence)


def _learning(turn: Turn, line: Mapping[str, Any]) -> None:
    """What a training's evaluations say."""
    if line["event"] == "evaluation":
        kept = f"{line['guarded'] - line['lost']} of {line['guarded']} guards kept"
        turn.tell(f"after {line['step']} updates: {line['passed']} of {line['graded']} right, {kept}")


def approve(turn: Turn) -> Decision:
    """A person's word, where the configuration demands it."""
    adapter = turn.decided["tune"].evidence["adapter"]
    if not turn.config.loop.approve:
        return turn.decide("approve", "not asked", "the configuration demands no approval", {})
    return turn.decide("approve", "waiting", f"agentkit loop approve lets {adapter} meet users", {"adapter": adapter})


def canary(turn: Turn) -> Decision:
    """The adapter beside what is live, until it is clean, thrown out, or too late."""
    target = Target(TargetKind.ADAPTER, turn.decided["tune"].evidence["adapter"])
    begun = turn.decided.get("canary")
    if begun is None:
        revision = set_canary(
            turn.store,
            turn.agent,
            ANY,
            target,
            turn.config.loop.share,
            by=_BY,
            why=f"{turn.id}: {turn.decided['tune'].why}",
            evidence={"turn": turn.id, "certificate": turn.decided["tune"].evidence["certificate"]},
        )
        since = {"revision": revision.number, "since": revision.created_at, "adapter": target.name}
        begun = turn.note("canary", "begun", f"{turn.config.loop.share:.0%} of conversations", since)
    return _watched(turn, target, begun)


def _watched(turn: Turn, target: Target, begun: Decision) -> Decision:
    end = datetime.fromisoformat(begun.at) + timedelta(hours=turn.config.loop.canary_hours)
    while True:
        current = newest(turn.store)
        judgement = look(turn.store, current, turn.agent, ANY, turn.config.serve.canary)
        if judgement is None or judgement.target != target:
            why = f"revision {current.number} has {target} as its canary no more: {current.why}"
            return turn.decide("canary", "thrown out", why, {**begun.evidence, "revision": current.number})
        evidence = {**begun.evidence, "judgement": judgement.document()}
        if judgement.verdict is CanaryVerdict.CLEAN:
            return turn.decide("canary", "clean", judgement.reasons[0], evidence)
        if turn.clock() > end:
            why = f"not clean after {turn.config.loop.canary_hours:g} hours: {judgement.sentence}"
            end_canary(turn.store, turn.agent, ANY, by=_BY, why=why, target=target)
            return turn.decide("canary", "thrown out", why, evidence)
        turn.check_time(f"while the canary runs; {judgement.sentence}")
        time.sleep(turn.looks_every)


def promoted(turn: Turn) -> Decision:
    """What was a canary answers everybody."""
    adapter = AdapterName(turn.decided["tune"].evidence["adapter"])
    current = newest(turn.store)
    if (route := _own_route(turn, current)) is None or str(adapter) not in (str(route.live), str(route.canary)):
        why = f"revision {current.number} has {adapter} as its canary no more: {current.why}"
        return turn.decide("promote", "thrown out", why, {"adapter": adapter, "revision": current.number})
    if str(route.live) == adapter:  # promoted, and killed before it was written down
        why = f"{adapter} answers {turn.agent} in revision {current.number}"
        return turn.decide("promote", "promoted", why, {"adapter": adapter, "revision": current.number})
    seen = turn.store.exchanges(agent=turn.agent, since=turn.decided["canary"].evidence["since"])
    if broken := breaches(seen, turn.config.serve.router):
        return turn.decide("promote", "waiting", f"not while objectives are missed: {'; '.join(broken)}", {})
    try:
        revision = promote(
            turn.store,
            turn.agent,
            ANY,
            by=_BY,
            why=f"{turn.id}: certified, and clean as a canary",
            evidence={"turn": turn.id},
            settings=turn.config.serve.canary,
        )
    except Refused as reason:
        return turn.decide("promote", "waiting", str(reason), {"adapter": adapter})
    why = f"{adapter} answers {turn.agent} from revision {revision.number} on"
    return turn.decide("promote", "promoted", why, {"adapter": adapter, "revision": revision.number})


def _own_route(turn: Turn, revision: Revision) -> Route | None:
    return next((it for it in revision.routes if (it.agent, it.step) == (turn.agent, ANY)), None)


def runs_of(turn: Turn) -> Runs:
    return Runs(turn.store, turn.config, turn.config.loop.scenarios or (turn.config.scenarios,), turn.tell)


def _short(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: document[key] for key in ("verdict", "sentence", "target", "hashes") if key in document}


STAGES: Mapping[str, Callable[[Turn], Decision]] = {
    "collect": collect,
    "draft": draft,
    "play": play,
    "tune": tune,
    "approve": approve,
    "canary": canary,
    "promote": promoted,
}
"""In their order."""
