"""What `/metrics` tells, in Prometheus' form."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agentkit.records import Usage
from agentkit.serve.router.balance import Balance
from agentkit.serve.router.capturing import Capturing
from agentkit.serve.router.objectives import Objectives

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_MOST_NAMES = 500
"""Pairs of agent and step that have series of their own; callers choose names, and memory is finite."""
OTHER = "other"


class Metrics:
    """Counts what passes. One for each process, in a registry of its own."""

    def __init__(self, balance: Balance, objectives: Objectives, capture: Capturing) -> None:
        self.registry = CollectorRegistry()
        labels = ("agent", "step", "target", "arm")
        self._requests = Counter(
            "agentkit_requests", "Requests that were let in.", (*labels, "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "agentkit_request_seconds", "To the last byte.", labels, buckets=_SECONDS, registry=self.registry
        )
        self._first = Histogram(
            "agentkit_first_token_seconds",
            "To the first piece of a stream.",
            labels,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tokens = Counter("agentkit_tokens", "As upstreams count them.", (*labels, "kind"), registry=self.registry)
        self._refused = Counter(
            "agentkit_refused", "Requests that were not let in.", ("status", "code"), registry=self.registry
        )
        self._retries = Counter("agentkit_retries", "Requests sent once more.", ("upstream",), registry=self.registry)
        self._withheld = Counter(
            "agentkit_no_consent", "Exchanges not kept, as the user wants.", registry=self.registry
        )
        self.running = Gauge("agentkit_running_requests", "Being answered now.", registry=self.registry)
        self._names: set[tuple[str, str]] = set()
        self._of = lru_cache(4096)(self._series)
        self._status = lru_cache(8192)(self._requests.labels)
        self.registry.register(_State(balance, objectives, capture))

    def finished(
        self,
        about: tuple[str, str, str, str],
        status: int,
        seconds: float,
        first: float | None,
        usage: Usage,
    ) -> None:
        """A request that was let in is over. `about`: agent, step, target, arm."""
        about = self._bounded(about)
        self._status(*about, str(status)).inc()
        histogram, first_piece, read, written = self._of(*about)
        histogram.observe(seconds)
        if first is not None:
            first_piece.observe(first)
        if usage.total:
            read.inc(usage.input_tokens)
            written.inc(usage.output_tokens)

    def refused(self, status: int, code: str) -> None:
        """A request that was not let in."""
        self._refused.labels(str(status), code).inc()

    def retried(self, upstream: str) -> None:
        """A request is sent once more, because this upstream failed."""
        self._retries.labels(upstream).inc()

    def withheld(self) -> None:
        """An exchange is not kept, because its user does not want it."""
        self._withheld.inc()

    def page(self) -> bytes:
        """All of it as text."""
        return generate_latest(self.registry)

    def _bounded(self, about: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
        name = about[:2]
        if name not in self._names:
            if len(self._names) >= _MOST_NAMES:
                return (OTHER, OTHER, *about[2:])
            self._names.add(name)
        return about

    def _series(self, *about: str) -> tuple[Histogram, Histogram, Counter, Counter]:
        return (
            self._seconds.labels(*about),
            self._first.labels(*about),
            self._tokens.labels(*about, "input"),
            self._tokens.labels(*about, "output"),
        )


class _State(Collector):
    """What is so at the moment that somebody looks."""

    def __init__(self, balance: Balance, objectives: Objectives, capture: Capturing) -> None:
        self._balance = balance
        self._objectives = objectives
        self._capture = capture

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("agentkit_queue_depth", "Requests waiting for an upstream.", self._balance.waiting)
        yield CounterMetricFamily("agentkit_sheds", "Requests turned away for want of room.", self._balance.sheds)
        yield CounterMetricFamily("agentkit_ejections", "Upstreams left alone for a while.", self._balance.ejections)
        yield from self._objective_metrics()
        yield from self._capture_metrics()

    def _objective_metrics(self) -> Iterator[Metric]:
        families = {
            "objective": GaugeMetricFamily(
                "agentkit_objective_ratio", "Promised share of good requests.", labels=["slo"]
            ),
            "left": GaugeMetricFamily(
                "agentkit_error_budget_left_ratio", "1 untouched, below 0 overdrawn.", labels=["slo"]
            ),
            "burn": GaugeMetricFamily("agentkit_error_budget_burn", "Bad requests by what is allowed.", labels=["slo"]),
            "breached": GaugeMetricFamily("agentkit_objective_breached", "1 where promotion is held.", labels=["slo"]),
        }
        for it in self._objectives.budgets():
            for name, family in families.items():
                family.add_metric([it.name], float(getattr(it, name)))
        yield from families.values()

    def _capture_metrics(self) -> Iterator[Metric]:
        figures = self._capture.figures
        for name in ("offered", "stored", "dropped", "spilled"):
            yield CounterMetricFamily(f"agentkit_capture_{name}", f"Exchanges {name}.", float(getattr(figures, name)))
        yield GaugeMetricFamily("agentkit_capture_depth", "Exchanges in memory.", float(figures.depth))
        yield GaugeMetricFamily(
            "agentkit_capture_alarm", "1 where exchanges are being lost.", float(bool(figures.alarm))
        )
