"""`agentkit grade`: a recorded run, graded as the scenarios and graders are now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentkit.cli.options import check_writable, json_option, open_store, store_option, write_json
from agentkit.errors import ExitCode, NotJudged, UsageError

if TYPE_CHECKING:
    from agentkit.config import Config
    from agentkit.grade import Judge
    from agentkit.llm import ChatModel
    from agentkit.records import Run
    from agentkit.scenario import Loaded
    from agentkit.store import Store


@click.command("grade")
@click.argument("run", default="last")
@click.option(
    "--scenario",
    "named",
    multiple=True,
    metavar="PATH_OR_ID",
    help="File or folder of scenarios [default: the run's own]; or the id of one, as which conversations "
    "from elsewhere are graded. Repeatable.",
)
@click.option("--judge", "ask", is_flag=True, help="Ask the configured judge; without it only its kept verdicts count.")
@store_option
@json_option
def command(run: str, named: tuple[str, ...], ask: bool, store: str | None, json_file: str | None) -> int:
    """Grade RUN ('last', an id or its beginning) again and show what changes. Nobody is asked to play.

    The grades are recorded as a new run beside it. Exits with 3 where no trial could be judged.
    """
    from agentkit.cli.document import summary
    from agentkit.config import load_config
    from agentkit.play.regrade_run import regrade_run

    check_writable(json_file)
    config = load_config()
    with open_store(store) as opened:
        recorded = opened.run(run)
        scenarios, as_scenario = _scenarios(named, recorded, config)
        judge = _judge(ask, recorded, config, opened)
        found = asyncio.run(
            _closing(judge, regrade_run(recorded, scenarios, opened, as_scenario=as_scenario, judge=judge))
        )
        before, after = summary(opened, found.of), summary(opened, found.run)
    from agentkit.cli.difference import difference_document, print_difference

    if json_file is not None:
        write_json(json_file, difference_document(found, before, after))
    if json_file != "-":
        print_difference(found, before, after)
    if not sum(counts.valid for counts in after.scenarios):
        raise NotJudged(f"no trial could be judged (see: agentkit show {found.run.id} --invalid)")
    return ExitCode.PASS


def _scenarios(named: Sequence[str], run: Run, config: Config) -> tuple[tuple[Loaded, ...], str | None]:
    """The scenarios to grade by, and the id of the one for conversations from elsewhere."""
    from agentkit.scenario import load

    paths = [Path(name) for name in named if Path(name).exists()]
    ids = [name for name in named if not Path(name).exists()]
    if len(ids) > 1:
        raise UsageError(f"--scenario: {ids[0]!r} and {ids[1]!r} are no files or folders; one id may be named")
    if not paths:
        told = run.settings.get("paths")
        paths = [Path(str(path)) for path in told] if isinstance(told, list) else [Path(config.scenarios)]
    return load(paths), ids[0] if ids else None


def _judge(ask: bool, run: Run, config: Config, store: Store) -> Judge | None:
    """The judge to ask, or one that knows only what it said before; None where there never was any.

    Raises:
        UsageError: there is none to ask.
    """
    from agentkit.config import Sampling
    from agentkit.grade import Judge

    if ask:
        if config.judge is None:
            raise UsageError("--judge: no judge is configured ([tool.agentkit.judge])")
        return Judge(_judging_model(config), store, config.judge)
    told: Any = run.settings.get("judge")
    if not isinstance(told, dict):
        told = config.judge.model_dump() if config.judge is not None else {}
    if not told.get("model"):
        return None
    sampling = Sampling.model_validate({name: told[name] for name in Sampling.model_fields if name in told})
    return Judge(_KeptVerdicts(str(told["model"])), store, sampling)


def _judging_model(config: Config) -> ChatModel:
    from agentkit.llm import Budget, Prices
    from agentkit.llm.openai import OpenAIChat

    endpoint = config.judge
    assert endpoint is not None, "the caller has looked"
    return OpenAIChat.at(endpoint, budget=Budget(None, None), prices=Prices.load(config.prices))


class _KeptVerdicts:
    """A judge's model that is never asked, so that only the verdicts in the store count."""

    provider = "none"

    def __init__(self, name: str) -> None:
        self.name = name

    async def complete(self, request: Any) -> Any:
        from agentkit.errors import ProviderError

        raise ProviderError("rejected", "no verdict on this answer is kept; --judge asks for one")

    async def close(self) -> None:
        return None


async def _closing(judge: Judge | None, work: Any) -> Any:
    try:
        return await work
    finally:
        if judge is not None:
            with suppress(Exception):
                await judge.model.close()
