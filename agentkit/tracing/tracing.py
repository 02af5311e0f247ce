"""Tracing of one run or one training job, from opening to closing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, Final

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from agentkit.errors import ConfigError
from agentkit.tracing import attributes as names
from agentkit.tracing.content import Capture
from agentkit.tracing.delivery import report
from agentkit.tracing.job import Part
from agentkit.tracing.meters import Meters
from agentkit.tracing.pipeline import Pipeline
from agentkit.tracing.recorder import Recorder
from agentkit.tracing.served import Caller, Served
from agentkit.tracing.span import Clock
from agentkit.tracing.trial import Trial

_LOG = logging.getLogger(__name__)
_SCOPE: Final = "agentkit"
_PATIENCE: Final = 15.0
"""Seconds that closing may take; OTLP's own timeout for one request is 10."""


class Tracing:
    """Records one run, job or server. Made by `open`, `of_job`, `of_server` or `off`; `close` must be called at the
    end."""

    def __init__(self, recorder: Recorder, pipeline: Pipeline, shutdowns: Mapping[str, Callable[[], object]]) -> None:
        self._recorder = recorder
        self._pipeline = pipeline
        self._shutdowns = shutdowns

    @classmethod
    def off(cls) -> Tracing:
        """Records nothing, at next to no cost."""
        return cls(Recorder.off(), Pipeline(), {})

    @classmethod
    def open(
        cls, *, run_id: str, folder: Path, capture: bool | None = None, pipeline: Pipeline | None = None
    ) -> Tracing:
        """Starts recording: to the collector that the standard variables name, else to files in `folder`.

        `capture` overrides the environment's word on content: True for on the spans, False for nowhere.
        `pipeline` overrides where things go. Raises `ConfigError` for an unusable variable or folder.
        """
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return cls.off()
        content = Capture.from_environment()
        if capture is not None:
            content = Capture.SPAN_ONLY if capture else Capture.NO_CONTENT
        try:
            return cls._start({names.RUN_ID: run_id}, content, pipeline or Pipeline.from_environment(folder))
        except ValueError as error:  # OpenTelemetry's word for a number in a variable that is none
            raise ConfigError(f"OpenTelemetry's variables: {error}") from error

    @classmethod
    def of_job(cls, job_id: str, folder: Path, pipeline: Pipeline | None = None) -> Tracing:
        """Starts recording a training job: spans alone, without content, to the same places. Raises as `open`."""
        return cls._of_spans({names.JOB_ID: job_id}, lambda: pipeline or Pipeline.spans_from_environment(folder))

    @classmethod
    def of_server(cls) -> Tracing:
        """Starts recording what is served: spans alone, without content, to the collector that the standard variables
        name. Without one nothing is recorded: a server would fill the disk. Raises as `open`."""
        return cls._of_spans({names.RUN_ID: "serve"}, Pipeline.spans_to_collector)

    @classmethod
    def _of_spans(cls, identity: Mapping[str, str], pipeline: Callable[[], Pipeline]) -> Tracing:
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return cls.off()
        try:
            to = pipeline()
            return cls._start(identity, Capture.NO_CONTENT, to) if to.spans else cls.off()
        except ValueError as error:
            raise ConfigError(f"OpenTelemetry's variables: {error}") from error

    @classmethod
    def _start(cls, identity: Mapping[str, str], capture: Capture, to: Pipeline) -> Tracing:
        resource, release = _resource(identity), _version()
        standard, limits = TracerProvider(resource=resource, shutdown_on_exit=False), SpanLimits()
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        meters = MeterProvider(
            [to.metrics] if to.metrics else [],
            resource,
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        if to.logs:
            loggers.add_log_record_processor(to.logs)
        recorder = Recorder(
            run_id=identity.get(names.RUN_ID, ""),
            on=True,
            capture=capture,
            resource=resource,
            scope=InstrumentationScope(_SCOPE, release),
            sampler=standard.sampler,
            longest_value=limits.max_span_attribute_length,
            export=to.spans.export if to.spans else len,
            logger=loggers.get_logger(_SCOPE, release),
            meters=Meters(meters.get_meter(_SCOPE, release)),
        )
        shutdowns = {"logs": loggers.shutdown, "metrics": meters.shutdown}
        if to.spans:
            shutdowns["traces"] = to.spans.shutdown
        return cls(recorder, to, shutdowns)

    def trial(
        self,
        *,
        conversation_id: str,
        scenario: str,
        variant: str,
        index: int,
        agent: str,
        facts: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Starts a trace. `conversation_id`: a UUID, the same as LangGraph's `thread_id`. `facts`: what else the root
        says, by the names in `attributes.py`: enough to make a trial of the trace again."""
        return Trial(self._recorder, conversation_id, scenario, variant, index, agent, facts or {})

    def served(self, traceparent: str | None, *, conversation: str, agent: str, step: str, model: str) -> Served:
        """Starts the span of a request that came in, below that of its caller where `traceparent` names one."""
        return Served(self._recorder, Caller.of(traceparent), conversation, agent, step, model)

    def job(self, job_id: str, step: str) -> Part:
        """Starts the trace of a training job for a step."""
        return Part(self._recorder, Clock(), job_id, names.JOB, step, {names.TARGET_STEP: step})

    def phase(self, job_id: str, method: str, traceparent: str) -> Part:
        """Starts a phase below the span that started this process; in a trace of its own where that is none."""
        caller = Caller.of(traceparent)
        return Part(self._recorder, Clock(), job_id, names.PHASE, method, {names.METHOD: method}, caller)

    def close(self) -> None:
        """Sends what is left and stops, in seconds and never raises; one warning tells of anything lost."""
        shutdowns, self._shutdowns = self._shutdowns, {}
        for delivery in self._pipeline.deliveries:
            delivery.closing = True
        threads = {signal: Thread(target=_quietly, args=(stop,), daemon=True) for signal, stop in shutdowns.items()}
        for thread in threads.values():
            thread.start()
        deadline = monotonic() + _PATIENCE
        for thread in threads.values():
            thread.join(max(0.0, deadline - monotonic()))
        if threads:
            for delivery in self._pipeline.deliveries:
                delivery.abandoned = threads[delivery.signal].is_alive()
                delivery.settle()
            report(self._pipeline.deliveries)


def _quietly(shutdown: Callable[[], object]) -> None:
    try:
        shutdown()
    except Exception as error:  # telemetry must not take the run down with it
        _LOG.warning("telemetry did not close cleanly: %s", type(error).__qualname__)


def _resource(identity: Mapping[str, str]) -> Resource:
    """`service.name` is ours unless the environment names another."""
    found = Resource.create({SERVICE_VERSION: _version(), **identity})
    if str(found.attributes[SERVICE_NAME]).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: "agentkit"}))
    return found


def _version() -> str:
    try:
        return version("agentkit-reliability")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"
