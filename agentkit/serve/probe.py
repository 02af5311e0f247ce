"""What an adapter must say at a few prompts: log-probabilities as PEFT computed them, written beside its weights.

A server that loaded the adapter is held against them (`agentkit.serve.fleet.attestation`), so that neither torch nor
PEFT is needed where it is served. `agentkit.tune.probe` writes the file.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from agentkit.errors import AdapterError, EngineError
from agentkit.serve.adapter_folder import PROBE, WEIGHTS, AdapterFolder
from agentkit.serve.cache import cache_folder
from agentkit.serve.model_hash import file_hash

PROGRAM = (sys.executable, "-P", "-m", "agentkit.tune.probe")
"""Called with the folders of the base model and of the adapter, and the file to write."""
_SOURCE = Path(__file__).parents[1] / "tune" / "probe.py"
_LINES = 12
"""Of what the program said, that an error shows."""

Token = Annotated[int, Field(ge=0)]


class ProbePrompt(BaseModel):
    """A prompt and an answer, scored by both models."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tokens: Annotated[tuple[Token, ...], Field(min_length=2)]
    """Of the prompt and then of the answer."""
    start: Annotated[int, Field(gt=0)]
    """Index of the answer's first token."""
    adapter: tuple[FiniteFloat, ...]
    """Log-probability (nats) of each token of the answer, base model and adapter together."""
    base: tuple[FiniteFloat, ...]
    """The same of the base model alone."""

    @model_validator(mode="after")
    def _one_each(self) -> ProbePrompt:
        answer = len(self.tokens) - self.start
        if answer < 1 or len(self.adapter) != answer or len(self.base) != answer:
            raise ValueError(
                f"expected one number for each of the {max(answer, 0)} tokens of the answer, found "
                f"{len(self.adapter)} of the adapter and {len(self.base)} of the base model"
            )
        return self


class Probe(BaseModel):
    """The file `probe.json` of an adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal[1] = 1
    weights: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the adapter's weights that were scored."""
    prompts: Annotated[tuple[ProbePrompt, ...], Field(min_length=1)]


def read_probe(file: Path, weights: Path) -> Probe:
    """The probe in a file, held against the weights that it is of.

    Raises:
        AdapterError: it cannot be read, is no probe, or is of other weights.
    """
    try:
        probe = Probe.model_validate_json(file.read_bytes())
    except OSError as error:
        raise AdapterError(f"{file}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise AdapterError(f"{file}: is no probe of an adapter: {place}: {first['msg']}") from None
    if probe.weights != (found := file_hash(weights)):
        raise AdapterError(f"{file}: is of weights {probe.weights[:12]}…, expected {found[:12]}…, those beside it")
    return probe


def probe_of(adapter: AdapterFolder, base: Path) -> Probe:
    """The probe that was published with an adapter, or else one that is made here, once for each user.

    Args:
        base: the folder of the model that the adapter is for.

    Raises:
        AdapterError: the adapter's own probe is broken.
        EngineError: it has none, and none can be made here.
    """
    weights = adapter.path / WEIGHTS
    if PROBE in adapter.manifest.files:
        return read_probe(adapter.path / PROBE, weights)
    if not base.is_dir():
        raise EngineError(f"adapter {adapter.name} has no {PROBE}, and {base} is no folder of a model to make one with")
    key = hashlib.sha256(f"{adapter.manifest.hash} {adapter.manifest.base_hash} {_program_hash()}".encode()).hexdigest()
    file = cache_folder() / "probes" / f"{adapter.name}-{key[:12]}.json"
    if not file.is_file():
        make_probe(base, adapter.path, file)
    return read_probe(file, weights)


def make_probe(base: Path, adapter: Path, file: Path, prompts: Path | None = None) -> None:
    """Score an adapter with PEFT in a process of its own, and write what came of it into `file`, whole or not at all.

    Args:
        prompts: a job's `prompts.jsonl`; left out, a few that stand in the program.

    Raises:
        EngineError: it could not be scored, with the end of what the program said.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name[:80]}-") as draft:
        made = Path(draft) / PROBE
        done = subprocess.run(
            [*PROGRAM, str(base), str(adapter), str(made), *([str(prompts)] if prompts else ())],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip().splitlines()[-_LINES:]
            what = f"{adapter}: its log-probabilities could not be computed (is the extra `tune` installed?):"
            raise EngineError("\n".join([what, *said]))
        os.replace(made, file)


def _program_hash() -> str:
    try:
        return hashlib.sha256(_SOURCE.read_bytes()).hexdigest()
    except OSError:
        raise EngineError(f"no adapter can be probed: {_SOURCE.name} is missing from this installation") from None
