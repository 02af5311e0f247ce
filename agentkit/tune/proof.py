"""A job's plays made into its certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.gate import Recorded
from agentkit.gate.rows import recorded
from agentkit.records import Adapter, step_name
from agentkit.scenario import Loaded
from agentkit.store import Store
from agentkit.tune.certificate import Certificate, CertificateSettings, Promotion, certify
from agentkit.tune.general import GeneralAnswer, compare_general
from agentkit.tune.job_folder import JobFolder
from agentkit.tune.manifest import Manifest, read_job
from agentkit.tune.paired import Compared
from agentkit.tune.phase_card import ONE_STEP
from agentkit.tune.plays import compare_by_itself
from agentkit.tune.reasons import nothing_better
from agentkit.tune.regress import keep, mended
from agentkit.tune.seeds import Trained
from agentkit.tune.settings import JobSettings
from agentkit.tune.training import spent


@dataclass(frozen=True, slots=True)
class Proof:
    """What the plays before and after say of a job's adapter."""

    files: JobFolder
    store: Store
    scenarios: Sequence[Loaded]
    settings: JobSettings
    part: str = ""
    """End of the names of the plays after, as `Work` has it."""
    failed: Sequence[str] = ()
    """What trainings with earlier seeds came to, which were better in nothing."""

    def certified(
        self, manifest: Manifest, adapter: Adapter, results: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], list[str]]:
        """The certificate's document, and what is to be noted besides: scenarios that keep what was mended."""
        before, after = self.files.read("before.json"), self.files.read(f"after{self.part}.json")
        alone = len(results) > 1 and not results[-1]["best"]
        warm = after if alone else self.files.read_if_there(f"warm{self.part}.json")
        sides = self._recorded(before["run"]), self._recorded(after["run"])
        certificate = certify(
            _selector(manifest),
            *sides,
            warm=None if warm is None else self._recorded(warm["run"]),
            seeds=self._seeds(after["run"], warm),
            general=compare_general(_answers(before), _answers(after)),
            given_right_history=by_itself(self.files, manifest, self.part),
            hashes={
                "data": manifest.prompts_sha256,
                "manifest": manifest.hash,
                "rewards": "" if manifest.rubric is None else manifest.rubric.hash,
                "base_model": manifest.base.hash,
                "adapter": adapter.hash,
            },
            settings=CertificateSettings(allow_thin=self.settings.allow_thin),
            trained=manifest.target.steps,
            seen={prompt.instance for prompt in read_job(self.files.path)[1]},
            notes=self._notes(manifest, results, adapter),
        )
        return certificate.document(), self._kept(certificate, *sides)

    def _seeds(self, after: str, warm: Mapping[str, Any] | None) -> list[Trained]:
        """The plays of each training seed, the first among them; none where there is one seed only."""
        if not self.settings.further_seeds:
            return []
        start = None if warm is None else self._recorded(warm["run"])
        found = [Trained(self.settings.training_seed, self._recorded(after), start)]
        for seed in self.settings.further_seeds:
            warm = self.files.read_if_there(f"warm-{seed}.json")
            start = None if warm is None else self._recorded(warm["run"])
            found.append(Trained(seed, self._recorded(self.files.read(f"after-{seed}.json")["run"]), start))
        return found

    def _notes(self, manifest: Manifest, results: Sequence[Mapping[str, Any]], adapter: Adapter) -> list[str]:
        said = [
            f"{it['method']}: best after {it['best']} updates{_part(it)}"
            + (f"; stopped: {it['stopped']}" if it["stopped"] else "")
            for it in results
            if it["best"]
        ]
        said += nothing_better([it for it in results if not it["best"]], self.settings.training_seed)
        parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in spent(results).items())
        onto = [f"trained on top of {manifest.onto}, whose change it holds too: before is with that one"]
        return [
            *self.failed,
            *(onto if manifest.onto else ()),
            *(it for it in adapter.card["limits"] if it != ONE_STEP),
            *(f"what is held out may have been seen by an adapter underneath: {it}" for it in manifest.unknown),
            *said,
            f"training took: {parts}",
            f"preflight: {self.files.read('preflight.json')['why']}",
        ]

    def _kept(self, certificate: Certificate, before: Recorded, after: Recorded) -> list[str]:
        """What became of the failures that a promoted adapter mends."""
        if certificate.verdict is not Promotion.PROMOTE or not self.settings.regressions:
            return []
        found = mended(before, after, certificate.steps)
        kept = keep(found, self.scenarios, limit=self.settings.regressions)
        return [*(f"regression scenario: {file}" for file in kept.files), *kept.left_out]

    def _recorded(self, run: str) -> Recorded:
        found = self.store.run(run)
        return recorded(found, self.store.grades(found.id))


def by_itself(files: JobFolder, manifest: Manifest, part: str) -> Compared | None:
    """The step given a right history, before and after; None where the job did not ask for it by itself."""
    before, after = files.read_if_there("moments.json"), files.read_if_there(f"moments{part}.after.json")
    return before and after and compare_by_itself(_selector(manifest), before, after)


def _part(result: Mapping[str, Any]) -> str:
    """What part of its change the best adapter holds, and what became of the guards."""
    best = next((it for it in result["evaluations"] if it["step"] == result["best"]), None)
    if best is None or not best["guarded"]:
        return ""
    change = "" if best["scale"] == 1 else f", {best['scale']:.0%} of their change"
    return f"{change} ({best['guarded'] - best['lost']} of {best['guarded']} guards kept)"


def _selector(manifest: Manifest) -> str:
    """The target as the gate's selectors name it."""
    target = manifest.target
    return step_name(next(iter(target.steps))) if target.selector == "worst" else target.selector


def _answers(side: Mapping[str, Any]) -> list[GeneralAnswer]:
    return [GeneralAnswer(**it) for it in side["general"]]
