"""What a training job is told: kept with the job, so that it can be taken up again and repeated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from agentkit.errors import UsageError, near_match
from agentkit.tune.compile import CompileSettings

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]


class JobSettings(CompileSettings):
    """Of the data, and of what is made of them. The defaults suit a model of 135 million parameters on two cores."""

    run: str
    """The run whose failures are to be repaired."""
    step: str | None = None
    """Selector of the step; None where the one that is worth the most is taken."""
    rubric: str = "tool_call"
    """Reference of the rewards."""
    rewards: str
    """Their folder, absolute."""
    adapters: str
    """Folder of the trained adapters, absolute."""
    method: str | None = None
    """`sft`, `grpo`, `sft+grpo`, `dpo` or `kto`; None: as the preflight finds it."""
    examples: Positive | None = None
    """How many of the training examples are used, evenly over the variants; None: all. Of a learning curve, whose parts
    then hold one another."""
    rest: Annotated[int, Field(ge=0)] = 40
    """Conversations of the suite's other variants, for what the step's own do not meet."""
    samples: Annotated[int, Field(gt=1)] = 8
    """Answers of the current model at each training prompt, for the preflight."""
    training_seed: int = 0
    """Of weights, sampling and order in training, apart from the data's."""
    training_seeds: Positive = 1
    """Trainings on the same data, each with the next seed. The first is the one to be published for use; the others
    show how far its gain is a matter of the seed."""
    attempts: Positive = 2
    """Trainings at most, each with the next seed, until one is better at the validation prompts than the model as it
    was; held-out conversations are played with that one alone. Where seeds are compared, each counts and none is tried
    again."""
    sft_epochs: Positive = 3
    """Times that the golden answers are gone through."""
    sft_rate: Rate = 5e-4
    """Learning rate."""
    sft_batch: Positive = 4
    """Golden answers of an update."""
    grpo_steps: Positive = 16
    """Updates at most."""
    grpo_rate: Rate = 5e-4
    """Learning rate."""
    grpo_prompts: Positive = 2
    """Prompts of an update."""
    grpo_group: Annotated[int, Field(gt=1)] = 8
    """Completions of each."""
    grpo_beta: Annotated[float, Field(ge=0)] = 0.02
    """Weight of the distance from the model as it was (Kullback-Leibler)."""
    preference_epochs: Positive = 2
    """Of dpo and kto: times that the judgements are gone through."""
    preference_rate: Rate = 1e-4
    """Learning rate."""
    preference_beta: Rate = 0.1
    """How close to the model as it was (the beta of DPO)."""
    rank: Positive = 16
    """Of the LoRA adapter."""
    generation: Literal["trainer", "vllm"] = "trainer"
    """Who writes the completions of grpo: the training program, or a vLLM server that is started for it."""
    processes: Positive = 1
    """That train together, each on a GPU of its own where there are any; an update is dealt out among them."""
    evaluate_every: Positive = 4
    """Updates between two looks at the validation prompts."""
    patience: Positive = 3
    """Looks without a better one, after which training ends."""
    regressions: Annotated[int, Field(ge=0)] = 3
    """Mended failures that stay behind as scenarios."""
    allow_thin: bool = False
    """Whether steps with too few pairs may stay open in the proof."""
    concurrency: Positive = 16
    """Conversations played at once."""

    @property
    def of_data(self) -> CompileSettings:
        """What the data are made by."""
        return CompileSettings(**self.model_dump(include=set(CompileSettings.model_fields)))

    @property
    def attempted_seeds(self) -> range:
        """Of the trainings of which the first that is any better is published."""
        tries = self.attempts if self.training_seeds == 1 else 1
        return range(self.training_seed, self.training_seed + tries)

    @property
    def further_seeds(self) -> range:
        """Of the trainings after the first."""
        return range(self.training_seed + 1, self.training_seed + self.training_seeds)


def job_settings(told: dict[str, Any]) -> JobSettings:
    """Checked settings.

    Raises:
        UsageError: one is unknown or out of range; names it as the command line does.
    """
    try:
        return JobSettings(**told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        near = near_match(name, JobSettings.model_fields) if first["type"] == "extra_forbidden" else ""
        option = "--" + name.replace("_", "-")
        raise UsageError(f"{option}: found {first['input']!r}, expected: {first['msg']}{near}") from None
