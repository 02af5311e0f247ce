"""A training job from a failing step to a certificate: stages that can be killed and taken up again.

Each stage leaves a file in the job's folder once it is done, and does nothing where that file is there. So a job that
was stopped at any moment goes on where it stood, and what it holds is what an undisturbed one would.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from agentkit.config import ChatAgent, Config
from agentkit.errors import AgentkitError, UsageError
from agentkit.gate.rows import recorded
from agentkit.grade import load_rubric
from agentkit.play.session import recorded_settings
from agentkit.records import Adapter, Job, JobId, JobStatus, Run
from agentkit.scenario import Loaded
from agentkit.serve import Endpoint, embedded_endpoint, embedded_model
from agentkit.serve.embedded import NAME as EMBEDDED
from agentkit.serve.model_hash import content_hash
from agentkit.serve.registered import find_adapters
from agentkit.store import Store
from agentkit.tune.audit import audit_rewards
from agentkit.tune.card import ModelCard
from agentkit.tune.certificate import Certificate, CertificateSettings, Promotion, certify, stopped
from agentkit.tune.compile import CompileSettings, compile_prompts, silent_agent
from agentkit.tune.exchange import preferences_of, recorded_pairs, thumbs_of, write_preferences
from agentkit.tune.forecast import forecast
from agentkit.tune.general import GeneralAnswer, compare_general
from agentkit.tune.manifest import Manifest, manifest_of, read_job, write_job
from agentkit.tune.page import render
from agentkit.tune.preflight import Preferences, decide, sample
from agentkit.tune.prompt import Prompt, Split
from agentkit.tune.registry import publish_and_register
from agentkit.tune.regress import keep, mended
from agentkit.tune.rest import rest_of
from agentkit.tune.serving import Hall, check_parity, play_settings, sample_served, with_adapters
from agentkit.tune.settings import JobSettings
from agentkit.tune.split import HeldOut
from agentkit.tune.target import Target, choose_target
from agentkit.tune.training import PREFERENCES, plan_phases, render_prompts, spent, train_phase

CERTIFICATE = "certificate.json"
PAGE = "certificate.html"
JOBS = Path(".agentkit") / "jobs"


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a job."""

    verdict: Promotion
    document: Mapping[str, Any]
    adapter: str | None
    folder: Path


@dataclass(slots=True)
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
    clock: dict[str, float] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return Path(self.job.folder)

    @property
    def run(self) -> Run:
        return self.store.run(self.settings.run)

    @property
    def target(self) -> Target:
        return choose_target(
            self.store, self.run, self.scenarios, step=self.settings.step, worst=self.settings.step is None
        )

    def do(self) -> Ended:
        """All stages in order; what is done is passed over. Raises AgentkitError where the job cannot go on."""
        try:
            return self._stages()
        except KeyboardInterrupt:
            self._set(JobStatus.STOPPED, "stopped by hand")
            raise
        except AgentkitError as error:
            self._set(JobStatus.FAILED, str(error).splitlines()[0])
            raise

    def _stages(self) -> Ended:
        manifest, prompts = self._compiled()
        if (reasons := self._audited(prompts)) is not None:
            return self._stopped(manifest, reasons)
        method = self._begun(manifest, prompts)
        if method == "none":
            return self._stopped(manifest, [self._read("preflight.json")["why"]])
        results = self._trained(method)
        adapters = self._published(manifest, method, results)
        self._played(manifest, adapters)
        return self._certified(manifest, adapters, results)

    def _compiled(self) -> tuple[Manifest, Sequence[Prompt]]:
        if not (self.folder / "manifest.json").is_file():
            with self._stage(JobStatus.COMPILING, "making prompts of the run's failures and of new instances"):
                self._compile()
        return read_job(self.folder)

    def _compile(self) -> None:
        settings, run, target = self.settings, self.run, self.target
        agent = silent_agent(run)
        wanted = CompileSettings(
            train=settings.train,
            recorded=settings.recorded,
            validation=settings.validation,
            held_out=settings.held_out,
            seed=settings.seed,
        )
        trials = self.store.trials(run.id)
        compiled = asyncio.run(compile_prompts(target, run, trials, self.scenarios, agent, wanted))
        manifest = manifest_of(
            self.job.id,
            compiled,
            run,
            agent,
            self.scenarios,
            wanted,
            base=EMBEDDED,
            base_hash=content_hash(self.model),
            rubric=load_rubric(settings.rubric, Path(settings.rewards)),
        )
        write_job(self.folder, manifest, compiled.prompts)
        pairs = asyncio.run(recorded_pairs(compiled.prompts, self.store.trials(run.id)))
        rows: Any = thumbs_of(pairs) if settings.method == "kto" else pairs
        if rows:
            write_preferences(rows, self.folder / PREFERENCES)

    def forecast(self) -> Manifest:
        """The manifest with token counts and the time that it is likely to take, by what training takes here."""
        manifest, prompts = self._compiled()
        tokens = self._tokens()
        counts = [(len(tokens["prompts"][it.id]), tokens["golden"].get(it.id, 0)) for it in prompts]
        seconds, basis = self._estimate(sum(count for count, _ in counts) / len(counts))
        return manifest.with_forecast(forecast(prompts, counts, context=4096, seconds=seconds, basis=basis))

    def _estimate(self, prompt: float) -> tuple[float, str]:
        """Seconds from here to the certificate."""
        update = self.settings.grpo_prompts * prompt * _SECONDS_A_TOKEN * 4
        plays = 2 * (self.settings.held_out + self.settings.rest) * _SECONDS_A_CONVERSATION
        return self.settings.grpo_steps * update + plays + 200, "GRPO with the embedded model on two cores"

    def _tokens(self) -> Mapping[str, Any]:
        file = self.folder / "render" / "tokens.json"
        if file.is_file():
            found: dict[str, Any] = orjson.loads(file.read_bytes())
            return found
        [(_, phase), *_] = plan_phases("sft", self.folder, self.model, self._sampling, self.settings)
        return render_prompts(self.folder / "render", phase)

    def _audited(self, prompts: Sequence[Prompt]) -> list[str] | None:
        """Why the rewards must not be trained with; None where they may."""
        if self.settings.method in ("sft", "dpo", "kto"):
            return None  # no reward is asked
        if not (self.folder / "audit.json").is_file():
            with self._stage(JobStatus.AUDITING, "scoring golden answers, spoilt ones and cheap tricks"):
                rubric = load_rubric(self.settings.rubric, Path(self.settings.rewards))
                found = asyncio.run(audit_rewards(rubric, list(prompts), self.settings.seed))
                self._write("audit.json", found.document() | {"passed": found.passed})
        audit = self._read("audit.json")
        return None if audit["passed"] else [_finding(it) for it in audit["findings"] if it["stops"]]

    def _begun(self, manifest: Manifest, prompts: Sequence[Prompt]) -> str:
        """What the model does now: token ids held against the server, samples, the plays before. Gives the method."""
        done = all((self.folder / name).is_file() for name in ("parity.json", "preflight.json", "before.json"))
        if not done:
            self._set(JobStatus.SAMPLING, "the model as it is now")
            with self._timed("server"), embedded_endpoint(on_progress=self.tell) as served:
                self._begin(served, manifest, prompts)
        method = self._read("preflight.json")["method"]
        return str(method)

    def _begin(self, served: Endpoint, manifest: Manifest, prompts: Sequence[Prompt]) -> None:
        if not (self.folder / "parity.json").is_file():
            compared = asyncio.run(check_parity(served, prompts, self._tokens()["prompts"]))
            self._write("parity.json", {"prompts": compared})
            self.tell(f"trainer and server read all {compared} prompts as the same tokens")
        if not (self.folder / "preflight.json").is_file():
            with self._timed("preflight"):
                self._decide(served, prompts)
        self._play(served, "before", manifest, ())

    def _decide(self, served: Endpoint, prompts: Sequence[Prompt]) -> None:
        settings = self.settings
        train = [prompt for prompt in prompts if prompt.split is Split.TRAIN]
        rubric = load_rubric(settings.rubric, Path(settings.rewards))

        async def sampler(asked: Sequence[Prompt], n: int, seed: int) -> Sequence[Sequence[str]]:
            return await sample_served(served, asked, n)

        samples = asyncio.run(sample(train, sampler, settings.samples, settings.seed, rubric))
        preferences = self._preferences() if settings.method in ("dpo", "kto") else None
        decision = decide(samples, preferences, settings.method)
        self.tell(f"method {decision.method}: {decision.why}")
        self._write("preflight.json", decision.document())

    def _preferences(self) -> Preferences:
        pairs = asyncio.run(recorded_pairs(read_job(self.folder)[1], self.store.trials(self.run.id)))
        return preferences_of(pairs, thumbs_of(pairs))

    def _trained(self, method: str) -> list[Mapping[str, Any]]:
        results = []
        for folder, phase in plan_phases(method, self.folder, self.model, self._sampling, self.settings):
            with self._stage(JobStatus.TRAINING, f"{phase.method} in {folder.name}"):
                results.append(train_phase(folder, phase, self.progress))
        return results

    def _published(self, manifest: Manifest, method: str, results: Sequence[Mapping[str, Any]]) -> list[Adapter]:
        """The adapter of each phase, in order; the last is the one to be proved."""
        if not (self.folder / "adapters.json").is_file():
            names: list[str] = []
            phases = plan_phases(method, self.folder, self.model, self._sampling, self.settings)
            for (folder, phase), result in zip(phases, results, strict=True):
                card = self._card(manifest, phase.method, phase.model_dump(mode="json"), result, tuple(names[-1:]))
                adapter = publish_and_register(
                    self.store, folder / "adapter", Path(self.settings.adapters), card, base_folder=self.model
                )
                names.append(str(adapter.name))
            self._write("adapters.json", names)
        return [self.store.adapter(name) for name in self._read("adapters.json")]

    def _card(
        self,
        manifest: Manifest,
        method: str,
        training: Mapping[str, Any],
        result: Mapping[str, Any],
        parents: tuple[str, ...],
    ) -> ModelCard:
        own = {name: training[name] for name in ("learning_rate", "batch", "lora", "beta", "steps", "epochs", "group")}
        return ModelCard(
            step=manifest.target.name,
            base=manifest.base.name,
            base_hash=manifest.base.hash,
            data_hash=manifest.prompts_sha256,
            scenarios=tuple(manifest.scenarios),
            parents=parents,
            job=self.job.id,
            reward_hash=None if method == "sft" or manifest.rubric is None else manifest.rubric.hash,
            method=f"{'GRPO' if method == 'grpo' else method.upper()}{' after a warm start' if parents else ''}",
            examples=sum(count.prompts for count in manifest.counts if count.split is Split.TRAIN),
            data="recorded failures of the step, and the same moments with new values",
            training=own | {"best_update": result["best"], "stopped": result["stopped"]},
            seeds={"data": self.settings.seed, "training": self.settings.training_seed},
            versions=result["versions"],
            limits=("It was trained for one step; what it does elsewhere is in its certificate.",),
        )

    def _played(self, manifest: Manifest, adapters: Sequence[Adapter]) -> None:
        """The plays after; those of the warm start alone where there was one."""
        for adapter, name in zip(reversed(adapters), ("after", "warm"), strict=False):
            if (self.folder / f"{name}.json").is_file():
                continue
            self._set(JobStatus.PROVING, f"playing with {adapter.name}")
            found = find_adapters([adapter.name], Path(self.settings.adapters), self.store)
            with self._timed("server"), embedded_endpoint(adapters=found, on_progress=self.tell) as served:
                self._play(served, name, manifest, (adapter.name,))

    def _play(self, served: Endpoint, name: str, manifest: Manifest, adapters: Sequence[str]) -> None:
        """Whole conversations on held-out instances, and the general prompts; recorded under `name`."""
        if (self.folder / f"{name}.json").is_file():
            return
        told = recorded_settings(self.run)
        held_out = self._held_out(manifest)
        agent = "+".join([told.agent, *adapters])
        settings = play_settings(
            self.run, agent, with_adapters(told.agent_settings, adapters), held_out, self.settings.concurrency
        )
        hall = self._hall(served)
        begun = self._read(f"{name}.run.json", None)

        def opened(run: Run) -> None:
            self._write(f"{name}.run.json", run.id)

        with self._timed("conversations"):
            run = hall.play(settings, held_out, begun, opened)
            general = hall.general(settings)
        self._write(f"{name}.json", {"run": run.id, "general": [_plain(it) for it in general]})

    def _hall(self, served: Endpoint) -> Hall:
        return Hall(
            store=self.store,
            scenarios=self.scenarios,
            config=self.config,
            served=served,
            adapters=self.settings.adapters,
            traces=self.folder / "traces",
            concurrency=self.settings.concurrency,
            tell=self.tell,
        )

    def _held_out(self, manifest: Manifest) -> tuple[HeldOut, ...]:
        return (*manifest.held_out, *rest_of(manifest, self.scenarios, self.settings.rest))

    def _certified(
        self, manifest: Manifest, adapters: Sequence[Adapter], results: Sequence[Mapping[str, Any]]
    ) -> Ended:
        adapter = adapters[-1]
        if not (self.folder / CERTIFICATE).is_file():
            with self._stage(JobStatus.PROVING, "holding the plays before and after against each other"):
                self._certify(manifest, adapter, results)
        document = self._read(CERTIFICATE)
        self.store.set_certificate(adapter.name, document)
        self._set(JobStatus.FINISHED, document["sentence"], {"verdict": document["verdict"], "adapter": adapter.name})
        return Ended(Promotion(document["verdict"]), document, str(adapter.name), self.folder)

    def _certify(self, manifest: Manifest, adapter: Adapter, results: Sequence[Mapping[str, Any]]) -> None:
        before, after = self._read("before.json"), self._read("after.json")
        warm = self._read("warm.json", None)
        sides = {name: self._recorded(it["run"]) for name, it in (("before", before), ("after", after))}
        seen = {prompt.instance for prompt in read_job(self.folder)[1]}
        certificate = certify(
            _selector(manifest),
            sides["before"],
            sides["after"],
            warm=None if warm is None else self._recorded(warm["run"]),
            general=compare_general(_answers(before), _answers(after)),
            hashes={
                "data": manifest.prompts_sha256,
                "manifest": manifest.hash,
                "rewards": "" if manifest.rubric is None else manifest.rubric.hash,
                "base_model": manifest.base.hash,
                "adapter": adapter.hash,
            },
            settings=CertificateSettings(allow_thin=self.settings.allow_thin),
            seen=seen,
            notes=self._notes(results),
        )
        self._keep(certificate, sides)

    def _notes(self, results: Sequence[Mapping[str, Any]]) -> list[str]:
        said = [
            f"{it['method']}: best after {it['best']} updates"
            + (f"; stopped: {it['stopped']}" if it["stopped"] else "")
            for it in results
        ]
        parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in spent(results).items())
        return [*said, f"training took: {parts}", f"preflight: {self._read('preflight.json')['why']}"]

    def _keep(self, certificate: Certificate, sides: Mapping[str, Any]) -> None:
        notes: list[str] = []
        if certificate.verdict is Promotion.PROMOTE and self.settings.regressions:
            found = mended(sides["before"], sides["after"], certificate.steps)
            kept = keep(found, self.scenarios, limit=self.settings.regressions)
            notes = [f"regression scenario: {file}" for file in kept.files] + list(kept.left_out)
        self._finish(certificate.document(), notes)

    def _finish(self, document: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
        document = {**document, "notes": [*document["notes"], *notes], "seconds": self._seconds()}
        page = self.folder / PAGE
        page.write_text(render(document), encoding="utf-8")
        self._write(CERTIFICATE, document)

    def _stopped(self, manifest: Manifest, reasons: Sequence[str]) -> Ended:
        """Nothing was trained, and why."""
        hashes = {"data": manifest.prompts_sha256, "rewards": manifest.rubric.hash if manifest.rubric else ""}
        self._finish(stopped(manifest.target.name, reasons, hashes=hashes).document())
        document = self._read(CERTIFICATE)
        self._set(JobStatus.REFUSED, document["sentence"], {"verdict": document["verdict"]})
        return Ended(Promotion.STOPPED, document, None, self.folder)

    def _recorded(self, run: str) -> Any:
        found = self.store.run(run)
        return recorded(found, self.store.grades(found.id))

    @property
    def model(self) -> Path:
        """Folder of the base model."""
        return embedded_model(on_progress=self.tell)

    @property
    def _sampling(self) -> ChatAgent:
        settings = recorded_settings(self.run).agent_settings
        assert isinstance(settings, ChatAgent), "a target is of a chat agent's run"
        return settings

    @contextmanager
    def _stage(self, status: JobStatus, what: str) -> Iterator[None]:
        self._set(status, what)
        with self._timed(status.value):
            yield

    def _set(self, status: JobStatus, what: str, result: Mapping[str, Any] | None = None) -> None:
        self.tell(f"{self.job.id}: {what}")
        self.store.update_job(self.job.id, status=status, stage=what, result=result)
        if not status.ended:
            self.store.update_job(self.job.id, pid=os.getpid())

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        """Count seconds to a part of the job, over all its sittings."""
        begin = time.monotonic()
        try:
            yield
        finally:
            known = self._seconds()
            self._write("seconds.json", known | {part: round(known.get(part, 0.0) + time.monotonic() - begin, 1)})

    def _seconds(self) -> dict[str, float]:
        return dict(self._read("seconds.json", {}))

    def _read(self, name: str, default: Any = ...) -> Any:
        try:
            return orjson.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            if default is ...:
                raise UsageError(f"{self.folder / name}: is missing; the job's folder was changed") from None
            return default

    def _write(self, name: str, value: object) -> None:
        """Whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f".{name}.new"
        with fresh.open("wb") as stream:
            stream.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self.folder / name)


_SECONDS_A_TOKEN = 0.003
_SECONDS_A_CONVERSATION = 2.0


def new_job(store: Store, target: str, settings: JobSettings) -> Job:
    """Enter a job in the store."""
    now = datetime.now(UTC)
    step = target.rpartition("#")[2].rpartition(":")[2].replace("/", "-")
    name = JobId(f"{step[:40]}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}")
    said = now.isoformat(timespec="milliseconds")
    job = Job(
        id=name,
        step=target,
        folder=str((JOBS / name).absolute()),
        created_at=said,
        updated_at=said,
        settings=settings.model_dump(mode="json"),
    )
    store.create_job(job)
    return job


def _selector(manifest: Manifest) -> str:
    """The target as the gate's selectors name it."""
    target = manifest.target
    return next(iter(target.steps)).rpartition("#")[2] if target.selector == "worst" else target.selector


def _finding(it: Mapping[str, Any]) -> str:
    shown = f" For example {it['example']}." if it["example"] else ""
    return f"{it['found']}.{shown} {it['advice']}."


def _plain(answer: GeneralAnswer) -> dict[str, Any]:
    return {"id": answer.id, "text": answer.text, "passed": answer.passed}


def _answers(side: Mapping[str, Any]) -> list[GeneralAnswer]:
    return [GeneralAnswer(**it) for it in side["general"]]
