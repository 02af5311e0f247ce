"""Templates: Jinja2's syntax for expressions, and nothing else of it.

Texts and whole structures are compiled once and filled in often. What is wrong with a template is found when a scenario
is loaded, with its line; what one is filled with is never read as a template again.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.scenario.expressions import Render, TemplateError, Values, parse
from agentkit.scenario.filters import MAX_TEXT, RenderError, as_text

MAX_SOURCE = 20_000
"""Characters of one template."""

_EXPRESSION = re.compile(r"""\{\{(?![-+])((?:[^{}'"\\]|'[^'{}\\]*'|"[^"{}\\]*")*)(?<![-+])\}\}""")
"""An expression whose end cannot be mistaken; any other is left to Jinja2's lexer."""


class RegexText(str):
    """A regular expression: what is filled into it stands for itself, so that no value can break or widen it."""

    __slots__ = ()


class PathText(str):
    """A path with parts joined by `/`: what is filled in must stay one part."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text, or a structure of texts."""

    render: Render
    names: frozenset[str]
    """Variables it needs."""
    constant: bool = False


def is_template(text: str) -> bool:
    """Whether a text holds anything that Jinja2 would read."""
    return "{{" in text or "{%" in text or "{#" in text


def compile_text(text: str) -> Template:
    """A text that is exactly one `{{ expression }}` gives the expression's own value, any other gives text.

    Raises TemplateError.
    """
    return compile_data(text)


def compile_data(data: Any) -> Template:
    """A structure of dicts, lists and texts, keys included; what holds no template is given as it is, not copied.

    Raises TemplateError.
    """
    return _compile(data) or Template(lambda _: data, frozenset(), constant=True)


def texts(data: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text of a structure that is a template, keys included, with the place where it stands."""
    if isinstance(data, str):
        if is_template(data):
            yield keys, data
    elif isinstance(data, dict):
        for key, item in data.items():
            if isinstance(key, str) and is_template(key):
                yield (*keys, key), key
            yield from texts(item, (*keys, key))
    elif isinstance(data, (list, tuple)):
        for index, item in enumerate(data):
            yield from texts(item, (*keys, index))


def regex_sample(pattern: str) -> str:
    """A pattern with every expression replaced by a letter, to see whether it is one. Raises TemplateError."""
    return "".join(part if isinstance(part, str) else "x" for part in _parts(str(pattern)))


def _compile(data: Any) -> Template | None:
    """None for a constant, which most of a scenario is."""
    if isinstance(data, str):
        return _compile_text(data) if is_template(data) else None
    if isinstance(data, dict):
        return _compile_mapping(data)
    if isinstance(data, (list, tuple)):
        return _compile_list(data)
    return None


def _compile_text(text: str) -> Template:
    if isinstance(text, RegexText):
        return _compile_joined(str(text), _escaped)
    return _compile_joined(str(text), _path_part) if isinstance(text, PathText) else _compile_plain(text)


def _compile_list(data: Sequence[Any]) -> Template | None:
    items = [(_compile(item), item) for item in data]
    needed = [template for template, _ in items if template]
    if not needed:
        return None
    return Template(
        lambda values: [template.render(values) if template else item for template, item in items], _names(needed)
    )


def _compile_mapping(data: dict[str, Any]) -> Template | None:
    pairs = [(_compile(key), key, _compile(item), item) for key, item in data.items()]
    needed = [template for pair in pairs for template in (pair[0], pair[2]) if template]
    if not needed:
        return None

    def render(values: Values) -> dict[str, Any]:
        rendered: dict[str, Any] = {}
        for key_template, key, template, item in pairs:
            name = as_text(key_template.render(values)) if key_template else key
            if name in rendered:
                raise RenderError(f"two keys are both {name!r}; `unlike` keeps variables apart")
            rendered[name] = template.render(values) if template else item
        return rendered

    return Template(render, _names(needed))


def _names(templates: Iterable[Template]) -> frozenset[str]:
    return frozenset().union(*(template.names for template in templates))


@functools.lru_cache(maxsize=8192)
def _compile_plain(text: str) -> Template:
    parts = _parts(text)
    if len(parts) == 1 and isinstance(parts[0], Template):
        return Template(_bounded(parts[0].render), parts[0].names)
    return _compile_joined(text, as_text)


@functools.lru_cache(maxsize=2048)
def _compile_joined(text: str, show: Callable[[Any], str]) -> Template:
    parts = _parts(text)
    return Template(_joined(parts, show), _names([part for part in parts if isinstance(part, Template)]))


def _escaped(value: Any) -> str:
    return re.escape(as_text(value))


def _path_part(value: Any) -> str:
    text = as_text(value)
    if "/" in text:
        raise RenderError(f"{text!r} holds a `/`, which would split the path")
    return text


def _bounded(render: Render) -> Render:
    def bounded(values: Values) -> Any:
        value = render(values)
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise RenderError(f"the text grows beyond {MAX_TEXT:,} characters")
        return value

    return bounded


def _joined(parts: list[str | Template], show: Callable[[Any], str]) -> Render:
    pieces = [part if isinstance(part, str) else part.render for part in parts]

    def joined(values: Values) -> str:
        return "".join([piece if isinstance(piece, str) else show(piece(values)) for piece in pieces])

    return _bounded(joined)


def _parts(text: str) -> list[str | Template]:
    """Literal texts and expressions in order; names alone take the short way past Jinja2's parser."""
    if len(text) > MAX_SOURCE:
        raise TemplateError(f"a template may hold {MAX_SOURCE:,} characters, this has {len(text):,}")
    pieces = _EXPRESSION.split(text)
    if any(is_template(literal) for literal in pieces[::2]):
        return [part if isinstance(part, str) else Template(*part) for part in parse(text)]
    parts: list[str | Template] = []
    line = 1
    for index, piece in enumerate(pieces):
        if index % 2:
            parts.append(_expression(piece.strip(), line))
        elif piece:
            parts.append(piece)
        line += piece.count("\n")
    return parts


@functools.lru_cache(maxsize=8192)
def _expression(source: str, line: int) -> Template:
    """One expression, which is far more often met than a whole text is."""
    try:
        part = parse(f"{{{{ {source} }}}}")[0]
    except TemplateError as error:
        raise TemplateError(str(error), line + error.line - 1) from None
    if isinstance(part, str):
        raise TemplateError(f"not an expression: {source!r}", line)
    return Template(*part)
