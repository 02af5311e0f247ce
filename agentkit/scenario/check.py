"""Everything about a scenario that a type cannot say: names that must exist, names that must differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from agentkit.errors import Problem, near_match
from agentkit.records import CATALOGUE_WORDS, GOLDEN, OWN_WORDS, ToolSpec
from agentkit.scenario.document import Document, Keys, dotted
from agentkit.scenario.drawing import find_cycle, needed_by
from agentkit.scenario.expressions import TemplateError
from agentkit.scenario.model import Check, Step
from agentkit.scenario.outline import KINDS, OUTCOME_KINDS, Item, Outline, outline
from agentkit.scenario.template import compile_text, texts

Tools = Mapping[str, ToolSpec]
Finding = tuple[Keys, str]

WAY = ("leaves", "turns", "rejoins")
_TEMPLATED = ("persona", "world", "turns", "outcome", "detours")


def check(document: Document, columns: Collection[str] = (), tools: Tools | None = None) -> list[Problem]:
    """All problems of one document. `tools` is None where the world is unknown: nothing is said of calls then."""
    whole = outline(document.data)
    checks: list[Callable[[], Iterable[Finding]]] = [
        lambda: _ids(document, whole),
        lambda: _kinds(whole),
        lambda: _detours(document, whole),
        lambda: _disturbances(whole, tools),
        lambda: _variables(whole, columns),
        lambda: _calls(whole, tools) if tools is not None else (),
    ]
    problems = [document.problem(keys, message) for find in checks for keys, message in find()]
    return problems + list(_templates(document, whole, {*whole.variables, *columns}))


def _ids(document: Document, whole: Outline) -> Iterator[Finding]:
    yield from _twice(document, whole.all_turns, "turn")
    yield from _twice(document, whole.steps, "step")
    yield from _twice(document, whole.detours, "detour")
    for checks in whole.outcomes:
        yield from _twice(document, checks, "check")
    for detour in whole.detours:
        if detour.id == GOLDEN:
            yield (*detour.keys, "id"), f"{GOLDEN!r} is the name of the path that nobody leaves"
        if detour.id in (*OWN_WORDS, *CATALOGUE_WORDS):
            yield (
                (*detour.keys, "id"),
                f"{detour.id!r} chooses among detours on the command line; use another name",
            )
    if whole.turns and not whole.steps:
        yield ("turns",), "no turn has a step: there would be nothing to grade"


def _twice(document: Document, items: Iterable[Item], kind: str) -> Iterator[Finding]:
    first: dict[str, Item] = {}
    for item in items:
        if item.id and first.setdefault(item.id, item) is not item:
            line = document.line((*first[item.id].keys, "id"))
            place = dotted(first[item.id].keys) + (f" at line {line}" if line else "")
            yield (*item.keys, "id"), f"a second {kind} {item.id!r}; the first is {place}"


def _kinds(whole: Outline) -> Iterator[Finding]:
    for step in (*whole.steps, *whole.replacements):
        yield from _one_kind(step, Step, KINDS)
    for checks in whole.outcomes:
        for item in checks:
            yield from _one_kind(item, Check, OUTCOME_KINDS)


def _one_kind(item: Item, model: type[Step] | type[Check], known: Sequence[str]) -> Iterator[Finding]:
    kinds = item.kinds(known)
    if len(kinds) > 1 or (not kinds and not item.has_unknown_keys(model)):
        found = ", ".join(kinds) or "none of them"
        yield item.keys, f"exactly one of {', '.join(known)} is expected, found {found}"
    for kind in kinds:
        if item.data[kind] in ({}, []):
            yield (*item.keys, kind), "empty: it would pass whatever the agent does"


def _detours(document: Document, whole: Outline) -> Iterator[Finding]:
    turns = {turn.id: index for index, turn in reversed(list(enumerate(whole.turns)))}
    for detour in whole.detours:
        yield from _way(detour)
        leaves, rejoins = detour.data.get("leaves"), detour.data.get("rejoins")
        if not any(detour.data.get(key) for key in WAY):
            yield from _later_steps(document, whole, detour, 0, 0)
            continue
        for key, name, known in (("leaves", leaves, [*turns]), ("rejoins", rejoins, [*turns, "end"])):
            if isinstance(name, str) and name not in known:
                yield (*detour.keys, key), f"no golden turn {name!r}{near_match(name, known)}"
        start, end = turns.get(str(leaves)), turns.get(str(rejoins), len(turns))
        if start is None or (rejoins != "end" and rejoins not in turns):
            continue
        if end < start:
            message = f"it leaves before {leaves!r} and rejoins at {rejoins!r}, which was played already"
            yield (*detour.keys, "rejoins"), f"cyclic reference: {message}"
            continue
        yield from _later_steps(document, whole, detour, start, end)


def _way(detour: Item) -> Iterator[Finding]:
    """A detour leaves the golden path, and then says whither and where to; or it is disturbed on it."""
    found = [key for key in WAY if detour.data.get(key) is not None]
    missing = [key for key in WAY if key not in found]
    if not found and detour.data.get("disturb") is None:
        message = f"the keys {', '.join(WAY)} are required, and missing (or `disturb`, for the golden path disturbed)"
        yield detour.keys, message
    elif found:
        for key in missing:
            yield (*detour.keys, key), f"the key {key!r} is required, and missing: {', '.join(WAY)} belong together"


def _disturbances(whole: Outline, tools: Tools | None) -> Iterator[Finding]:
    """What the detours use of the catalogue, which is not even loaded where none does."""
    for detour in whole.detours:
        uses = detour.items("disturb")
        if not uses:
            continue
        from agentkit.scenario.detours.written import KEY, mistakes

        turns = [turn.id for turn in whole.turns if turn.id]
        own = bool(detour.data.get("outcome"))
        seen: set[str] = set()
        for use in uses:
            name = use.data.get(KEY)
            if isinstance(name, str) and name in seen:
                yield (*use.keys, KEY), f"a second {name!r} in one detour"
            seen.add(str(name))
            for keys, message in mistakes(use.data, turns, tools, own_outcome=own):
                yield (*use.keys, *keys), message


def _later_steps(document: Document, whole: Outline, detour: Item, start: int, end: int) -> Iterator[Finding]:
    """`void` and `replaces` may only speak of golden steps that come after the detour."""
    place = {step.id: index for index, turn in enumerate(whole.turns) for step in turn.items("steps") if step.id}
    replaced = [((*step.keys, "id"), step.id) for step in detour.items("replaces") if step.id]
    for keys, name in (*detour.names("void"), *replaced):
        if name not in place:
            yield keys, f"no golden step {name!r}{near_match(name, place)}"
        elif place[name] < start:
            yield keys, f"the step {name!r} comes before the detour leaves"
        elif place[name] < end and keys[-1] == "id":
            yield keys, f"the step {name!r} is skipped by this detour"
    for keys, name in detour.names("void"):
        if name in (other for _, other in replaced):
            yield keys, f"the step {name!r} is replaced as well"
    yield from _twice(document, detour.items("replaces"), "replacement of")


def _variables(whole: Outline, columns: Collection[str]) -> Iterator[Finding]:
    known = {*whole.variables, *columns}
    needs: dict[str, Sequence[str]] = {}
    for name, data in whole.variables.items():
        if name in columns:
            yield ("variables", name), f"the rows have a column {name!r} as well"
        for keys, other in Item(("variables", name), data).names("unlike"):
            if other not in known:
                yield keys, f"no variable {other!r}{near_match(other, known)}"
        needs[name] = [other for other in needed_by(data) if other in known]
    cycle = find_cycle(needs)
    if cycle:
        yield ("variables", cycle[0]), f"cyclic reference: {' -> '.join(cycle)}"


def _templates(document: Document, whole: Outline, known: Collection[str]) -> Iterator[Problem]:
    subtrees: list[tuple[Keys, object]] = [((key,), document.data.get(key)) for key in _TEMPLATED]
    subtrees += [(("variables", name, "value"), data.get("value")) for name, data in whole.variables.items()]
    for top, subtree in subtrees:
        for keys, source in texts(subtree, top):
            line = document.text_line(keys)
            try:
                names = compile_text(source).names
            except TemplateError as error:
                at = None if line is None else line + error.line - 1
                yield document.problem(keys, str(error), at)
                continue
            for name in sorted(names - set(known)):
                at = None if line is None else line + _line_of(name, source)
                yield document.problem(keys, f"undefined variable {name!r}{near_match(name, known)}", at)


def _line_of(name: str, source: str) -> int:
    """Lines before a variable's first mention inside a template."""
    found = re.search(r"\{\{[^}]*\b" + re.escape(name) + r"\b", source)
    return source.count("\n", 0, found.end()) if found else 0


def _calls(whole: Outline, tools: Tools) -> Iterator[Finding]:
    for step in (*whole.steps, *whole.replacements):
        yield from _call(step, tools)
    for item in (*whole.steps, *whole.replacements, *(item for checks in whole.outcomes for item in checks)):
        for keys, name in item.names("no_call"):
            yield from _tool(keys, name, tools)


def _tool(keys: Keys, name: str, tools: Tools) -> Iterator[Finding]:
    if not tools:
        yield keys, f"the tool {name!r} is named, but the suite has no world"
    elif name not in tools:
        yield keys, f"no tool {name!r}{near_match(name, tools)}"


def _call(step: Item, tools: Tools) -> Iterator[Finding]:
    call = step.data.get("call")
    if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
        return
    keys, name = (*step.keys, "call"), call["name"]
    yield from _tool((*keys, "name"), name, tools)
    if name not in tools:
        return
    given = call.get("arguments", {})
    if not isinstance(given, Mapping):
        return
    parameters = tools[name].parameters
    known = parameters.get("properties", {})
    unknown = [argument for argument in given if argument not in known]
    for argument in unknown:
        near = near_match(argument, known)
        yield (*keys, "arguments", argument), f"{name} has no argument {argument!r}{near}"
    missing = sorted(set(parameters.get("required", ())) - given.keys())
    if missing and not unknown and call.get("match", "exact") == "exact":
        yield keys, f"{name} requires {', '.join(missing)}: without, no call can be exactly this (or `match: subset`)"
