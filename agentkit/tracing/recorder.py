"""What the spans of a run share: ids, sampling, limits, the way out, and the user's word on content."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry._logs import Logger, NoOpLogger, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from agentkit.tracing.content import Capture
from agentkit.tracing.meters import Meters


@dataclass(frozen=True, slots=True)
class Recorder:
    """Shared by all spans of a run."""

    run_id: str
    on: bool
    capture: Capture
    resource: Resource
    scope: InstrumentationScope
    sampler: Sampler
    longest_value: int | None
    """Characters of one attribute value, where the standard variables set a limit."""
    export: Callable[[Sequence[ReadableSpan]], object]
    logger: Logger
    meters: Meters
    _random: random.Random = field(default_factory=random.SystemRandom)
    """The operating system's: a tool that seeds Python's own generator must not make two traces one."""

    @classmethod
    def off(cls) -> Recorder:
        """Records nothing."""
        return cls(
            run_id="",
            on=False,
            capture=Capture.NO_CONTENT,
            resource=Resource.get_empty(),
            scope=InstrumentationScope("agentkit"),
            sampler=ALWAYS_OFF,
            longest_value=None,
            export=len,
            logger=NoOpLogger("agentkit"),
            meters=Meters(NoOpMeter("agentkit")),
        )

    def new_id(self, bits: int) -> int:
        return self._random.getrandbits(bits) or 1  # 0 means "no id"

    def samples(self, trace_id: int, name: str, attributes: Mapping[str, Any]) -> bool:
        """Whether a trace is to be recorded; asked once, at its root, so that none is recorded in part."""
        result = self.sampler.should_sample(Context(), trace_id, name, attributes=attributes)
        return result.decision is Decision.RECORD_AND_SAMPLE

    def limited(self, attributes: dict[str, Any]) -> Mapping[str, Any]:
        if self.longest_value is None:
            return attributes
        return BoundedAttributes(attributes=attributes, max_value_len=self.longest_value)

    def event(self, event: str, context: Context, now: int, attributes: dict[str, Any], *, debug: bool = False) -> None:
        """Emits a log record inside the span that `context` holds; `now` in nanoseconds."""
        self.logger.emit(
            event_name=event,
            context=context,
            timestamp=now,
            severity_number=SeverityNumber.DEBUG if debug else SeverityNumber.INFO,
            attributes=attributes,
        )
