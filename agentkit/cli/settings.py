"""`agentkit settings`: every setting of `[tool.agentkit]`, with its meaning and what it is in this project."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click
import orjson

from agentkit.cli.options import check_writable, json_option, write_json
from agentkit.errors import ExitCode, UsageError, near_match

_WIDTH = 110
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
_OF_JOBS = ("run", "step", "rubric", "rewards", "adapters")
"""Settings of a training job that are no settings of a project."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a section."""

    name: str
    meaning: str
    """Empty for the kind of an agent or a user."""
    kind: str
    """What it takes, in words."""
    default: Any
    """None: nothing."""
    required: bool
    value: Any
    """What this project sets; None where it sets nothing."""

    def lines(self) -> Iterator[str]:
        told = f"{self.meaning} [{self.kind}]" if self.meaning else ""
        yield from textwrap.wrap(told, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
        if self.value is not None:
            yield f"{self.name} = {_toml(self.value)}"
        elif self.default is not None:
            yield f"{self.name} = {_toml(self.default)}"
        else:
            yield f"#{self.name} =" + ("   # must be set" if self.required else "")


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the configuration."""

    name: str
    """Below `tool.agentkit`."""
    title: str
    settings: tuple[Setting, ...]

    @property
    def header(self) -> str:
        return f"[tool.agentkit.{self.name}]" if self.name else "[tool.agentkit]"

    def lines(self) -> Iterator[str]:
        yield from textwrap.wrap(self.title, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        yield self.header
        for setting in self.settings:
            yield from setting.lines()


@click.command("settings")
@click.argument("name", required=False, metavar="[SECTION]")
@json_option
def command(name: str | None, json_file: str | None) -> int:
    """Print every setting of `[tool.agentkit]` in pyproject.toml, as TOML with its meaning in comments.

    A value is this project's where it sets one, else the default. SECTION: only that table and those below it, such as
    `serve` or `serve.router`. Secrets are no settings: those name an environment variable.
    """
    check_writable(json_file)
    found = sections()
    if name is not None:
        wanted = name.removeprefix("tool.agentkit.")
        chosen = [it for it in found if it.name == wanted or it.name.startswith(f"{wanted}.")]
        if not chosen:
            names = sorted({part for it in found for part in _beginnings(it.name)})
            raise UsageError(f"found {name!r}, expected a section{near_match(wanted, names)}: {', '.join(names)}")
        found = chosen
    if json_file is not None:
        write_json(json_file, [asdict(it) for it in found])
    if json_file != "-":
        click.echo(written(found))
    return ExitCode.PASS


def written(found: list[Section]) -> str:
    """Sections as TOML."""
    return "\n\n".join("\n".join(it.lines()) for it in found)


def sections() -> list[Section]:
    """All tables of the configuration, with this project's values. Raises ConfigError where those are wrong."""
    from agentkit.config import Config, load_config
    from agentkit.gate.settings import GateSettings
    from agentkit.redact import redact_mapping
    from agentkit.tune.settings import JobSettings

    values = redact_mapping(load_config().model_dump(mode="json", exclude_unset=True))
    schema, job = Config.model_json_schema(), JobSettings.model_json_schema()
    for name in _OF_JOBS:
        del job["properties"][name]
    job["required"] = []
    job["description"] = "Of the training jobs that the loop starts; `agentkit tune --set NAME=VALUE` takes the same."
    gate = asdict(GateSettings())
    for name, setting in schema["$defs"]["GateOptions"]["properties"].items():
        if setting.get("default") is None:
            setting["default"] = gate[{"latency": "seconds"}.get(name, name)]
    schema["$defs"]["LoopSettings"]["properties"]["tune"] = job
    return list(_sections("", schema, schema["$defs"], values))


def _sections(name: str, table: Schema, known: Mapping[str, Schema], values: Mapping[str, Any]) -> Iterator[Section]:
    """A table, and those below it."""
    settings: list[Setting] = []
    below: list[Section] = []
    for key, schema in table["properties"].items():
        path, value = f"{name}.{key}".lstrip("."), values.get(key)
        if value is None and key in values:
            value = False  # the word for none
        if (inner := _resolved(schema, known)).get("properties"):
            below += _sections(path, inner, known, value or {})
        elif inner.get("type") == "object" and (kinds := _kinds(inner, known)):
            for kind in kinds:
                below += _sections(f"{path}.NAME", kind, known, {})
        else:
            required = key in table.get("required", ())
            default = inner.get("const", schema.get("default"))
            meaning = " ".join(schema.get("description", "").split())
            settings.append(Setting(key, meaning, _kind(inner, known), default, required, value))
    if settings:
        settings.sort(key=lambda it: it.name != "kind")
        yield Section(name, " ".join(table["description"].split()), tuple(settings))
    yield from below


def _resolved(schema: Schema, known: Mapping[str, Schema]) -> Schema:
    """What a reference refers to; of a choice between something and nothing, the something."""
    if "$ref" in schema:
        return known[schema["$ref"].rpartition("/")[2]]
    some = [it for it in schema.get("anyOf", ()) if it.get("type") != "null"]
    return _resolved(some[0], known) if len(some) == 1 else schema


def _kinds(schema: Schema, known: Mapping[str, Schema]) -> list[Schema]:
    """Of a table whose keys the user chooses: what each may hold, where those are tables themselves."""
    inner = schema.get("additionalProperties")
    if not isinstance(inner, Mapping):
        return []
    choices = (_resolved(it, known) for it in inner.get("oneOf", [inner]))
    return [it for it in choices if it.get("properties")]


def _kind(schema: Schema, known: Mapping[str, Schema]) -> str:
    """What a setting takes, in words."""
    if "const" in schema:
        return _toml(schema["const"])
    if "enum" in schema:
        return ", ".join(map(_toml, schema["enum"]))
    match schema.get("type"):
        case "boolean":
            return "true or false"
        case "array":
            return f"list of {_kind(_resolved(schema['items'], known), known)}" if schema.get("items") else "list"
        case "object":
            return "table"
        case "integer" | "number" as number:
            bounds = [f"{words} {schema[bound]:g}" for bound, words in _BOUNDS.items() if bound in schema]
            return " ".join(["whole number" if number == "integer" else "number", " and ".join(bounds)]).strip()
        case _:
            return "text"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_toml(it)}" for key, it in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return orjson.dumps(value).decode()


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else orjson.dumps(key).decode()


def _beginnings(name: str) -> list[str]:
    parts = name.removesuffix(".NAME").split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))] if name else []
