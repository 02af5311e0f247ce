"""A run's numbers on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentkit.cli.terminal import inert, line, output
from agentkit.grade.text import shortened
from agentkit.measure import Summary
from agentkit.measure.consistency import Consistency
from agentkit.measure.detours import DetourFigure, Share
from agentkit.measure.group import Group
from agentkit.measure.priority import Priority
from agentkit.measure.suite import Figure
from agentkit.measure.summary import ScenarioCounts, StepFigure
from agentkit.measure.wording import percent
from agentkit.records import GOLDEN, Run, Trial

_BAR = 20
"""Characters of a full bar."""
_SUGGESTIONS = 3
_CELLS = 40
"""Scenarios and variants of which all steps are shown; of more, only those that matter most are."""
_WORST = 5
_ATTEMPTS = 5
"""Values of k that are shown from 1 on."""


def print_run(run: Run, summary: Summary) -> None:
    """Print steps by scenario and variant, what compounds, and what to fix first."""
    console = output()
    console.print(_headline(run, summary))
    if told := _users(run):
        console.print(line(told, "dim"))
    if not summary.scenarios:
        invalid = _invalid(summary)
        if invalid:
            console.print(
                line(f"nothing is graded: {invalid} trials are invalid; agentkit show {run.id} --invalid", "yellow")
            )
        else:
            said = "no step was due in what was played" if summary.played else "nothing was played yet"
            console.print(line(said, "yellow"))
        return
    _print_steps(summary, console)
    if summary.detours:
        console.print(_detours(summary.detours))
    console.print(_compounding(summary))
    _print_consistency(summary.all.consistency, console)
    _print_priorities("step to fix first", summary.all.fix_first, console)
    _print_priorities("skill to fix first", summary.all.fix_first_skills, console)
    for reason in _caveats(run, summary):
        console.print(line(reason, "yellow"))


def print_invalid(trials: Iterable[Trial]) -> None:
    """Print each invalid trial, and whose fault it was."""
    console = output()
    for trial in trials:
        where = f"{trial.key.scenario}/{trial.key.variant} trial {trial.index}"
        console.print(line(f"{where}: {trial.fault}: {trial.reason}"))


def _headline(run: Run, summary: Summary) -> Text:
    invalid = _invalid(summary)
    what = "trials" if summary.forks is None else "forks, each a turn from a right history"
    facts = [f"{summary.played} of {run.planned} {what}", f"{invalid} invalid", f"seed {run.seed}", run.status]
    return Text.assemble(("run ", "dim"), (run.id, "bold"), f"  {inert(run.agent)}  ", ("  ".join(facts), "dim"))


def _users(run: Run) -> str:
    """Who played the users, and what their words cost; '' where the scenarios' own words were said."""
    names = [name for name in run.settings.get("user_hashes", {}) if isinstance(name, str)]
    if not names:
        return ""
    told = f"users: {', '.join(names)}"
    spent = run.spent.get("users")
    if not spent:
        return told
    tokens = spent["input_tokens"] + spent["output_tokens"]
    cost = "cost unknown" if spent["unpriced"] else f"${spent['cost']:.4f}"
    return f"{told}  {spent['calls']} of {run.spent['calls']} model calls, {tokens} tokens, {cost}"


def _invalid(summary: Summary) -> int:
    return sum(summary.invalid_by_party.values())


def _print_steps(summary: Summary, console: Console) -> None:
    figures: dict[tuple[str, str], list[StepFigure]] = {}
    for figure in summary.steps:
        figures.setdefault((figure.scenario, figure.variant), []).append(figure)
    width = max((len(inert(figure.step)) for figure in summary.steps), default=0)
    heading = f"  {'step':<{width}}  reached  passed  accuracy  {summary.level:.0%} interval"
    console.print(line(f"\n{heading}", "dim"))
    shown = summary.scenarios if len(summary.scenarios) <= _CELLS else _golden_and_worst(summary, figures)
    for counts in shown:
        console.print(_cell_title(counts, forks=summary.forks is not None))
        for figure in figures.get((counts.id, counts.variant), []):
            console.print(_step(figure, width))

    left = len(summary.scenarios) - len(shown)
    if left:
        console.print(line(f"and {left} more variants, all of them in the document that --json writes", "dim"))


def _golden_and_worst(
    summary: Summary, figures: Mapping[tuple[str, str], Sequence[StepFigure]]
) -> list[ScenarioCounts]:
    """The golden paths, and the variants in which the fewest succeed, or whose steps compound to the least where forks
    have no success: a run of many variants fills no screen."""

    def right(counts: ScenarioCounts) -> float:
        if summary.forks is None:
            return counts.successes / counts.valid
        steps = figures.get((counts.id, counts.variant), [])
        return math.prod(it.accuracy for it in steps if it.accuracy is not None)

    off_path = [counts for counts in summary.scenarios if counts.variant != GOLDEN and counts.valid]
    worst = sorted(off_path, key=right)[:_WORST]
    return [counts for counts in summary.scenarios if counts.variant == GOLDEN or counts in worst]


def _detours(figures: Sequence[DetourFigure]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("detour", "intensity", "trials", "took place", "success where it did", "all steps passed"):
        table.add_column(name, no_wrap=True, justify="left" if name == "detour" else "right")
    for it in figures:
        invalid = f" ({it.suppressed} invalid)" if it.suppressed else ""
        table.add_row(
            it.detour,
            f"{it.intensity:g}",
            f"{it.trials}{invalid}",
            _share(it.triggered, interval=False),
            _share(it.success),
            _share(it.all_steps_passed),
        )
    return table


def _share(share: Share, interval: bool = True) -> str:
    if share.estimate is None:
        return "–"
    return percent(share.estimate) + (f" ({_span(share.low, share.high)})" if interval else "")


def _step(figure: StepFigure, width: int) -> Text:
    accuracy = "–" if figure.accuracy is None else percent(figure.accuracy)
    numbers = f"{figure.reached:>7}  {figure.passed:>6}  {accuracy:>8}  {_span(figure.low, figure.high):<12}"
    return Text.assemble(f"  {inert(figure.step):<{width}}  {numbers}  ", _bar(figure.accuracy))


def _cell_title(counts: ScenarioCounts, *, forks: bool) -> Text:
    style = "bold" if counts.variant == GOLDEN else "bold magenta"
    title = Text.assemble((inert(f"{counts.id} · {counts.variant}"), style))
    title.append(f"  {counts.valid} forks" if forks else f"  {counts.successes} of {counts.valid} succeed", style="dim")
    if counts.invalid:
        title.append(f"  {counts.invalid} invalid", style="yellow")
    return title


def _bar(accuracy: float | None) -> Text:
    if accuracy is None:
        return Text("no data", style="dim")
    full = round(accuracy * _BAR)
    style = "green" if accuracy >= 0.95 else "yellow" if accuracy >= 0.8 else "red"
    return Text.assemble(("█" * full, style), ("░" * (_BAR - full), "dim"))


def _compounding(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True, min_width=12)
    whole = summary.forks is None
    names = ("compounded", "observed success", "all steps passed", "gap: observed / compounded")
    for name in names if whole else ("compounded, each step given a right history",):
        table.add_column(name, no_wrap=True)
    groups = {"golden path": summary.golden, "off the path": summary.off_path, "all": summary.all}
    for name, group in groups.items():
        if group.cells:
            observed = (_figure(group.observed), _figure(group.all_steps_passed), _gap(group)) if whole else ()
            table.add_row(Text(name, style="bold"), _figure(group.compounded), *observed)
    return table


def _print_consistency(found: Consistency, console: Console) -> None:
    """pass^k and pass@k, where every scenario was played twice or more: the first few k, and the greatest."""
    if found.pass_hat is None or found.pass_at is None or len(found.pass_hat) < 2:
        return
    shown = sorted({*range(1, min(_ATTEMPTS, len(found.pass_hat)) + 1), len(found.pass_hat)})
    for name, rates in (("all of k tries succeed, pass^k", found.pass_hat), ("one of k does, pass@k", found.pass_at)):
        values = "   ".join(f"k={k} {percent(rates[k - 1])}" for k in shown)
        console.print(Text.assemble((f"{name:<32}", "bold"), values))
    console.print()


def _print_priorities(title: str, priorities: Sequence[Priority], console: Console) -> None:
    told = [priority for priority in priorities if priority.sentence][:_SUGGESTIONS]
    if told:
        console.print(Text(title, style="bold"))
    for number, priority in enumerate(told, start=1):
        console.print(line(f"  {number}. {priority.name}: {priority.sentence}"))


def _figure(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return "unknown"
    estimate = "unknown" if figure.estimate is None else percent(figure.estimate)
    return f"{estimate} ({_span(figure.low, figure.high)})"


def _gap(group: Group) -> str:
    gap = group.gap.log_ratio
    if gap.estimate is None or gap.low is None or gap.high is None:
        return "unknown"
    factor = f"×{math.exp(gap.estimate):.2f} ({math.exp(gap.low):.2f}–{math.exp(gap.high):.2f})"
    if gap.low > 0:
        return f"{factor} recovers"
    return f"{factor} errors feed errors" if gap.high < 0 else factor


def _caveats(run: Run, summary: Summary) -> list[str]:
    """What a reader must know before trusting the numbers."""
    found = []
    missing, unit = run.planned - summary.played, "trials" if summary.forks is None else "forks"
    if missing > 0:
        hint = "" if run.by_items else f": agentkit run --resume {run.id}"
        found.append(f"{missing} {unit} are still to be played{hint}")
    if summary.invalid_by_party:
        by = ", ".join(f"{party} {count}" for party, count in summary.invalid_by_party.items())
        found.append(f"{_invalid(summary)} invalid trials ({by}) count neither way: agentkit show {run.id} --invalid")
    ungraded = sum(figure.ungraded for figure in summary.steps)
    if ungraded:
        found.append(f"{ungraded} step results are ungraded (no judge could say) and in no denominator")
    if summary.all.compounded.reason:
        found.append(f"compounded accuracy is not known: {shortened(summary.all.compounded.reason)}")
    return found


def _span(low: float, high: float) -> str:
    return f"{percent(low).removesuffix(' %')}–{percent(high)}"
