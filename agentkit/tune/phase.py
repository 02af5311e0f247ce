"""One phase of a training: what the training program is told, in `phase.json` of its folder. Light to import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agentkit.errors import UsageError, near_match

FILE = "phase.json"
RESULT = "result.json"
"""What came of it; there once all else is."""
TOKENS = "tokens.json"
ADAPTER = "adapter"
"""Folder of the best adapter."""
STACKED = "stacked"
STACKED_RESULT = "stacked.json"
"""Folder of the best adapter and the one on top of which it was trained, as one."""
TRACEPARENT = "TRACEPARENT"
"""Variable of the environment that names the span below which the training program records its own."""
JOB = "AGENTKIT_JOB"
"""Variable that names the job."""
ROLLOUT_URL = "AGENTKIT_ROLLOUT_URL"
"""Variable that names the vLLM server that writes completions; ends in `/v1`."""
ROLLOUT_KEY = "AGENTKIT_ROLLOUT_KEY"
"""Variable that holds its key."""
RENDEZVOUS = "AGENTKIT_RENDEZVOUS"
"""Variable that says where the processes of a training meet, as PyTorch's `init_method`."""
Method = Literal["sft", "grpo", "dpo", "kto"]
Positive = Annotated[int, Field(gt=0)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Lora(_Settings):
    """Of the adapter, where it is made anew."""

    rank: Positive = 16
    alpha: Positive = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: str | tuple[str, ...] = "all-linear"
    """As PEFT takes it."""


class Phase(_Settings):
    """Settings of one phase. The defaults suit a model of 135 million parameters on two cores."""

    method: Method
    model: str
    """Folder, or name on a model hub, of the base model."""
    prompts: str
    """File of the prompts."""
    start: str | None = None
    """Folder of the adapter that training goes on with; None makes a new one."""
    preferences: str | None = None
    """DPO: file of `{"prompt": id, "chosen": text, "rejected": text}`; KTO: of `{"prompt": id, "completion": text,
    "label": true}`."""
    rubric: str | None = None
    """GRPO: as `agentkit.grade.load_rubric` names it."""
    rewards: str | None = None
    """Folder of the rewards."""
    scenarios: dict[str, str] = {}
    """File → hash of each scenario that the prompts are of, for rewards that play on."""
    seed: int = 0
    lora: Lora = Lora()
    learning_rate: Annotated[float, Field(gt=0)]
    epochs: Positive = 1
    """Of sft, dpo and kto."""
    steps: Positive = 1
    """Of grpo: updates at most."""
    batch: Positive = 4
    """Rows of an update in sft, dpo and kto; prompts of an update in grpo."""
    group: Annotated[int, Field(gt=1)] = 8
    """Completions of each prompt in grpo."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    beta: Annotated[float, Field(ge=0)] = 0.02
    """Weight of the divergence from the model at the start (grpo), or of DPO and KTO."""
    resample: Annotated[int, Field(ge=0)] = 1
    """How often a group of which every completion is worth the same is replaced by one of another prompt."""
    max_tokens: Positive = 100
    """Of a completion, as served."""
    generation: Literal["trainer", "vllm"] = "trainer"
    """Who writes the completions of grpo: the training program, or a vLLM server that the environment names."""
    rollout_tokens: Positive | None = None
    """Of a completion in grpo; None: half as long again as the longest right answer, but no longer than served."""
    frequency_penalty: float = 0.0
    """As served."""
    context: Positive = 4096
    """Tokens of a prompt and its completion, as served."""
    evaluate_every: Positive = 4
    """Updates between two evaluations on the validation prompts."""
    patience: Positive = 3
    """Evaluations without a new best after which grpo stops."""
    max_loss: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of the guards that a kept adapter may lose; where it loses more, a part of its change is tried."""
    least_scale: Annotated[float, Field(gt=0, le=1)] = 0.2
    """The smallest part of a training's change that is tried."""
    max_kl: Annotated[float, Field(gt=0)] = 10.0
    """Divergence, in nats a completion token, beyond which grpo stops, in two updates one after the other."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of the base model while it is trained; on a CPU, what it computes fast."""
    share_prompts: bool = True
    """Compute the prompt that completions share once."""
    threads: int | None = None
    """Of the computation on a CPU; None: all cores."""

    @model_validator(mode="after")
    def _complete(self) -> Phase:
        if self.method == "grpo" and self.rubric is None:
            raise ValueError("rubric: found nothing, expected the rubric that grpo rewards by")
        if self.method in ("dpo", "kto") and self.preferences is None:
            raise ValueError(f"preferences: found nothing, expected the file of preferences that {self.method} learns")
        if self.method == "kto" and self.batch == 1:
            raise ValueError("batch: found 1, expected 2 or more: kto holds each answer against another of its update")
        return self

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Phase:
        """The settings in a folder.

        Raises:
            UsageError: there are none, or a setting is unknown or wrong.
        """
        file = folder / FILE
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise UsageError(f"{file}: {_told(error)}") from None


def _told(error: ValidationError) -> str:
    """The first thing that is wrong, in words."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    if not place:
        return first["msg"].removeprefix("Value error, ")
    known = Lora.model_fields if place[0] == "lora" and len(place) > 1 else Phase.model_fields
    near = near_match(place[-1], known) if first["type"] == "extra_forbidden" else ""
    return f"{'.'.join(place)}: found {first['input']!r}, expected: {first['msg']}{near}"
