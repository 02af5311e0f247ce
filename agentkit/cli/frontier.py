"""`agentkit compare --frontier`: accuracy against cost and time, by step and suite, of several agents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from agentkit.cli.options import open_store, write_json
from agentkit.cli.terminal import inert, line, output
from agentkit.errors import ExitCode, NotJudged, UsageError
from agentkit.gate.frontier import Choice, Offer, choose
from agentkit.gate.project.sides import refuse_unfinished
from agentkit.measure import Cell, Summary, summarize, wilson
from agentkit.measure.rows import cells
from agentkit.measure.wording import percent
from agentkit.records import Run, Trial, Verdict
from agentkit.store import Store


def show_frontier(
    names: Sequence[str],
    target: float,
    store: str | None,
    json_file: str | None,
    routes_for: str | None = None,
    *,
    apply: bool = False,
) -> int:
    """Print, and write where asked, which agent to take where; and for the agent `routes_for` what to route where."""
    if len(names) < 2:
        raise UsageError(f"--frontier: found {len(names)} runs, expected two or more of different agents")
    with open_store(store) as opened:
        played = [_played(opened, name) for name in names]
    _refuse_unlike(played)
    choices = frontier(played, target)
    runs = [{"run_id": it.run.id, "agent": it.name} for it in played]
    document: dict[str, Any] = {"target": target, "runs": runs, "choices": [it.document() for it in choices]}
    if json_file != "-":
        _print(choices, [it.name for it in played], target)
    if routes_for is not None:
        from agentkit.cli.proposed import propose

        by_step = step_choices(played, target)
        document["routes"] = propose(by_step, routes_for, runs, store, apply=apply, quiet=json_file == "-")
    if json_file is not None:
        write_json(json_file, document)
    return ExitCode.PASS


@dataclass(slots=True)
class _Spent:
    """Costs and seconds of one step's turn, or of whole conversations; NaN where unknown."""

    costs: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, cost: float | None, seconds: float | None) -> None:
        self.costs.append(np.nan if cost is None else cost)
        self.seconds.append(np.nan if seconds is None else seconds)

    def join(self, others: Iterable[_Spent]) -> _Spent:
        for it in others:
            self.costs += it.costs
            self.seconds += it.seconds
        return self

    @property
    def means(self) -> tuple[float | None, float | None]:
        cost, seconds = (fmean(it) if it else np.nan for it in (self.costs, self.seconds))
        return None if np.isnan(cost) else cost, None if np.isnan(seconds) else seconds


@dataclass(slots=True)
class Played:
    """One agent's run, and what its steps and conversations took."""

    run: Run
    name: str
    cells: list[Cell]
    steps: dict[str, _Spent] = field(default_factory=dict)
    """`scenario/variant#step` → the turns in which it stood."""
    whole: dict[str, _Spent] = field(default_factory=dict)
    """`scenario/variant` → conversations."""

    @property
    def summary(self) -> Summary:
        return self.summarized(self.cells)

    def summarized(self, chosen: Sequence[Cell]) -> Summary:
        return summarize(chosen, deterministic=self.run.deterministic, seed=self.run.seed)


def frontier(played: Sequence[Played], target: float) -> list[Choice]:
    """The whole, each suite, then each skill, or step where it has none; steps of all variants together."""
    found = [
        choose(name, [_suite(it, [c for c in it.cells if _in(c, name)]) for it in played], target)
        for name in ("all", *dict.fromkeys(_suite_of(cell) for cell in played[0].cells))
    ]
    groups: dict[str, dict[str, list[Any]]] = {}
    for it in played:
        for figure in it.summary.steps:
            name = f"skill {figure.skill}" if figure.skill else f"{figure.scenario}#{figure.step}"
            groups.setdefault(name, {}).setdefault(it.name, []).append(figure)
    for name, by_agent in groups.items():
        found.append(choose(name, [_step(it, by_agent.get(it.name, [])) for it in played], target))
    return found


def step_choices(played: Sequence[Played], target: float) -> list[Choice]:
    """Each step by its bare name, which is what callers of the router know, over all scenarios and variants."""
    groups: dict[str, dict[str, list[Any]]] = {}
    for it in played:
        for figure in it.summary.steps:
            groups.setdefault(figure.step, {}).setdefault(it.name, []).append(figure)
    return [choose(name, [_step(it, by.get(it.name, [])) for it in played], target) for name, by in groups.items()]


def _suite(it: Played, chosen: Sequence[Cell]) -> Offer:
    """Observed success, and what a conversation takes."""
    figure = it.summarized(chosen).all.observed
    spent = _Spent().join(it.whole[cell.id] for cell in chosen if cell.id in it.whole)
    low, high = (0.0, 1.0) if figure.low is None or figure.high is None else (figure.low, figure.high)
    return Offer(it.name, figure.estimate, low, high, sum(cell.valid for cell in chosen), *spent.means)


def _step(it: Played, figures: Sequence[Any]) -> Offer:
    """Its accuracy given reached, and what the turn takes in which it stands."""
    passed, reached = sum(f.passed for f in figures), sum(f.reached for f in figures)
    effective = sum(f.effective for f in figures)
    low, high = wilson(passed / reached * effective if reached else 0.0, effective)
    ids = [f"{f.scenario}/{f.variant}#{f.step}" for f in figures]
    spent = _Spent().join(it.steps[step] for step in ids if step in it.steps)
    return Offer(it.name, passed / reached if reached else None, float(low), float(high), reached, *spent.means)


def _played(store: Store, name: str) -> Played:
    run = store.run(name)
    refuse_unfinished(store, run)
    found = Played(run, run.agent, cells(store.grades(run.id)))
    if run.settings.get("fork") or not found.cells:
        raise NotJudged(f"run {run.id} has no whole conversation that was graded")
    for trial in store.trials(run.id):
        if trial.verdict is not Verdict.INVALID:
            _add(found, trial)
    return found


def _add(found: Played, trial: Trial) -> None:
    cell = f"{trial.key.scenario}/{trial.key.variant}"
    found.whole.setdefault(cell, _Spent()).add(trial.cost, trial.duration if trial.started_at else None)
    turns: dict[int, list[float]] = {}
    unknown: set[int] = set()
    for message in trial.messages:
        costs = turns.setdefault(message.turn, [0.0, 0.0])
        if message.role == "assistant":
            if message.call is None:
                unknown.add(message.turn)
                continue
            costs[0] += np.nan if message.call.cost is None else message.call.cost
            costs[1] += message.call.latency
        costs[1] += message.duration or 0.0
    for step in trial.steps:
        if step.turn in turns and step.turn not in unknown:
            cost, seconds = turns[step.turn]
            found.steps.setdefault(f"{cell}#{step.step}", _Spent()).add(None if np.isnan(cost) else cost, seconds)


def _refuse_unlike(played: Sequence[Played]) -> None:
    """Agents can be told apart only by the same scenarios."""
    first = played[0]
    for it in played[1:]:
        if len({one.name for one in played}) < len(played):
            raise UsageError("--frontier: two of the runs are of the same agent; name one run of each")
        other = sorted(name for name, known in first.run.scenarios.items() if it.run.scenarios.get(name) != known)
        cells_ = {cell.id for cell in first.cells} ^ {cell.id for cell in it.cells}
        if other or cells_:
            named = ", ".join((other or sorted(cells_))[:5])
            raise NotJudged(f"runs {first.run.id} and {it.run.id} did not play the same: {named}")


def _suite_of(cell: Cell) -> str:
    return cell.scenario.rpartition("/")[0] or cell.scenario


def _in(cell: Cell, name: str) -> bool:
    return name == "all" or _suite_of(cell) == name


def _print(choices: Sequence[Choice], agents: Sequence[str], target: float) -> None:
    console = output()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    for agent in agents:
        table.add_column(Text(inert(agent)), overflow="fold", min_width=21)
    table.add_column(f"cheapest with {percent(target)}", overflow="fold")
    for it in choices:
        style = "bold" if it.name == "all" else ""
        chosen = Text("none", style="red") if it.chosen is None else Text(inert(it.chosen), style="green")
        if it.by == "estimate":
            chosen.append(" (by estimate only)", style="yellow")
        table.add_row(Text(inert(it.name), style=style), *(_offer(o, o.agent in it.front) for o in it.offers), chosen)
    console.print(table)
    console.print(
        line("* on the Pareto front: no other agent is as good in accuracy, cost and time, and better in one")
    )
    console.print(
        line(
            "chosen by the lower end of the interval where one meets the target; suites by observed success and the "
            "price of a conversation, steps by the price of the turn in which they stand",
            "dim",
        )
    )
    if all(it.order is None for it in choices):
        console.print(line("no cost or time tells the agents apart, so the most accurate is named", "yellow"))


def _offer(it: Offer, on_front: bool) -> str:
    if it.accuracy is None:
        return "–"
    span = f"{percent(it.low).removesuffix(' %')}–{percent(it.high)}"
    told = [f"${it.cost:.3g}"] if it.cost is not None else []
    told += [f"{it.seconds:.3g} s"] if it.seconds is not None else []
    return f"{percent(it.accuracy)} ({span}){' *' if on_front else ''}\n{'  '.join(told)}".rstrip()
