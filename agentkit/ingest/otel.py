"""Traces in OpenTelemetry's GenAI conventions become trials.

Three kinds of traces are read. Our own are whole trials with their grades. Of those that OpenInference and Traceloop
(OpenLLMetry, also where it writes the conventions proper) wrote, every conversation becomes a trial that nobody graded
yet: a session where spans name one, else a trace, joined to those that it goes on from.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentkit.errors import Problem, UsageError, near_match
from agentkit.ingest.foreign_traces import Piece, conversation_trial, conversations, pieces
from agentkit.ingest.imported import Imported, Source, imported_run, numbered
from agentkit.ingest.otlp import OtlpEvent, OtlpFile, OtlpSpan
from agentkit.ingest.own_traces import SCOPE, NotWhole, OwnTrace, abandoned, own_trace, own_trial
from agentkit.ingest.ungraded import slug
from agentkit.records import Run, RunId, Trial
from agentkit.tracing import attributes as names

_TRACES, _LOGS = "traces.jsonl", "logs.jsonl"


def read_otel(path: Path, *, services: Sequence[str] = ()) -> list[Imported]:
    """Every run and every service of a file of OTLP in JSON, or of the folder that `agentkit run` writes.

    A `logs.jsonl` beside a `traces.jsonl` is read with it: it holds the grades. `services` narrows the choice to some
    services, or agentkit's runs. Those of which nothing is whole are left out, where anything is; what is wrong with
    them, and with the file itself, is told with the first.

    Raises:
        UsageError: there is no such file, or no such service in it.
    """
    path = path / _TRACES if path.is_dir() else path
    source = Source.of("otel", path)
    file = OtlpFile()
    file.read(path)
    cut = bool(file.problems)
    logs = path.with_name(_LOGS)
    graded = path.name == _TRACES and logs.is_file()
    if graded:
        file.read(logs)
    own, foreign = _sorted_out(file.spans)
    found = [
        *_own_runs(own, file.events if graded or file.events else None, source, cut),
        *_services(foreign, source, cut),
    ]
    if not found:
        file.problems.append(Problem(str(path), None, "", _nothing(file.spans)))
        return [_imported(source, "otel", "unknown", (), file.problems, complete=False)]
    chosen = _chosen(found, services)
    first, *rest = [it for it in chosen if it.trials] or chosen[:1]
    lost = [problem for it in chosen if not it.trials and it is not first for problem in it.problems]
    return [replace(first, problems=(*file.problems, *lost, *first.problems)), *rest]


def _chosen(found: Sequence[Imported], services: Sequence[str]) -> list[Imported]:
    known = {name_of(imported): imported for imported in found}
    for service in services:
        if service not in known:
            raise UsageError(f"no traces of {service!r} are in this file{near_match(service, known)}")
    return [imported for name, imported in known.items() if not services or name in services]


def name_of(imported: Imported) -> str:
    """The service whose traces it holds; of our own, the run."""
    settings = imported.run.settings["import"]
    return str(settings.get("run") or settings.get("service"))


def _sorted_out(spans: Iterable[OtlpSpan]) -> tuple[dict[str, list[OtlpSpan]], dict[str, list[OtlpSpan]]]:
    """The spans of our own traces and those of others, each by trace in the order of the file."""
    own: dict[str, list[OtlpSpan]] = {}
    foreign: dict[str, list[OtlpSpan]] = {}
    for span in spans:
        (own if span.scope == SCOPE else foreign).setdefault(span.trace, []).append(span)
    return own, {trace: found for trace, found in foreign.items() if trace not in own}


def _nothing(spans: Sequence[OtlpSpan]) -> str:
    if not spans:
        return "it holds no span"
    asked = sum(_is_request(span) for span in spans)
    if asked:
        return (
            f"{asked} requests to a model were recorded without their messages: the instrumentation did not capture "
            "content"
        )
    scopes = ", ".join(sorted({span.scope or "unnamed" for span in spans})[:5])
    return (
        f"none of its {len(spans)} spans is a request to a model in the GenAI conventions, OpenInference's or "
        f"Traceloop's form (instrumentations found: {scopes})"
    )


def _is_request(span: OtlpSpan) -> bool:
    found = span.attributes
    return (
        found.get(names.OPERATION_NAME) == names.CHAT
        or found.get(names.SPAN_KIND) == "LLM"
        or found.get("llm.request.type") in ("chat", "completion")
    )


def _imported(
    source: Source,
    kind: str,
    agent: str,
    trials: Sequence[Trial],
    problems: Sequence[Problem],
    *,
    complete: bool,
    scenarios: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Imported:
    source = replace(source, kind=kind)
    digest = hashlib.sha256(f"{source.sha256}\0{kind}\0{agent}".encode()).hexdigest()
    run = imported_run(
        kind,
        digest,
        agent=agent,
        trials=len(trials),
        complete=complete,
        scenarios=scenarios or {},
        settings=settings or {},
        source=source,
    )
    return Imported(run, tuple(numbered(run.id, trials, 0)), tuple(problems), source)


def _own_runs(
    traces: Mapping[str, Sequence[OtlpSpan]], told: Sequence[OtlpEvent] | None, source: Source, cut: bool
) -> list[Imported]:
    """Each run of agentkit's in the file, with its trials in their order. `told`: log records, None without any."""
    problems: dict[str, list[Problem]] = defaultdict(list)
    whole: dict[str, list[OwnTrace]] = defaultdict(list)
    left: dict[str, set[int]] = defaultdict(set)
    for id, spans in traces.items():
        run = str(next((span.resource[names.RUN_ID] for span in spans if names.RUN_ID in span.resource), ""))
        try:
            if (index := abandoned(spans)) is not None:
                left[run].add(index)
            else:
                whole[run].append(own_trace(spans))
        except NotWhole as error:
            problems[run].append(Problem(str(source.path), None, f"trace {id}", str(error)))
    events: dict[str, list[OtlpEvent]] | None = None if told is None else {id: [] for id in traces}
    for event in told or ():
        if events is not None and event.trace in events:
            events[event.trace].append(event)
    return [
        _own_run(run, whole[run], left[run], events, problems[run], source, cut)
        for run in dict.fromkeys([*whole, *problems, *left])
    ]


def _own_run(
    run: str,
    traces: Sequence[OwnTrace],
    left: Set[int],
    events: Mapping[str, Sequence[OtlpEvent]] | None,
    problems: list[Problem],
    source: Source,
    cut: bool,
) -> Imported:
    """`left`: the trials, by their index, that a hard limit ended; those of them that were not played again keep the
    run from being finished."""
    trials: list[Trial] = []
    for trace in sorted(traces, key=lambda it: (it.index, it.root.place)):
        try:
            trials.append(
                own_trial(trace, RunId(""), len(trials), None if events is None else events[trace.root.trace])
            )
        except NotWhole as error:
            problems.append(Problem(str(source.path), None, f"trace {trace.root.trace}", str(error)))
    again = left - {trace.index for trace in traces}
    if again and not trials and not problems:
        message = f"a hard limit ended all of its trials ({len(again)}), and none was played again"
        problems.append(Problem(str(source.path), None, f"run {run}", message))
    about = [trace.root.attributes for trace in traces]
    hashes = {
        str(it[names.SCENARIO_ID]): str(it[names.SCENARIO_HASH])
        for it in about
        if names.SCENARIO_ID in it and names.SCENARIO_HASH in it
    }
    imported = _imported(
        source,
        f"otel-{slug(run)}",
        next((trace.agent for trace in traces), "unknown"),
        trials,
        problems,
        complete=not problems and not cut and not again,
        scenarios=hashes,
        settings={"run": run},
    )
    return replace(imported, run=_as_it_was(imported.run, about))


def _as_it_was(run: Run, about: Sequence[Mapping[str, Any]]) -> Run:
    """With what decides the numbers: the seed, and whether repeats of an instance count."""
    found: Mapping[str, Any] = about[0] if about else {}
    seed = found.get(names.RUN_SEED, 0)
    return replace(run, seed=seed if isinstance(seed, int) else 0, deterministic=found.get(names.DETERMINISTIC) is True)


def _services(traces: Mapping[str, Sequence[OtlpSpan]], source: Source, cut: bool) -> list[Imported]:
    """The conversations of each service, in the order in which they began."""
    by_service: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces(traces.values()):
        by_service[piece.service].append(piece)
    return [_service(service, found, source, cut) for service, found in by_service.items()]


def _service(service: str, found: Sequence[Piece], source: Source, cut: bool) -> Imported:
    trials: list[Trial] = []
    problems: list[Problem] = []
    for conversation, parts in conversations(found):
        if cut and not all(part.whole for part in parts):
            message = "the file was cut off within it: left out, to be imported from the whole file"
            problems.append(Problem(str(source.path), None, f"conversation {conversation}", message))
            continue
        trials.append(conversation_trial(service, conversation, parts, len(trials)))
    unique = {trial.key: trial for trial in reversed(trials)}
    kept = [trial for trial in trials if unique[trial.key] is trial]
    return _imported(
        source,
        f"otel-{slug(service)}",
        service,
        kept,
        problems,
        complete=not cut,
        settings={"service": service},
    )
