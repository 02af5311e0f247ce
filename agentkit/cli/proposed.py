"""From the frontier to a route table: per step the cheapest that surely meets the target, as far as it may answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from agentkit.cli.options import open_store
from agentkit.cli.terminal import inert, line, output
from agentkit.config import Config, load_config
from agentkit.errors import UsageError
from agentkit.gate.frontier import Choice
from agentkit.records import AdapterState, Revision, Target, TargetKind
from agentkit.serve.lookup import find_route, route_map, route_name
from agentkit.serve.routes import newest, set_several
from agentkit.store import Store


@dataclass(frozen=True, slots=True)
class Proposal:
    """What should answer one step."""

    step: str
    agent: str | None
    """That was chosen among those that played; None where none surely meets the target."""
    target: Target | None
    """None where it stays as it is."""
    now: Target
    note: str
    """Why it stays, or is no proposal that can be made at once; '' where it can."""

    @property
    def changes(self) -> bool:
        return self.target is not None and not self.note and self.target != self.now


def propose(
    choices: Sequence[Choice],
    agent: str,
    runs: Sequence[Mapping[str, str]],
    store: str | None,
    *,
    apply: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Print the proposal for the steps of `agent`, as production names it, make it a revision where asked, and give it
    as plain JSON.

    Raises UsageError where it is to be applied and changes nothing.
    """
    config = load_config()
    with open_store(store) as opened:
        found = [_proposal(opened, config, newest(opened), agent, it) for it in choices]
        changing = {(agent, it.step): it.target for it in found if it.changes and it.target is not None}
        if not quiet:
            _print(agent, found)
        revision = None
        if apply and not changing:
            raise UsageError("--apply: the proposal changes nothing that may be changed at once")
        if apply:
            evidence = {"frontier": {"runs": list(runs), "choices": [it.document() for it in choices]}}
            why = f"the cheapest that meets the target, by runs {', '.join(it['run_id'] for it in runs)}"
            revision = set_several(opened, changing, by="frontier", why=why, evidence=evidence).number
    if not quiet:
        told = f"made revision {revision}" if revision else "nothing was changed; --apply makes it a revision"
        output().print(line(told, "bold" if revision else "dim"))
    return {"agent": agent, "revision": revision, "steps": [_document(it) for it in found]}


def _proposal(store: Store, config: Config, current: Revision, agent: str, choice: Choice) -> Proposal:
    now = find_route(route_map(current.routes), agent, choice.name).live
    if choice.chosen is None or choice.by != "bound":
        return Proposal(choice.name, None, None, now, "none surely meets the target, so it stays as it is")
    target, note = _target(store, config, choice.chosen)
    if target is not None and target.kind is TargetKind.ADAPTER and target != now:
        adapter = store.adapter(target.name)
        if adapter.state is not AdapterState.LIVE:
            name = route_name(agent, choice.name)
            note = f"{adapter.state}: agentkit route canary {name} {adapter.name}, then promote"
    return Proposal(choice.name, choice.chosen, target, now, note)


def _target(store: Store, config: Config, played: str) -> tuple[Target | None, str]:
    """What a route calls the model of an agent that played; and why it has no name for it."""
    name, *adapters = played.split("+")
    settings = config.agents.get(name)
    adapters += getattr(settings, "adapters", ())
    if len(adapters) > 1:
        return None, "a route names one adapter, and this agent has several"
    if adapters:
        return Target(TargetKind.ADAPTER, store.adapter(adapters[0]).name), ""
    if name in config.upstreams:
        return Target(TargetKind.UPSTREAM, name), ""
    if engine := getattr(settings, "engine", None):
        if engine != (serves := config.serve.engines.model):
            return None, f"the engines serve {serves}, not {engine}"
        return Target(TargetKind.BASE), ""
    model, url = getattr(settings, "model", None), getattr(settings, "base_url", None)
    for upstream, it in config.upstreams.items():
        if (it.model, it.base_url) == (model, url):
            return Target(TargetKind.UPSTREAM, upstream), ""
    return None, f"its model is no upstream yet: add [tool.agentkit.upstreams.{name}]"


def _print(agent: str, found: Sequence[Proposal]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Proposed routes", title_justify="left")
    for name in ("agent/step", "now", "proposed", ""):
        table.add_column(name, overflow="fold")
    for it in found:
        style = "green" if it.changes else "dim"
        shown = str(it.target) if it.target is not None else it.agent or "–"
        table.add_row(
            Text(inert(route_name(agent, it.step)), style="bold"),
            Text(inert(str(it.now))),
            Text(inert(shown), style=style),
            Text(inert(it.note or ("" if it.changes else "as it is"))),
        )
    output().print(table)


def _document(it: Proposal) -> dict[str, Any]:
    target = None if it.target is None else {"kind": it.target.kind.value, "name": it.target.name}
    return {"step": it.step, "chosen": it.agent, "target": target, "changes": it.changes, "note": it.note}
