"""How much a certificate must show, and what it may leave open."""

from __future__ import annotations

from dataclasses import dataclass

from agentkit.errors import UsageError
from agentkit.gate import GateSettings


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """How much must be shown. Raises `UsageError` where a number makes no sense."""

    alpha: float = 0.05
    """One-sided, of each claim that something was not made worse; the target's interval holds 1 - alpha."""
    margin: float = 0.10
    """Drop that must be ruled out for the whole conversation and for every other step, in rate points."""
    min_effect: float = 0.02
    """A rare step that is shown to be worse by no more than this does not count."""
    min_gain: float = 0.0
    """Least gain at the target step, in rate points."""
    min_pairs: int = 100
    """Pairs with which a step is judged by the margin alone."""
    general_margin: float = 0.15
    """Net share of the general prompts that may be lost; more refuses."""
    ask_general: bool = True
    """Whether a certificate without general prompts can promote nothing."""
    allow_thin: bool = False
    """Whether steps with too few pairs, alone and together, may stay open."""
    max_invalid: float = 0.10
    """Share of either run's trials."""
    accept: tuple[str, ...] = ()
    """Scenarios whose content may differ between the runs; `*` is all."""
    accept_users: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        self.gate()
        if not 0 <= self.min_gain < 1 or not 0 <= self.general_margin < 1:
            raise UsageError(
                f"min_gain {self.min_gain}, general_margin {self.general_margin}: expected 0 or more and less than 1"
            )
        if self.min_pairs < 1:
            raise UsageError(f"min_pairs: found {self.min_pairs}, expected 1 or more")

    def gate(self) -> GateSettings:
        """The gate's settings that say the same."""
        return GateSettings(
            alpha=self.alpha,
            min_effect=self.min_effect,
            margin=self.margin,
            mode="non_inferiority",
            max_invalid=self.max_invalid,
            accept=self.accept,
            accept_users=self.accept_users,
            seed=self.seed,
        )
