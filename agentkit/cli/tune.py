"""`agentkit tune`: a failing step becomes a trained adapter, with proof."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentkit.cli.options import check_writable, json_option, open_store, refuse_unused, store_option, write_json
from agentkit.errors import ExitCode, UsageError, near_match

if TYPE_CHECKING:
    from agentkit.records import Job
    from agentkit.store import Store
    from agentkit.tune.job import Ended, Work
    from agentkit.tune.settings import JobSettings

_ACTIONS = ("status", "resume", "stop")


@click.command("tune")
@click.argument("words", nargs=-1, metavar="[status [JOB] | resume JOB | stop JOB]")
@click.option("--run", "run_ref", default="last", show_default=True, metavar="RUN", help="Whose failures to repair.")
@click.option("--step", metavar="STEP", help="A step, scenario/variant#step, skill:NAME or tag:NAME.")
@click.option("--worst", is_flag=True, help="The step with the largest improvement potential.")
@click.option(
    "--method", metavar="METHOD", help="sft, grpo, sft+grpo, dpo or kto  [default: as the preflight finds it]."
)
@click.option("--rubric", metavar="NAME", help="Rewards to train with  [default: tool_call].")
@click.option("--train", type=int, metavar="N", help="Training examples at most  [default: 16].")
@click.option("--held-out", type=int, metavar="N", help="Unseen conversations that prove it  [default: 120].")
@click.option("--rest", type=int, metavar="N", help="Conversations of the suite's other variants  [default: 40].")
@click.option("--seed", type=int, metavar="N", help="Of the data.")
@click.option("--training-seed", type=int, metavar="N", help="Of the training.")
@click.option("--set", "others", multiple=True, metavar="NAME=VALUE", help="Any other setting of a job. Repeatable.")
@click.option(
    "--curve", metavar="N,N,...", help="Train with so many examples each, and show what each further one buys."
)
@click.option("--dry-run", is_flag=True, help="Compile, count tokens, estimate time; train nothing.")
@store_option
@json_option
def command(
    words: tuple[str, ...],
    run_ref: str,
    step: str | None,
    worst: bool,
    method: str | None,
    rubric: str | None,
    train: int | None,
    held_out: int | None,
    rest: int | None,
    seed: int | None,
    training_seed: int | None,
    others: tuple[str, ...],
    curve: str | None,
    dry_run: bool,
    store: str | None,
    json_file: str | None,
) -> int:
    """Train an adapter for the step that fails in RUN, and prove it on unseen conversations.

    \b
    status [JOB]   what jobs are at, or one in full
    resume JOB     go on where it stood
    stop JOB       end its process; what is done stays

    Exits with 0 promote, 1 refuse, 4 inconclusive, 3 stopped by the audit of the rewards, or by the preflight, which
    found every answer right; with --curve, as the largest size does.
    """
    context = click.get_current_context()
    if words:
        own = {it.name or "" for it in context.command.params} - {"words", "store", "json_file"}
        refuse_unused(context, own, f"goes with one new job; found {words[0]} beside it")
    if curve is not None:
        refuse_unused(context, ("dry_run", "train"), "goes with one new job; found --curve beside it")
    check_writable(json_file)
    with open_store(store) as opened:
        if words:
            return _act(opened, words, json_file)
        told = {
            "method": method,
            "rubric": rubric,
            "train": train,
            "held_out": held_out,
            "rest": rest,
            "seed": seed,
            "training_seed": training_seed,
        }
        settings = _settings(opened, run_ref, step, worst, told, others)
        if curve is not None:
            return _curve(opened, settings, curve, json_file)
        work = _new(opened, settings)
        if dry_run:
            return _dry(work, json_file)
        return _told(work.do(), json_file)


def _settings(
    store: Store, run_ref: str, step: str | None, worst: bool, told: Mapping[str, Any], others: tuple[str, ...]
) -> JobSettings:
    from agentkit.config import load_config, rewards_folder
    from agentkit.tune.settings import job_settings

    if (step is None) is not worst:
        raise UsageError("name the step to train: --step STEP, or --worst for the one that is worth the most")
    given = {name: value for name, value in told.items() if value is not None}
    for text in others:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set: found {text!r}, expected NAME=VALUE")
        given[name.replace("-", "_")] = value
    places = {"rewards": str(rewards_folder()), "adapters": str(Path(load_config().adapters).absolute())}
    return job_settings({"run": str(store.run(run_ref).id), "step": step, **places, **given})


def _new(store: Store, settings: JobSettings) -> Work:
    """A job for a target that is there, and for an adapter that can be served."""
    from agentkit.config import load_config
    from agentkit.tune.jobs import new_job
    from agentkit.tune.target import choose_target
    from agentkit.tune.trained import check_rank

    run = store.run(settings.run)
    scenarios = _scenarios(store, settings)
    target = choose_target(store, run, scenarios, step=settings.step, worst=settings.step is None)
    click.echo(
        f"{target.name}: {target.passed} of {target.reached} right in run {run.id}, in {len(target.steps)} variants",
        err=True,
    )
    check_rank(settings.rank, load_config().serve.engines)
    return _work(store, new_job(store, target.name, settings), settings)


def _work(store: Store, job: Job, settings: JobSettings) -> Work:
    from agentkit.config import load_config
    from agentkit.tune.job import Work

    return Work(
        job=job,
        settings=settings,
        store=store,
        scenarios=_scenarios(store, settings),
        config=load_config(),
        tell=lambda line: click.echo(line, err=True),
        progress=_progress,
    )


def _scenarios(store: Store, settings: JobSettings) -> list[Any]:
    """The scenarios of the run, with their whole suites."""
    from agentkit.play.session import recorded_settings
    from agentkit.scenario import load

    return list(load([Path(path) for path in recorded_settings(store.run(settings.run)).paths]))


def _progress(line: Mapping[str, Any]) -> None:
    """One line of a training, for a person."""
    match line["event"]:
        case "step":
            parts = [
                f"{name.split('/')[1]} {value:.2f}"
                for name, value in line.items()
                if name.startswith("rewards/") and name.endswith("/mean")
            ]
            shown = (
                "  ".join([f"reward {line['reward']:.2f}", *parts]) if "reward" in line else f"loss {line['loss']:.3f}"
            )
            click.echo(f"  update {line['step']}/{line['of']}  {shown}  about {line['left']:.0f} s left", err=True)
        case "evaluation":
            part = "" if line["scale"] == 1 else f" with {line['scale']:.0%} of the change"
            kept = f"; {line['guarded'] - line['lost']} of {line['guarded']} guards kept" if line["guarded"] else ""
            right = f"{line['passed']} of {line['graded']} right"
            click.echo(f"  validation after {line['step']}{part}: {right}{kept}", err=True)
        case "stop":
            click.echo(f"  stopped: {line['reason']}", err=True)


def _dry(work: Work, json_file: str | None) -> int:
    """Everything but the training."""
    from agentkit.records import JobStatus, step_name
    from agentkit.tune.prove import plan_proof

    manifest = work.forecast()
    known = {loaded.id: loaded for loaded in work.scenarios}
    variants: dict[str, list[str]] = {}
    for it in manifest.held_out:
        if it.variant not in variants.setdefault(it.scenario, []):
            variants[it.scenario].append(it.variant)
    cells = sum(map(len, variants.values()))
    step = step_name(next(iter(manifest.target.steps)))
    plan = plan_proof(
        [known[name] for name in variants], step, max(1, len(manifest.held_out) // cells), variants=variants
    )
    work.store.update_job(work.job.id, status=JobStatus.STOPPED, stage="dry run: compiled, not trained")
    document = {"job": work.job.id, "manifest": manifest.model_dump(mode="json"), "proof": plan.document()}
    if json_file is not None:
        write_json(json_file, document)
    if json_file != "-":
        _print_manifest(work, manifest, plan.sentences())
    return ExitCode.PASS


def _print_manifest(work: Work, manifest: Any, sentences: tuple[str, ...]) -> None:
    click.echo(f"job {work.job.id}  manifest {manifest.hash[:12]}  in {work.folder}")
    for count in manifest.counts:
        click.echo(f"  {count.split.value:<11} {count.prompts:>3}  {count.scenario}/{count.variant}  {count.origin}")
    click.echo(f"  held out    {len(manifest.held_out):>3}  conversations")
    rubric = manifest.rubric
    if rubric is not None:
        points = ", ".join(f"{part} {value:g}" for part, value in rubric.points.items())
        click.echo(f"rewards {rubric.name} ({rubric.hash[:12]}): {points}")
    found = manifest.forecast
    if found is not None:
        click.echo(
            f"tokens: {found.prompt_tokens:,} in prompts (longest {found.longest_prompt:,}), "
            f"{found.golden_tokens:,} in answers (longest {found.longest_golden})"
        )
        time = "not known" if found.seconds is None else f"about {found.seconds / 60:.0f} min"
        click.echo(f"time: {time}: {found.basis}; cost: none, the model is served and trained here")
    for sentence in sentences:
        click.echo(sentence)


def _told(ended: Ended, json_file: str | None) -> int:
    document = dict(ended.document)
    if json_file is not None:
        write_json(json_file, document)
    if json_file != "-":
        from agentkit.cli.certificate_table import print_certificate

        print_certificate(document, ended.adapter, ended.folder)
    return ended.verdict.exit_code


def _curve(store: Store, settings: JobSettings, curve: str, json_file: str | None) -> int:
    """The same job with so many examples each. Ends as the largest does."""
    try:
        sizes = sorted({int(part) for part in curve.split(",")})
    except ValueError:
        raise UsageError(f"--curve: found {curve!r}, expected numbers of examples: 4,8,16") from None
    if len(sizes) < 2 or sizes[0] < 1:
        raise UsageError(f"--curve: found {curve!r}, expected two numbers or more: 4,8,16")
    settings = settings.model_copy(update={"train": sizes[-1]})
    points = []
    for size in sizes:
        ended = _work_of(store, settings, size).do()
        points.append({"examples": size, **dict(ended.document)["target"], "verdict": ended.verdict.value})
    if json_file is not None:
        write_json(json_file, {"curve": points})
    if json_file != "-":
        from agentkit.cli.certificate_table import print_curve

        print_curve(points)
    return ended.verdict.exit_code


def _work_of(store: Store, settings: JobSettings, size: int) -> Work:
    return _new(store, settings.model_copy(update={"examples": size, "regressions": 0}))


def _act(store: Store, words: tuple[str, ...], json_file: str | None) -> int:
    match words:
        case ("status",):
            return _list(store, json_file)
        case ("status", ref):
            return _status(store.job(ref), json_file)
        case ("resume", ref):
            return _told(_resumed(store, store.job(ref)).do(), json_file)
        case ("stop", ref):
            return _stop(store, store.job(ref))
        case (action, *_) if action in _ACTIONS:
            raise UsageError(f"{action}: expected one JOB: agentkit tune {action} JOB")
    raise UsageError(f"found {words[0]!r}, expected status, resume or stop{near_match(words[0], _ACTIONS)}")


def _resumed(store: Store, job: Job) -> Work:
    from agentkit.tune.settings import job_settings

    return _work(store, job, job_settings(dict(job.settings)))


def _stop(store: Store, job: Job) -> int:
    from agentkit.records import JobStatus

    if job.status.ended or job.pid is None or not _alive(job.pid):
        click.echo(f"job {job.id} is not at work: {job.status.value}")
        return ExitCode.PASS
    os.kill(job.pid, signal.SIGINT)
    store.update_job(job.id, status=JobStatus.STOPPED, stage="stopped by hand")
    click.echo(f"job {job.id} is stopped; go on with: agentkit tune resume {job.id}")
    return ExitCode.PASS


def _alive(pid: int) -> bool:
    """Whether the process is there and is one of ours."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(b"agentkit" in word for word in words)


def _list(store: Store, json_file: str | None) -> int:
    jobs = store.jobs()
    if json_file is not None:
        write_json(json_file, {"jobs": [_document(job) for job in jobs]})
    if json_file != "-":
        for job in jobs:
            click.echo(f"{job.id}  {_state(job)}  {job.stage}")
        if not jobs:
            click.echo("no job yet; begin one with: agentkit tune --run last --step STEP")
    return ExitCode.PASS


def _status(job: Job, json_file: str | None) -> int:
    if json_file is not None:
        write_json(json_file, _document(job))
    if json_file != "-":
        click.echo(f"{job.id}  {_state(job)}  {job.stage}")
        click.echo(f"step {job.step}  begun {job.created_at}  changed {job.updated_at}")
        for name, value in sorted(job.settings.items()):
            click.echo(f"  {name} = {value}")
        click.echo(f"files in {job.folder}")
    return ExitCode.PASS


def _state(job: Job) -> str:
    if not job.status.ended and (job.pid is None or not _alive(job.pid)):
        return f"{job.status.value}, interrupted (agentkit tune resume {job.id})"
    return job.status.value


def _document(job: Job) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(job), "status": job.status.value, "alive": job.pid is not None and _alive(job.pid)}
