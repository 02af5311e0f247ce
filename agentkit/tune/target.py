"""Which step a training is to repair: named, or the one whose repair would give the most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentkit.config import AgentSettings, ChatAgent
from agentkit.errors import NotJudged, UsageError, near_match
from agentkit.gate.project.sides import tags_in
from agentkit.gate.recorded import StepTags, step_tags
from agentkit.gate.settings import select
from agentkit.measure import summarize
from agentkit.measure.graded import FAILED, PASSED, Cell
from agentkit.measure.rows import cells
from agentkit.play.session import recorded_settings
from agentkit.records import Run
from agentkit.scenario import Loaded, Step
from agentkit.store import Store
from agentkit.tune.moment import NoPrompt, place_of
from agentkit.tune.regress import TAG

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class TargetStep:
    """One step in one variant of one scenario, and how it went in the run."""

    scenario: str
    variant: str
    step: str
    passed: int
    reached: int
    """Graded trials: the denominator."""

    @property
    def id(self) -> str:
        return f"{self.scenario}/{self.variant}#{self.step}"

    @classmethod
    def of(cls, id: str, passed: int, reached: int) -> TargetStep:
        """The step that has this id."""
        cell, _, step = id.rpartition("#")
        scenario, _, variant = cell.rpartition("/")
        return cls(scenario, variant, step, passed, reached)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be repaired."""

    name: str
    """The step's id; of several steps the selector's own name. What the adapter will be called after."""
    selector: str
    """As it was asked for; `worst` where the run chose."""
    steps: tuple[TargetStep, ...]
    left_out: tuple[str, ...] = ()
    """Steps that the selector names too and that cannot be trained, each with the reason."""

    @property
    def passed(self) -> int:
        return sum(it.passed for it in self.steps)

    @property
    def reached(self) -> int:
        return sum(it.reached for it in self.steps)


@dataclass(frozen=True, slots=True)
class _Played:
    """A cell as a selector looks at it."""

    cell: Cell
    tags: StepTags

    @property
    def id(self) -> str:
        return self.cell.id

    @property
    def steps(self) -> tuple[str, ...]:
        return self.cell.steps

    @property
    def skills(self) -> tuple[str | None, ...]:
        return self.cell.skills or (None,) * len(self.cell.steps)


def choose_target(
    store: Store,
    run: Run,
    scenarios: Sequence[Loaded],
    *,
    step: str | None = None,
    worst: bool = False,
) -> Target:
    """The steps that `step` names in a run, as the gate's selectors name them: `refund`, `scenario/variant#refund`,
    `skill:refund`, `tag:returns`; or, with `worst`, the step that is worth the most.

    Raises:
        UsageError: the selector names nothing, or nothing that can be trained; says why.
        NotJudged: the run has no graded trial of it.
    """
    if (step is None) is not worst:
        raise UsageError("expected one of --step and --worst")
    chat_settings(run)
    known = {loaded.id: loaded for loaded in scenarios}
    played = _played(store, run, known)
    chosen = _worst(played, run, known) if step is None else _named(played, step, known)
    steps = _judged(chosen, played, run)
    _check_unchanged(steps, run, known)
    able, left_out = _trainable(steps, known)
    if not able:
        raise UsageError(f"nothing to train: {'; '.join(left_out[:_SHOWN])}")
    target = Target(_name(able, step), step or "worst", tuple(able), tuple(left_out))
    if target.passed == target.reached:
        raise UsageError(
            f"{target.name} never failed in run {run.id}: {target.passed} of {target.reached} were right, "
            "so there is nothing to train; play it under other detours, or choose another step"
        )
    return target


def chat_settings(run: Run) -> ChatAgent:
    """The settings of the run's agent, which may have an adapter: what is trained goes on top of it. Raises UsageError
    where it is none whose model can be trained here."""
    settings: AgentSettings = recorded_settings(run).agent_settings
    if not isinstance(settings, ChatAgent):
        raise UsageError(
            f"run {run.id} was played by {run.agent}, an agent of kind {settings.kind!r}: "
            "only the model of an agent of kind 'chat' can be trained"
        )
    if settings.engine is None:
        raise UsageError(
            f"run {run.id} was played by {run.agent}, whose model is served elsewhere ({settings.base_url}): only a "
            'model whose weights are here can be trained (`engine = "./folder"`, "OWNER/NAME" or "embedded")'
        )
    named = tuple(filter(None, run.agent.partition("+")[2].split("+")))
    if len(settings.adapters) > 1 or settings.adapters != named:
        raise UsageError(
            f"run {run.id} was played by {run.agent} with the adapters {', '.join(settings.adapters)}: what is trained "
            "can go on top of one, which the agent's name names (AGENT+ADAPTER); tune a run of it with that one or "
            "none, and hold what comes of it against the others with `agentkit adapters together`"
        )
    return settings


def trained_model(run: Run) -> str:
    """The `engine` of the run's agent. Raises UsageError as `chat_settings`."""
    engine = chat_settings(run).engine
    assert engine is not None
    return engine


def _played(store: Store, run: Run, known: Mapping[str, Loaded]) -> list[_Played]:
    tags = tags_in(known.values())
    found = [
        _Played(cell, step_tags(tags, cell.scenario, cell.variant, cell.steps)) for cell in cells(store.grades(run.id))
    ]
    if not found:
        raise NotJudged(f"run {run.id} has no graded trial: there is nothing to learn from")
    return found


def _named(played: Sequence[_Played], selector: str, known: Mapping[str, Loaded]) -> tuple[str, ...]:
    """The selected steps (`scenario/variant#step`)."""
    outcomes = {check.id for loaded in known.values() for check in loaded.scenario.outcome}
    if selector in outcomes and not any(selector in it.steps for it in played):
        raise UsageError(f"{selector} is a check on the outcome, which no single move decides: tune a step that acts")
    return select(played, selector)


def _worst(played: Sequence[_Played], run: Run, known: Mapping[str, Loaded]) -> tuple[str, ...]:
    """The step, in all variants of its scenario, whose improvement potential, added up over them, is the largest of
    those that can be trained."""
    summary = summarize([it.cell for it in played], deterministic=run.deterministic, seed=run.seed)
    potential: dict[tuple[str, str], float] = {}
    for priority in summary.all.fix_first:
        cell, _, step = priority.name.partition("#")
        scenario = next(it.cell.scenario for it in played if it.id == cell)
        if not _objection(known, scenario, cell.removeprefix(f"{scenario}/"), step):
            potential[scenario, step] = potential.get((scenario, step), 0.0) + priority.potential
    if not potential:
        raise UsageError(f"no step that can be trained ever failed in run {run.id}: there is nothing to train")
    scenario, step = max(sorted(potential), key=lambda it: potential[it])
    return tuple(f"{it.id}#{step}" for it in played if it.cell.scenario == scenario and step in it.steps)


def _judged(chosen: Sequence[str], played: Sequence[_Played], run: Run) -> list[TargetStep]:
    """Those of the chosen steps that were graded in the run."""
    found = []
    for it in played:
        for place, step in enumerate(it.steps):
            if f"{it.id}#{step}" in chosen:
                grades = it.cell.grades[:, place]
                passed, failed = int((grades == PASSED).sum()), int((grades == FAILED).sum())
                if passed + failed:
                    found.append(TargetStep(it.cell.scenario, it.cell.variant, step, passed, passed + failed))
    if not found:
        raise NotJudged(f"{', '.join(chosen[:_SHOWN])}: never graded in run {run.id}, so nothing is known of it")
    return found


def _check_unchanged(steps: Sequence[TargetStep], run: Run, known: Mapping[str, Loaded]) -> None:
    for scenario in dict.fromkeys(it.scenario for it in steps):
        if scenario not in known:
            raise UsageError(
                f"scenario {scenario!r} of run {run.id} is not there any more{near_match(scenario, known)}"
            )
        if known[scenario].hash != run.scenarios.get(scenario):
            raise UsageError(
                f"{scenario} changed since run {run.id} was played: play it as it is now (agentkit run), and name the "
                "new run"
            )


def _trainable(steps: Sequence[TargetStep], known: Mapping[str, Loaded]) -> tuple[list[TargetStep], list[str]]:
    able: list[TargetStep] = []
    left_out: list[str] = []
    for it in steps:
        objection = _objection(known, it.scenario, it.variant, it.step)
        if objection:
            left_out.append(f"{it.id}: {objection}")
        else:
            able.append(it)
    return able, left_out


def _objection(known: Mapping[str, Loaded], scenario: str, variant: str, step: str) -> str:
    """Why a step cannot be trained, in words; '' where it can."""
    if scenario not in known:
        return "its scenario is not there any more"
    if TAG in known[scenario].scenario.tags:
        return (
            f"its scenario has the tag {TAG!r}: it pins one conversation down, which cannot be trained on and held out"
        )
    problem = ""
    for seed in range(8):
        try:
            instance = known[scenario].draw(variant, seed)
        except UsageError as error:
            problem = str(error)
            continue
        try:
            index, found = place_of(instance, step)
        except NoPrompt:
            return "it follows from how the trial was disturbed, and no turn of the scenario expects it"
        return _of_kind(found, [it.id for it in instance.turns[index].steps if it.call is not None])
    return problem


def _of_kind(step: Step, acting: Sequence[str]) -> str:
    if step.state is not None:
        acts = f": {', '.join(acting)}" if acting else ""
        return f"it looks at the world's state, which the calls of its turn bring about; tune the step that acts{acts}"
    if step.call is not None and step.call.result is not None:
        return "it expects a result of its call, which only the world can tell and no grader of the call alone"
    if step.reasoning is not None:
        return "it looks at the reasoning, of which no right example can be made"
    if step.reply is not None and step.reply.judge is not None:
        return "a judge decides it, so that no example is known to be right without asking one"
    return ""


def _name(steps: Sequence[TargetStep], selector: str | None) -> str:
    ids = {it.step for it in steps}
    return next(iter(ids)) if len(ids) == 1 else (selector or "").partition(":")[2] or "several"
