"""A training job from a failing step to a certificate: stages that can be killed and taken up again.

Each stage leaves a file in the job's folder once it is done, and does nothing where that file is there. So a job that
was stopped at any moment goes on where it stood, and what it holds is what an undisturbed one would.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from agentkit.config import Config
from agentkit.errors import AgentkitError
from agentkit.files import write_whole
from agentkit.grade import load_rubric
from agentkit.lock import locked
from agentkit.records import Adapter, Job, JobStatus, Run
from agentkit.scenario import Loaded
from agentkit.serve import Endpoint, model_endpoint, served_model
from agentkit.serve.adapter_folder import PROBE, AdapterFolder
from agentkit.serve.model import playing_settings
from agentkit.serve.model_hash import content_hash
from agentkit.serve.probe import make_probe
from agentkit.serve.registered import find_adapters
from agentkit.store import Store
from agentkit.tracing import attributes
from agentkit.tune import words
from agentkit.tune.audit import audit_rewards
from agentkit.tune.below import jobs_below
from agentkit.tune.certificate import Promotion, stopped
from agentkit.tune.compile import compile_prompts, silent_agent
from agentkit.tune.counterfactual import playing_on, scenario_files
from agentkit.tune.curve import cut
from agentkit.tune.exchange import write_preferences
from agentkit.tune.forecast import forecast
from agentkit.tune.job_folder import JobFolder
from agentkit.tune.job_trace import JobTrace
from agentkit.tune.jobs import expected_seconds, pace
from agentkit.tune.manifest import PROMPTS, Manifest, manifest_of, read_job, write_job
from agentkit.tune.page import render
from agentkit.tune.phase import TOKENS, Phase
from agentkit.tune.phase_card import phase_card
from agentkit.tune.plays import Plays
from agentkit.tune.preferred import against_people, preferred
from agentkit.tune.preflight import decide, sample
from agentkit.tune.prompt import Prompt, Split, of_target
from agentkit.tune.proof import Proof, by_itself
from agentkit.tune.reasons import nothing_better, what_stops
from agentkit.tune.registry import publish_and_register
from agentkit.tune.rollouts import rollout_server
from agentkit.tune.serving import check_calls, check_parity, sample_served
from agentkit.tune.settings import JobSettings
from agentkit.tune.target import Target, chat_settings, choose_target, trained_model
from agentkit.tune.trained import TrainedModel, adapter_below, check_rank, max_rank
from agentkit.tune.training import PREFERENCES, pass_over, plan_phases, render_prompts, train_phase

LOCK = "job.lock"
"""Held by the process that is at work on the job; holds its id."""
CERTIFICATE = "certificate.json"
PAGE = "certificate.html"
Results = Sequence[Mapping[str, Any]]
"""Of a training's phases, in order."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a job."""

    verdict: Promotion
    document: Mapping[str, Any]
    adapter: str | None
    folder: Path


@dataclass
class Work:
    """One sitting at a job."""

    job: Job
    settings: JobSettings
    store: Store
    scenarios: Sequence[Loaded]
    config: Config
    tell: Callable[[str], None]
    progress: Callable[[Mapping[str, Any]], None] = lambda _: None
    """Told each line of the training's own progress."""
    trace: JobTrace = field(default_factory=JobTrace)
    part: str = ""
    """End of the names of what belongs to a training seed after the first: `-2`; '' for the first."""

    @property
    def folder(self) -> Path:
        return Path(self.job.folder)

    @property
    def files(self) -> JobFolder:
        return JobFolder(self.folder)

    @cached_property
    def run(self) -> Run:
        return self.store.run(self.settings.run)

    @cached_property
    def target(self) -> Target:
        return choose_target(
            self.store, self.run, self.scenarios, step=self.settings.step, worst=self.settings.step is None
        )

    def do(self) -> Ended:
        """All stages in order; what is done is passed over.

        Raises:
            UsageError: another process is at work on the job, which is left as it is.
            AgentkitError: the job cannot go on.
        """
        with locked(self.folder / LOCK, f"job {self.job.id} is at work in process {{}}; let it go on, or end it first"):
            return self._sitting()

    def _sitting(self) -> Ended:
        try:
            with self.trace.recording(str(self.job.id), self.job.step, self.folder / "traces"):
                ended = self._stages()
                self.trace.ended({attributes.VERDICT: ended.verdict.value, attributes.ADAPTER: ended.adapter})
            return ended
        except KeyboardInterrupt:
            self._set(JobStatus.STOPPED, "stopped by hand")
            raise
        except AgentkitError as error:
            self._set(JobStatus.FAILED, str(error).splitlines()[0])
            raise

    def _stages(self) -> Ended:
        check_rank(self.settings.rank, self.config.serve.engines)
        manifest, prompts = self._compiled()
        if (reasons := self._audited(prompts)) is not None:
            return self._unproved(manifest, Promotion.STOPPED, reasons)
        method = self._begun(manifest, prompts)
        if method == "none":
            return self._unproved(manifest, Promotion.STOPPED, [self.files.read("preflight.json")["why"]])
        scenarios = scenario_files(prompts, self.scenarios)
        failed: list[str] = []
        for attempt in map(self._seeded, self.settings.attempted_seeds):
            results = attempt._trained(method, scenarios)
            if adapters := attempt._published(manifest, method, results):
                break
            failed += nothing_better(results, attempt.settings.training_seed)
            self.tell(failed[-1])
        else:
            return self._unproved(manifest, Promotion.INCONCLUSIVE, failed)
        attempt._played(manifest, adapters)
        for again in map(self._seeded, self.settings.further_seeds):
            again._repeated(manifest, method, scenarios)
        return attempt._certified(manifest, adapters, results, failed)

    def _seeded(self, seed: int) -> Work:
        """This job with another training seed, whose files are named after it; itself with its own."""
        if seed == self.settings.training_seed:
            return self
        return replace(self, settings=self.settings.model_copy(update={"training_seed": seed}), part=f"-{seed}")

    def _repeated(self, manifest: Manifest, method: str, scenarios: Mapping[str, str]) -> None:
        """One training of several whose seeds are compared, and its plays; where it learns nothing, the model as it was
        plays again."""
        adapters = self._published(manifest, method, self._trained(method, scenarios))
        self._played(manifest, adapters)
        if not adapters and not self.files.has(f"after{self.part}.json"):
            with self._server() as served:
                self._plays.whole(served, f"after{self.part}", manifest)

    def _compiled(self) -> tuple[Manifest, Sequence[Prompt]]:
        if not self.files.has("manifest.json"):
            with self._stage(JobStatus.COMPILING, "making prompts of the run's failures and of new instances"):
                self._compile()
        return read_job(self.folder)

    def _compile(self) -> None:
        settings, run, target = self.settings, self.run, self.target
        agent = silent_agent(run)
        trials = self.store.trials(run.id)
        below = jobs_below(self.model.onto, self.store)
        compiled = asyncio.run(compile_prompts(target, run, trials, self.scenarios, agent, settings.of_data, below))
        if settings.examples is not None:
            compiled = replace(compiled, prompts=cut(compiled.prompts, settings.examples))
        manifest = manifest_of(
            self.job.id,
            compiled,
            run,
            agent,
            self.scenarios,
            settings.of_data,
            base=self.model.base.name,
            base_hash=content_hash(self.model.base.folder),
            rubric=load_rubric(settings.rubric, Path(settings.rewards)),
        )
        write_job(self.folder, manifest, compiled.prompts, compiled.moments)

    def forecast(self) -> Manifest:
        """The manifest with token counts and the time that it is likely to take, by what training takes here."""
        manifest, prompts = self._compiled()
        tokens = self._tokens()
        counts = [(len(tokens["prompts"][it.id]), tokens["golden"].get(it.id, 0)) for it in prompts]
        context = self.config.serve.engines.max_model_len
        seconds, basis = expected_seconds(self.store, self.settings)
        return manifest.with_forecast(forecast(prompts, counts, context=context, seconds=seconds, basis=basis))

    def _tokens(self) -> Mapping[str, Any]:
        """Token ids of every prompt, as the trainer reads it."""
        if (found := self.files.read_if_there(f"render/{TOKENS}")) is not None:
            return dict(found)
        [(_, phase), *_] = self._phases("sft")
        return render_prompts(self.folder / "render", phase)

    def _audited(self, prompts: Sequence[Prompt]) -> list[str] | None:
        """Why the rewards must not be trained with; None where they may."""
        if self.settings.method in ("sft", "dpo", "kto"):
            return None  # no reward is asked
        if not self.files.has("audit.json"):
            with self._stage(JobStatus.AUDITING, "scoring golden answers, spoilt ones and cheap tricks"):
                rubric = load_rubric(self.settings.rubric, Path(self.settings.rewards))
                with playing_on(prompts, lambda: self.scenarios):
                    found = asyncio.run(audit_rewards(rubric, of_target(prompts), self.settings.seed))
                people, against = against_people(self.store, self.run, self.target, prompts, rubric)
                found = replace(found, findings=(*found.findings, *against))
                self.files.write("audit.json", found.document() | {"people": people and people.document()})
        audit = self.files.read("audit.json")
        return None if audit["passed"] else what_stops(audit)

    def _begun(self, manifest: Manifest, prompts: Sequence[Prompt]) -> str:
        """What the model does now: token ids held against the server, samples, the step by itself. Gives the method."""
        if not self._has_begun(manifest):
            self._set(JobStatus.SAMPLING, "the model as it is now")
            with self._server() as served:
                self._begin(served, manifest, prompts)
        method = self.files.read("preflight.json")["method"]
        return str(method)

    def _has_begun(self, manifest: Manifest) -> bool:
        if not (self.files.has("parity.json") and self.files.has("preflight.json")):
            return False
        asks = manifest.moments_sha256 and self.files.read("preflight.json")["method"] != "none"
        return not asks or self.files.has("moments.json")

    def _begin(self, served: Endpoint, manifest: Manifest, prompts: Sequence[Prompt]) -> None:
        if not self.files.has("parity.json"):
            compared = asyncio.run(check_parity(served, prompts, self._tokens()["prompts"]))
            calls = asyncio.run(check_calls(served, prompts))
            self.files.write("parity.json", {"prompts": compared, "calls": calls})
            self.tell(f"trainer and server read all {compared} prompts as the same tokens")
        if not self.files.has("preflight.json"):
            with self._timed("preflight"):
                self._decide(served, prompts)
        if self.files.read("preflight.json")["method"] != "none":
            self._plays.by_itself(served, "moments", manifest)

    def _decide(self, served: Endpoint, prompts: Sequence[Prompt]) -> None:
        settings = self.settings
        train = [prompt for prompt in prompts if prompt.split is Split.TRAIN]
        rubric = load_rubric(settings.rubric, Path(settings.rewards))

        with playing_on(train, lambda: self.scenarios):
            samples = asyncio.run(
                sample(train, partial(sample_served, served), settings.samples, settings.seed, rubric)
            )
        known = preferred(self.store, self.run, self.target, prompts)
        decision = decide(samples, known.counted(settings.method), settings.method)
        self.tell(f"method {decision.method}: {decision.why}")
        if rows := known.rows(decision.method):
            write_preferences(rows, self.folder / PREFERENCES)
        self.files.write("preflight.json", decision.document())

    def _trained(self, method: str, scenarios: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """What came of each phase. `scenarios`: file → hash, for rewards that play on."""
        results: list[Mapping[str, Any]] = []
        for folder, phase in self._phases(method):
            if results and results[-1].get("nothing_left"):
                results.append(pass_over(folder, phase, results[-1]))
                continue
            phase = phase.model_copy(update={"scenarios": scenarios if phase.method == "grpo" else {}})
            told = self.progress, self.trace.environment, self.settings.processes
            server = rollout_server(folder, phase, self.model.start, self.config.serve.engines, self.tell)
            stage = self._stage(JobStatus.TRAINING, f"{phase.method} in {folder.parent.name}/{folder.name}")
            with stage, server as shared:
                results.append(train_phase(folder, phase, *told, shared))
        return results

    def _phases(self, method: str) -> list[tuple[Path, Phase]]:
        under = self.folder / f"train{self.part}"
        context = self.config.serve.engines.max_model_len
        return plan_phases(method, under, self.model.start.folder, chat_settings(self.run), self.settings, context)

    def _published(self, manifest: Manifest, method: str, results: Results) -> list[Adapter]:
        """The adapters of the phases that learned something, in order; the last is the one to be proved. None where no
        update was better than the model as it was. What was trained on top of an adapter holds that one's change too,
        so that it can take its place."""
        done = f"adapters{self.part}.json"
        if not self.files.has(done):
            names: list[str] = []
            for (folder, phase), result in zip(self._phases(method), results, strict=True):
                if not result["best"]:
                    continue  # the best was what it began with
                parents = *(str(it.name) for it in self.model.adapters), *names[-1:]
                made, lacks = self.model.adapter_of(folder)
                card = phase_card(manifest, self.settings, phase, result, parents, lacks)
                adapters, base = Path(self.settings.adapters), self.model.base.folder
                self._probe(made)
                adapter = publish_and_register(self.store, made, adapters, card, base_folder=base)
                names.append(str(adapter.name))
            self.files.write(done, names)
        return [self.store.adapter(name) for name in self.files.read(done)]

    def _probe(self, adapter: Path) -> None:
        """What it says at a few prompts of the job, by which a server's copy of it is known later."""
        if not (adapter / PROBE).is_file():
            with self.files.timed("probe"):
                make_probe(self.model.base.folder, adapter, adapter / PROBE, self.folder / PROMPTS)

    def _played(self, manifest: Manifest, adapters: Sequence[Adapter]) -> None:
        """The step by itself, which is soon told; then whole conversations after, those of the warm start alone where
        there was one, and those before."""
        for adapter, name in zip(reversed(adapters), (f"after{self.part}", f"warm{self.part}"), strict=False):
            if self.files.has(f"{name}.json"):
                continue
            self._set(JobStatus.PROVING, f"playing with {adapter.name}")
            found = find_adapters([adapter.name], Path(self.settings.adapters), self.store)
            with self._server(found) as served:
                if name == f"after{self.part}":
                    self._plays.by_itself(served, f"moments{self.part}.after", manifest)
                    self._tell_step(manifest)
                self._plays.whole(served, name, manifest, str(adapter.name))
        if not self.files.has("before.json"):
            self._set(JobStatus.PROVING, "playing with the model as it was")
            with self._server() as served:
                self._plays.whole(served, "before", manifest)

    def _tell_step(self, manifest: Manifest) -> None:
        """Whether the step got better, before whole conversations are played."""
        if (found := by_itself(self.files, manifest, self.part)) is not None:
            self._set(JobStatus.PROVING, words.by_itself(found))

    @property
    def _plays(self) -> Plays:
        told = self.store, self.scenarios, self.config, self.settings, self.run
        return Plays(self.files, *told, self.tell, self._timed)

    def _certified(
        self, manifest: Manifest, adapters: Sequence[Adapter], results: Results, failed: Sequence[str]
    ) -> Ended:
        """`failed`: what earlier training seeds came to."""
        adapter = adapters[-1]
        if not self.files.has(CERTIFICATE):
            with self._stage(JobStatus.PROVING, "holding the plays before and after against each other"):
                proof = Proof(self.files, self.store, self.scenarios, self.settings, self.part, failed)
                self._finish(*proof.certified(manifest, adapter, results))
        document = self.files.read(CERTIFICATE)
        self.store.set_certificate(adapter.name, document)
        played = self._sides * len(self._plays.held_out(manifest))
        result = {
            "verdict": document["verdict"],
            "adapter": adapter.name,
            "pace": pace(results, self.files.seconds, played),
        }
        self._set(JobStatus.FINISHED, document["sentence"], result)
        return Ended(Promotion(document["verdict"]), document, str(adapter.name), self.folder)

    @property
    def _sides(self) -> int:
        """How often all held-out conversations were played: before, and after each training that was proved, those of
        further seeds included."""
        parts = (self.part, *(f"-{seed}" for seed in self.settings.further_seeds))
        return 1 + sum(self.files.has(f"{side}{part}.json") for part in parts for side in ("after", "warm"))

    def _finish(self, document: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
        files = self.files
        document = {**document, "notes": [*document["notes"], *notes], "seconds": files.seconds}
        write_whole(files.path / PAGE, render(document).encode())
        files.write(CERTIFICATE, document)

    def _unproved(self, manifest: Manifest, verdict: Promotion, reasons: Sequence[str]) -> Ended:
        """Nothing was trained, or there is no better model to be proved; and why."""
        status = JobStatus.REFUSED if verdict is Promotion.STOPPED else JobStatus.FINISHED
        hashes = {"data": manifest.prompts_sha256, "rewards": manifest.rubric.hash if manifest.rubric else ""}
        self._finish(stopped(manifest.target.name, reasons, hashes=hashes, verdict=verdict).document())
        document = self.files.read(CERTIFICATE)
        self._set(status, document["sentence"], {"verdict": document["verdict"]})
        return Ended(verdict, document, None, self.folder)

    @cached_property
    def model(self) -> TrainedModel:
        base = served_model(trained_model(self.run), on_progress=self.tell)
        onto = adapter_below(self.run, Path(self.settings.adapters), self.store)
        return TrainedModel(base, onto, max_rank(self.config.serve.engines), self.tell)

    @contextmanager
    def _server(self, adapters: Sequence[AdapterFolder] = ()) -> Iterator[Endpoint]:
        """The agent's model, as it is served while the agent plays: with an adapter that was made, or as it was."""
        settings = playing_settings(self.config.serve.engines, self.tell)
        adapters = adapters or self.model.adapters
        endpoint = model_endpoint(self.model.base, adapters=adapters, settings=settings, on_progress=self.tell)
        with self._timed("server"), endpoint as served:
            yield served

    @contextmanager
    def _stage(self, status: JobStatus, what: str) -> Iterator[None]:
        self._set(status, what)
        with self._timed(status.value):
            yield

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Count what happens inside to a part of the job, and record it as a span."""
        with self.files.timed(part), self.trace.stage(part):
            yield

    def _set(self, status: JobStatus, what: str, result: Mapping[str, Any] | None = None) -> None:
        self.tell(f"{self.job.id}: {what}")
        self.store.update_job(self.job.id, status=status, stage=what, result=result)
        if not status.ended:
            self.store.update_job(self.job.id, pid=os.getpid())
