"""The stages of a turn, in words and deeds: what each looks at, does, and decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from agentkit.collect.draft import judged_bad, write_drafts
from agentkit.config import agent_settings, rewards_folder
from agentkit.errors import AgentkitError, NotJudged, StoreError, UsageError
from agentkit.loop.choose import all_good, answering, bounds, worst_step
from agentkit.loop.play import Runs
from agentkit.loop.production import production
from agentkit.loop.turn import LAST, Turn, newest_of
from agentkit.records import ANY, Decision, Job, JobStatus, Revision, Route, Run, Target, TargetKind
from agentkit.serve.canary import CanaryVerdict, look
from agentkit.serve.lookup import route_map
from agentkit.serve.router import breaches
from agentkit.serve.routes import Refused, end_canaries, end_canary, newest, promote, set_canary
from agentkit.store import Store, stamp
from agentkit.tune.certificate import Promotion
from agentkit.tune.job import Work
from agentkit.tune.jobs import new_job
from agentkit.tune.manifest import MANIFEST
from agentkit.tune.settings import JobSettings, job_settings
from agentkit.tune.target import choose_target
from agentkit.tune.trained import check_rank

_BY = "loop"
_LOOK = 5.0
"""Seconds between two looks at a canary."""


def collect(turn: Turn) -> Decision:
    """What production says, and which step needs repair."""
    settings, since = turn.config.loop, turn.since()
    try:
        live = answering(newest(turn.store), turn.agent)
    except UsageError as reason:
        return turn.decide("collect", "waiting", str(reason), {"since": since})
    found = production(turn.store, turn.agent, since=since, target=live, wrong=turn.config.serve.canary.wrong_labels)
    evidence: dict[str, Any] = {"production": found.document(), "since": since, "live": str(live)}
    if found.judged < settings.min_judged:
        why = f"{found.judged} of the {settings.min_judged} judged conversations that it takes are there"
        if found.whole:
            why += f"; {found.whole} more were judged as a whole: feedback must name a `step` or a `response`"
        return turn.decide("collect", "waiting", why, evidence)
    worst = worst_step(found, settings.goal, settings.min_judged)
    if worst is None and all_good(found, settings.goal, settings.min_judged):
        why = f"every step is shown to be right at least {settings.goal:.0%} of the time"
        return turn.decide("collect", "nothing to do", why, evidence)
    if worst is None:
        why = f"no step is shown to be right less than {settings.goal:.0%} of the time, nor all of them at least that"
        return turn.decide("collect", "waiting", why, evidence)
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
    if begun is not None and begun.outcome == "begun":
        run = stage.go_on(begun.evidence["run"])
    else:
        scenarios = stage.scenarios()
        live = answering(newest(turn.store), turn.agent)
        agent = f"{turn.agent}+{live.name}" if live.kind is TargetKind.ADAPTER else turn.agent
        check_rank(_job_settings(turn).rank, turn.config.serve.engines)
        told = stage.settings(
            agent,
            agent_settings(agent, turn.config),
            scenarios,
            detours=settings.detours,
            trials=settings.trials,
            seed=_seed(turn),
        )
        run = stage.play(told, partial(_opened, turn, live))
    evidence = turn.decided["play"].evidence
    return turn.decide("play", "played", f"{run.planned} trials of run {run.id} by {run.agent}", evidence)


def _seed(turn: Turn) -> int:
    """Of what the turn draws, so that no other turn draws the same."""
    return int.from_bytes(turn.id.encode()[-4:], "big")


def _opened(turn: Turn, live: Target, run: Run) -> None:
    turn.note("play", "begun", f"run {run.id}", {"run": run.id, "live": str(live)})


def _job_settings(turn: Turn, run: str = "", step: str = "") -> JobSettings:
    places = {"rewards": str(rewards_folder()), "adapters": str(Path(turn.config.adapters).absolute())}
    return job_settings({"run": run, "step": step, "seed": _seed(turn), **places, **turn.config.loop.tune})


def _begun_job(turn: Turn, settings: JobSettings) -> Job | None:
    """The turn's job; None where it has none, or one that failed before it had any data, by other settings than these:
    nothing would be gone on with."""
    begun = turn.decided.get("tune")
    if begun is None or "job" not in begun.evidence:
        return None
    job = turn.store.job(begun.evidence["job"])
    empty = job.status is JobStatus.FAILED and not (Path(job.folder) / MANIFEST).is_file()
    return None if empty and job_settings(dict(job.settings)) != settings else job


def tune(turn: Turn) -> Decision:
    """Train for the failing step on top of what is live, and prove it against that."""
    scenarios = runs_of(turn).scenarios()
    run, step = turn.decided["play"].evidence["run"], turn.decided["collect"].evidence["step"]
    settings = _job_settings(turn, run, step)
    job = _begun_job(turn, settings)
    if job is not None:
        settings = job_settings(dict(job.settings))
    else:
        try:
            choose_target(turn.store, turn.store.run(settings.run), scenarios, step=settings.step)
        except NotJudged as reason:
            turn.decide("play", "waiting", f"to be played anew: {reason}", {"run": settings.run})
            raise
        except UsageError as reason:
            if isinstance(reason, StoreError):
                raise
            return turn.decide("tune", "refused", f"it cannot be trained for: {reason}", {"run": settings.run})
        check_rank(settings.rank, turn.config.serve.engines)
        job = new_job(turn.store, str(settings.step), settings)
        turn.note("tune", "begun", f"job {job.id}", {"job": job.id})
    work = Work(
        job=job,
        settings=settings,
        store=turn.store,
        scenarios=scenarios,
        config=turn.config,
        tell=turn.tell,
        progress=partial(_learning, turn),
    )
    try:
        ended = work.do()
    except AgentkitError as error:
        if turn.store.job(job.id).status is JobStatus.FAILED:
            error.add_note(
                f"agentkit loop takes up job {job.id} where it stands; agentkit loop abandon --why WHY ends the turn"
            )
        raise
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
    target, begun = _trained(turn), turn.decided.get("canary")
    if begun is None or begun.outcome == "waiting":
        begun = _begun(turn, target)
    return _watched(turn, target, begun) if begun.outcome == "begun" else begun


def _begun(turn: Turn, target: Target) -> Decision:
    tuned, current, adapter = turn.decided["tune"], newest(turn.store), {"adapter": target.name}
    if _is_live(turn, target, current):
        return _live(turn, target, current, adapter)
    try:
        if why := _unproved(turn, target, current):
            return turn.decide("canary", "thrown out", why, adapter)
        revision = set_canary(
            turn.store,
            turn.agent,
            ANY,
            target,
            turn.config.loop.share,
            by=_BY,
            why=f"{turn.id}: {tuned.why}",
            evidence={"turn": turn.id, "certificate": tuned.evidence["certificate"]},
            expected=current.number,
        )
    except UsageError as reason:
        return turn.decide("canary", "waiting", str(reason), adapter)
    since = {"revision": revision.number, "since": revision.created_at, **adapter}
    return turn.note("canary", "begun", f"{turn.config.loop.share:.0%} of conversations", since)


def _watched(turn: Turn, target: Target, begun: Decision) -> Decision:
    end = datetime.fromisoformat(begun.at) + timedelta(hours=turn.config.loop.canary_hours)
    while True:
        current = newest(turn.store)
        if _is_live(turn, target, current):
            return _live(turn, target, current, begun.evidence)
        judgement = look(turn.store, current, turn.agent, ANY, turn.config.serve.canary)
        if judgement is None or judgement.target != target:
            why = f"revision {current.number} has {target} as its canary no more: {current.why}"
            return turn.decide("canary", "thrown out", why, {**begun.evidence, "revision": current.number})
        if why := _outlived(turn, target, current):
            return turn.decide("canary", "thrown out", why, {**begun.evidence, "revision": current.number})
        evidence = {**begun.evidence, "judgement": judgement.document()}
        if judgement.verdict is CanaryVerdict.CLEAN:
            return turn.decide("canary", "clean", judgement.reasons[0], evidence)
        if turn.clock() > end:
            why = f"not clean after {turn.config.loop.canary_hours:g} hours: {judgement.sentence}"
            end_canary(turn.store, turn.agent, ANY, by=_BY, why=why, target=target)
            return turn.decide("canary", "thrown out", why, evidence)
        turn.check_traffic()
        turn.check_time(f"while the canary runs; {judgement.sentence}")
        time.sleep(_LOOK)


def _live(turn: Turn, target: Target, current: Revision, evidence: Mapping[str, Any]) -> Decision:
    """Somebody has promoted it meanwhile, and answers for that."""
    why = f"{target} answers {turn.agent} in revision {current.number} already: {current.why}"
    return turn.decide("canary", "live", why, {**evidence, "revision": current.number})


def _unproved(turn: Turn, target: Target, current: Revision) -> str:
    """Why the adapter is not proved against what answers the agent; empty where it is.

    Raises UsageError where several targets answer its steps, or an upstream does.
    """
    proved, live = turn.decided["play"].evidence["live"], answering(current, turn.agent)
    same = str(live) == proved
    return "" if same else f"{target} was proved against {proved}, and {live} answers {turn.agent} by now"


def _outlived(turn: Turn, target: Target, current: Revision) -> str:
    """Why the canary was taken back: it is not proved against what answers by now. Empty where it is."""
    try:
        why = _unproved(turn, target, current)
    except UsageError as reason:
        why = str(reason)
    if why:
        end_canaries(turn.store, target, by=_BY, why=why)
    return why


def promoted(turn: Turn) -> Decision:
    """What was a canary answers everybody."""
    target, current = _trained(turn), newest(turn.store)
    adapter = {"adapter": target.name}
    if _is_live(turn, target, current):
        why = f"{target} answers {turn.agent} in revision {current.number}"
        return turn.decide("promote", "promoted", why, {**adapter, "revision": current.number})
    route = _own_route(turn, current)
    if route is None or route.canary != target:
        why = f"revision {current.number} has {target} as its canary no more: {current.why}"
        return turn.decide("promote", "thrown out", why, {**adapter, "revision": current.number})
    if why := _outlived(turn, target, current):
        return turn.decide("promote", "thrown out", why, {**adapter, "revision": current.number})
    settings = turn.config.serve.router
    window = stamp(turn.clock() - timedelta(seconds=settings.window))
    since = max(turn.decided["canary"].evidence["since"], window)
    if broken := breaches(turn.store.seen_exchanges(agent=turn.agent, since=since), settings):
        why = f"not while objectives are missed: {'; '.join(broken)}"
        return turn.decide("promote", "waiting", why, adapter)
    try:
        revision = promote(
            turn.store,
            turn.agent,
            ANY,
            by=_BY,
            why=f"{turn.id}: certified, and clean as a canary",
            evidence={"turn": turn.id},
            settings=turn.config.serve.canary,
            expected=current.number,
        )
    except (Refused, StoreError) as reason:  # or the table has changed since it was looked at
        return turn.decide("promote", "waiting", str(reason), adapter)
    why = f"{target} answers {turn.agent} from revision {revision.number} on"
    return turn.decide("promote", "promoted", why, {**adapter, "revision": revision.number})


def abandon(store: Store, agent: str, *, by: str, why: str) -> Decision:
    """End the agent's turn under way, by a person's word; a canary of it is taken back.

    Raises:
        UsageError: no turn of the agent is under way.
    """
    last = newest_of(store, agent)
    if last is None or last.outcome in LAST:
        raise UsageError(f"no turn of the loop is under way for {agent} (agentkit loop status)")
    trained = next((name for it in store.decisions(last.turn) if (name := it.evidence.get("adapter"))), None)
    if trained is not None:
        end_canaries(store, Target(TargetKind.ADAPTER, trained), by=by, why=f"{last.turn} is abandoned: {why}")
    evidence = {**last.evidence, "by": by}
    it = Decision(last.turn, agent, last.stage, stamp(datetime.now(UTC)), "abandoned", why, evidence)
    store.add_decision(it)
    return it


def _trained(turn: Turn) -> Target:
    return Target(TargetKind.ADAPTER, turn.decided["tune"].evidence["adapter"])


def _own_route(turn: Turn, revision: Revision) -> Route | None:
    return route_map(revision.routes).get((turn.agent, ANY))


def _is_live(turn: Turn, target: Target, revision: Revision) -> bool:
    route = _own_route(turn, revision)
    return route is not None and route.live == target


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
