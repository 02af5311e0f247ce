"""`python -m agentkit.tune.trainer train FOLDER` trains a phase; `render FOLDER` only writes its prompts as token ids.

A process of its own, so that it can be killed, taken up again, and run on another machine: it reads `phase.json` and
the files that this names, and writes into its folder alone. An adapter is of use once `result.json` is there: it is put
in place right before, and one without it is thrown away when training is taken up.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import AgentkitError, ExitCode, UsageError
from agentkit.files import write_json
from agentkit.lock import locked
from agentkit.tune.phase import ADAPTER, RESULT, TOKENS, Phase
from agentkit.tune.prompt import Split, read_prompts
from agentkit.tune.trainer.traced import traced

if TYPE_CHECKING:
    from agentkit.tracing import Part
    from agentkit.tune.trainer.state import Kept


LOCK = "train.lock"
"""Held by the process that writes into the folder; holds its id."""


def train(folder: Path) -> None:
    """Train what `phase.json` says. Done already, it does nothing; begun, it goes on.

    Raises UsageError where another process trains in the folder.
    """
    if (folder / RESULT).is_file():
        return
    phase = Phase.read(folder)
    with _alone(folder / LOCK):
        if not (folder / RESULT).is_file():  # another process may have come to its end meanwhile
            with traced(folder, phase.method) as span:
                _train(folder, phase, span)


def _alone(lock: Path) -> AbstractContextManager[None]:
    """Of processes that train together the first, which alone writes, holds the lock."""
    if os.environ.get("RANK", "0") != "0":
        return nullcontext()
    return locked(lock, "process {} trains in this folder; end it, or let it come to its end")


def _train(folder: Path, phase: Phase, span: Part | None) -> None:
    prompts = read_prompts(Path(phase.prompts))
    learn = [prompt for prompt in prompts if prompt.split is Split.TRAIN]
    check = [prompt for prompt in prompts if prompt.split is Split.VALIDATION]
    guards = [prompt for prompt in prompts if prompt.split is Split.GUARD]
    for split, found in ((Split.TRAIN, learn), (Split.VALIDATION, check)):
        if not found:
            raise UsageError(f"{phase.prompts}: no prompt of the split {split}; training needs some of both")
    from agentkit.tune.trainer.without_vllm import hide_vllm

    hide_vllm()
    from agentkit.tune.trainer.model import checked_ids, load_trainee
    from agentkit.tune.trainer.progress import Progress
    from agentkit.tune.trainer.ranks import Ranks
    from agentkit.tune.trainer.task import Task

    ranks = Ranks.join()
    if ranks.first:
        shutil.rmtree(folder / ADAPTER, ignore_errors=True)
    progress = Progress(folder / "progress.jsonl" if ranks.first else None, span)
    with progress.timed("loading"):
        trainee = load_trainee(phase)
    ids = checked_ids(prompts, trainee.tokenizer, phase.context, phase.max_tokens)
    with progress.timed("loading"):
        away = trainee.try_shortcuts(sorted((ids[it.id] for it in learn), key=len)[:2])
    facts_of_model = {"shared": trainee.share, "apart": round(away, 3)}
    counts = {"train": len(learn), "validation": len(check), "processes": ranks.size}
    progress.tell("begin", method=phase.method, **counts, **facts_of_model)
    watch, facts = _trainer(phase.method)(Task(folder, phase, trainee, learn, check, guards, ids, progress, ranks))
    ranks.leave()
    if not ranks.first:
        return
    seconds = {part: round(spent, 3) for part, spent in progress.seconds.items()}
    seconds["forward and backward"] = round(progress.elapsed - sum(progress.seconds.values()), 3)
    result = {
        "method": phase.method,
        "best": watch.kept.best,
        "stopped": watch.kept.stopped,
        "nothing_left": watch.nothing_left,
        "evaluations": [asdict(it) for it in watch.kept.evaluations],
        "seconds": seconds,
        "processes": ranks.size,
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", "trl", "peft")},
        **facts,
    }
    progress.tell("end", **{key: result[key] for key in ("best", "stopped", "seconds")})
    _put(watch.best, folder / ADAPTER)
    write_json(folder / RESULT, result)
    shutil.rmtree(watch.best)
    if span is not None:
        _told(span, watch.kept, seconds)


def _told(span: Part, kept: Kept, seconds: Mapping[str, float]) -> None:
    """What came of the phase, on its span."""
    from agentkit.tracing import attributes as names

    spent = {f"{names.TRAIN}seconds.{part.replace(' ', '_')}": it for part, it in seconds.items()}
    span.finish({names.BEST: kept.best, names.STOPPED: bool(kept.stopped), **spent})


def _trainer(method: str):  # type: ignore[no-untyped-def]  # each is imported only where it is wanted
    if method == "grpo":
        from agentkit.tune.trainer.grpo import train_grpo

        return train_grpo
    if method == "sft":
        from agentkit.tune.trainer.sft import train_sft

        return train_sft
    from agentkit.tune.trainer.preference import train_preferences

    return train_preferences


def render(folder: Path) -> None:
    """Write `tokens.json`: of each prompt its token ids, and of its golden answer."""
    phase = Phase.read(folder)
    from agentkit.tune.trainer.model import checked_ids, load_tokenizer

    tokenizer, prompts = load_tokenizer(phase.model), read_prompts(Path(phase.prompts))
    ids = checked_ids(prompts, tokenizer, phase.context, phase.max_tokens)
    golden = {
        it.id: len(tokenizer(it.golden, add_special_tokens=False)["input_ids"])
        for it in prompts
        if it.golden is not None
    }
    write_json(folder / TOKENS, {"prompts": ids, "golden": golden})


def _put(source: Path, folder: Path) -> None:
    """Copy a folder, so that it is there whole or not at all."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh)
    os.rename(fresh, folder)


def quieten() -> None:
    """What libraries say of themselves is kept out of the log, which is for errors."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")


def main(arguments: list[str]) -> int:
    quieten()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a reward may be under way, which may raise all else
    match arguments:
        case ["train", folder]:
            work = train
        case ["render", folder]:
            work = render
        case ["weaken", folder, drop]:
            from agentkit.tune.trainer.weaken import weaken

            work = partial(weaken, drop=float(drop))
        case ["stack", folder, base, below, *most]:
            from agentkit.tune.trainer.stack import stack

            work = partial(stack, base=Path(base), below=Path(below), max_rank=next(map(int, most), None))
        case _:
            print(
                "usage: python -m agentkit.tune.trainer train|render FOLDER, weaken FOLDER DROP, "
                "or stack FOLDER BASE ADAPTER [MAX_RANK]",
                file=sys.stderr,
            )
            return ExitCode.USAGE
    try:
        work(Path(folder))
    except AgentkitError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OSError as error:
        print(f"{folder}: {error}", file=sys.stderr)
        return ExitCode.USAGE
    return ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
