"""What the templates name: every part of the page, from the records that were gathered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import orjson
from markupsafe import Markup

from agentkit.measure import Summary
from agentkit.measure.summary import StepFigure
from agentkit.report import charts
from agentkit.report.baseline import Baseline, step_changes
from agentkit.report.contents import Contents
from agentkit.report.heat import heat_maps
from agentkit.report.history import histories
from agentkit.report.pack import piece
from agentkit.report.wording import amount, plural, verdict_sentence, what_else

OUTCOMES = {"pass": "Pass", "fail": "Fail", "inconclusive": "Inconclusive", "could_not_judge": "Could not judge"}

_MOST_SETTING = 20_000
"""Characters of the settings that are shown."""


def shown(it: Contents) -> dict[str, Any]:
    """Everything that the templates name."""
    run, summary, baseline = it.run, it.summary, it.baseline
    skills = len(summary.all.fix_first_skills) > 1 and len(summary.scenarios) > 1
    priorities = summary.all.fix_first_skills if skills else summary.all.fix_first
    maps = [found for found in heat_maps(summary) if found.off_path]
    forked = it.index["trials"]["serves"] is not None
    played, invalid = it.index["cells"], _invalid(it)
    drawn = {fall.scenario for fall in it.waterfalls}
    changes = step_changes(baseline.summary, summary) if baseline else ()
    return {
        "run": run,
        "summary": summary,
        "baseline": baseline,
        "sentence": _sentence(it),
        "also": _also(it),
        "outcome": OUTCOMES[baseline.verdict["outcome"]] if baseline else None,
        "scenarios": len({scenario for scenario, *_ in played}),
        "counts": {
            "trials": len(it.index["trials"]["index"]),
            "variants": len(summary.scenarios) if forked else len(played),
            "forked": forked,
            "invalid": len(invalid),
        },
        "warnings": _warnings(it),
        "sections": _sections(bool(baseline), bool(maps)),
        "groups": (("golden path", summary.golden), ("off the path", summary.off_path), ("all", summary.all)),
        "overview_chart": charts.overview_chart(summary),
        "skills": skills,
        "priorities": priorities,
        "graded": any(figure.reached for figure in summary.steps),
        "priorities_chart": charts.priorities_chart(priorities, "skill" if skills else "step") if priorities else None,
        "waterfalls": [(fall, charts.waterfall_chart(fall)) for fall in it.waterfalls],
        "not_drawn": len({counts.id for counts in summary.scenarios if counts.valid} - drawn),
        "heat_maps": maps,
        "surface_chart": charts.surface_chart(summary.detours) if summary.detours else None,
        "consistency_chart": _consistency(summary),
        "flaky": (flaky := histories(run, it.flaky)),
        "others": any(not share.alike for step in flaky for share in step.shares),
        "repeated": it.flaky.repeated,
        "earlier_runs": len(it.flaky.runs) - 1,
        "spending": it.spending,
        "seconds_chart": charts.seconds_chart(it.spending.scenarios) if it.spending.all.seconds else None,
        "asked": (("Models", "model", it.spending.models), ("Tools", "tool", it.spending.tools)),
        "sides": _sides(baseline.summary, summary) if baseline else (),
        "paired": _paired(it) if baseline else None,
        "turned": [(name, _turned(it, ends)) for name, ends in (("Got worse", "SF"), ("Got better", "FS"))],
        "beside_left_out": it.beside.left_out if it.beside else 0,
        "changes": changes,
        "changes_chart": charts.changes_chart(changes) if any(change.change for change in changes) else None,
        "invalid": invalid,
        "parties": Counter(row["fault"] or "unknown" for row in invalid).most_common(),
        "left_out": it.left_out,
        "spent": _spent(run.spent),
        "settings": _settings(run.settings),
        "facts": piece("facts", _facts(it)),
        "steps": piece("steps", _steps(summary, baseline)),
        "index": piece("index", it.index),
        "pieces": it.pieces,
    }


def _sentence(it: Contents) -> str:
    if it.baseline is None:
        return verdict_sentence(it.run.agent, it.summary)
    said: str = it.baseline.verdict["sentence"].partition(": ")[2]
    return f"{said[:1].upper()}{said[1:]}"


def _also(it: Contents) -> str:
    """Beside the verdict: the numbers of this run, where the headline compares."""
    also = what_else(it.summary)
    return also if it.baseline is None else f"{verdict_sentence(it.run.agent, it.summary)}. {also}"


def _warnings(it: Contents) -> list[str]:
    """What a reader must know before trusting the numbers."""
    found = []
    played = len(it.index["trials"]["index"])
    if played < it.run.planned:
        found.append(f"{plural(it.run.planned - played, 'trial')} of {it.run.planned:,} are still to be played.")
    ungraded = sum(figure.ungraded for figure in it.summary.steps)
    if ungraded:
        found.append(f"{plural(ungraded, 'step result')} could not be graded, and are in no denominator.")
    reason = it.summary.all.compounded.reason
    if reason:
        found.append(f"Compounded accuracy is not known: {reason[:300]}.")
    return found


def _sections(compared: bool, off_path: bool) -> list[tuple[str, str]]:
    everything = [
        ("comparison", "Baseline"),
        ("figures", "Figures"),
        ("losses", "Losses"),
        ("detours", "Detours"),
        ("consistency", "Consistency"),
        ("spending", "Cost"),
        ("steps", "Steps"),
        ("conversations", "Conversations"),
        ("settings", "Settings"),
    ]
    without = {"comparison": compared, "detours": off_path}
    return [(id, name) for id, name in everything if without.get(id, True)]


def _consistency(summary: Summary) -> Markup | None:
    hat = summary.all.consistency.pass_hat
    return charts.consistency_chart(summary.all.consistency) if hat and len(hat) > 1 else None


def _sides(base: Summary, candidate: Summary) -> list[tuple[str, Any, Any]]:
    """Each figure on both sides; of the golden path and off it, where both sides have them."""
    found = []
    for where in ("all", "golden", "off_path"):
        before, after = getattr(base, where), getattr(candidate, where)
        if before.cells and after.cells:
            name = {"all": "", "golden": ", golden path", "off_path": ", off the path"}[where]
            found.append((f"compounded accuracy{name}", before.compounded, after.compounded))
            found.append((f"observed success{name}", before.observed, after.observed))
    return found


def _paired(it: Contents) -> dict[str, int] | None:
    """How the conversations that both sides played ended; None where there are none."""
    rows = zip(it.index["trials"]["base"], it.index["trials"]["verdict"], strict=True)
    ends = Counter(pair for pair in rows if set(pair) <= {"S", "F"})
    if not ends:
        return None
    same = ends["S", "S"] + ends["F", "F"]
    return {"worse": ends["S", "F"], "better": ends["F", "S"], "same": same}


def _turned(it: Contents, ends: str) -> list[dict[str, Any]]:
    """The conversations that ended otherwise than with the baseline, `SF` or `FS`, with the steps that failed here."""
    trials, found = it.index["trials"], it.index["cells"]
    rows = [
        row for row, pair in enumerate(zip(trials["base"], trials["verdict"], strict=True)) if "".join(pair) == ends
    ]
    return [
        {
            "index": trials["index"][row],
            "cell": "{} · {}".format(*found[trials["cell"][row]]),
            "failed": _failed(found[trials["cell"][row]][2], trials["steps"][row]),
        }
        for row in rows
    ]


def _failed(steps: Sequence[str], marks: str) -> list[str]:
    return [step for step, mark in zip(steps, marks, strict=False) if mark == "-"]


def _facts(it: Contents) -> dict[str, Any]:
    """What the script is told beside the lists: of the baseline its run, and whether its conversations are here."""
    facts: dict[str, Any] = {"run": it.run.id, "agent": it.run.agent, "level": it.summary.level}
    if it.baseline is not None:
        base = it.baseline
        facts["baseline"] = {"run": base.run, "agent": base.agent, "conversations": it.beside is not None}
    return facts


def _invalid(it: Contents) -> list[dict[str, Any]]:
    trials, found = it.index["trials"], it.index["cells"]
    nothing: list[None] = [None] * len(trials["index"])
    faults, reasons = trials["fault"] or nothing, trials["reason"] or nothing
    return [
        {
            "index": trials["index"][row],
            "cell": "{}/{}".format(*found[trials["cell"][row]]),
            "fault": faults[row],
            "reason": reasons[row] or "",
        }
        for row, verdict in enumerate(trials["verdict"])
        if verdict == "I"
    ]


def _steps(summary: Summary, baseline: Baseline | None) -> list[list[Any]]:
    """Rows of the list of all steps."""
    gains = _gains(summary)
    before = {(it.scenario, it.variant, it.step): it.accuracy for it in baseline.summary.steps} if baseline else {}
    return [
        [
            it.scenario,
            it.variant,
            it.step,
            it.skill,
            it.reached,
            it.passed,
            it.ungraded,
            *(_short(value) for value in (it.accuracy, it.low, it.high)),
            _short(gains[it.scenario, it.variant, it.step]),
            _short(before.get((it.scenario, it.variant, it.step))),
        ]
        for it in summary.steps
    ]


def _gains(summary: Summary) -> dict[tuple[str, str, str], float | None]:
    """What each step's own conversation gains if the step always passes."""
    conversations: dict[tuple[str, str], list[StepFigure]] = {}
    for it in summary.steps:
        conversations.setdefault((it.scenario, it.variant), []).append(it)
    found: dict[tuple[str, str, str], float | None] = {}
    for (scenario, variant), steps in conversations.items():
        accuracy = [it.accuracy for it in steps]
        for k, it in enumerate(steps):
            known = [value for value in accuracy if value is not None]
            others = [value for place, value in enumerate(accuracy) if place != k and value is not None]
            unknown = len(known) < len(accuracy)
            found[scenario, variant, it.step] = None if unknown else prod(others) - prod(known)
    return found


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _spent(spent: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the run spent over all sittings, abandoned trials included."""
    names = (("calls", "model calls"), ("input_tokens", "tokens in"), ("output_tokens", "tokens out"))
    found = [(name, f"{spent[key]:,}") for key, name in names if spent.get(key)]
    if spent.get("cost"):
        found.append(("cost", amount(float(spent["cost"]), "$")))
    return found


def _settings(settings: Mapping[str, Any]) -> str:
    text = orjson.dumps(settings, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS, default=str).decode()
    return text if len(text) <= _MOST_SETTING else f"{text[:_MOST_SETTING]}\n… ({len(text):,} characters)"
