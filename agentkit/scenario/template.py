"""Templates: Jinja2's syntax for expressions, and nothing else of it.

Jinja2 parses; this module walks the tree and turns a short list of node types into closures. Attribute and item access,
calls and statements are refused when a scenario is loaded, with their line; so is a variable that does not exist. What
a template is filled with is never read as a template again.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.errors import near_match
from agentkit.scenario.filters import FILTERS, MAX_TEXT, RenderError, arithmetic, as_text

Values = Mapping[str, Any]
Render = Callable[[Values], Any]

MAX_SOURCE = 20_000
"""Characters of one template."""

_EXPRESSION = re.compile(r"\{\{(?![-+])([^{}]*)(?<![-+])\}\}")


class TemplateError(ValueError):
    """A template that may not be used; `line` counts from 1 inside the text."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class RegexText(str):
    """A regular expression: what is filled into it stands for itself, so that no value can break or widen it."""

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
    if not is_template(text):
        return _constant(text)
    return _compile_regex(str(text)) if isinstance(text, RegexText) else _compile_plain(text)


def compile_data(data: Any) -> Template:
    """A structure of dicts, lists and texts, keys included. Raises TemplateError."""
    if isinstance(data, str):
        return compile_text(data)
    if isinstance(data, Mapping):
        return _compile_mapping(data)
    if isinstance(data, (list, tuple)):
        items = [compile_data(item) for item in data]
        if all(item.constant for item in items):
            return _constant(data)
        renders = [item.render for item in items]
        return Template(lambda values: [render(values) for render in renders], _names(items))
    return _constant(data)


def texts(data: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text of a structure that is a template, keys included, with the place where it stands."""
    if isinstance(data, str):
        if is_template(data):
            yield keys, data
    elif isinstance(data, Mapping):
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


def _constant(value: Any) -> Template:
    return Template(lambda _: value, frozenset(), constant=True)


def _names(templates: list[Template]) -> frozenset[str]:
    return frozenset().union(*(template.names for template in templates))


def _compile_mapping(data: Mapping[str, Any]) -> Template:
    pairs = [(compile_text(key), compile_data(item)) for key, item in data.items()]
    if all(key.constant and item.constant for key, item in pairs):
        return _constant(data)
    renders = [(key.render, item.render) for key, item in pairs]

    def render(values: Values) -> dict[str, Any]:
        rendered: dict[str, Any] = {}
        for key, item in renders:
            name = as_text(key(values))
            if name in rendered:
                raise RenderError(f"two keys are both {name!r}; `unlike` keeps variables apart")
            rendered[name] = item(values)
        return rendered

    return Template(render, _names([part for pair in pairs for part in pair]))


@functools.lru_cache(maxsize=8192)
def _compile_plain(text: str) -> Template:
    parts = _parts(text)
    names = _names([part for part in parts if isinstance(part, Template)])
    if len(parts) == 1 and isinstance(parts[0], Template):
        return Template(_bounded(parts[0].render), names)
    return Template(_joined(parts, as_text), names)


@functools.lru_cache(maxsize=1024)
def _compile_regex(text: str) -> Template:
    parts = _parts(text)
    names = _names([part for part in parts if isinstance(part, Template)])
    return Template(_joined(parts, lambda value: re.escape(as_text(value))), names)


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
        return _parse(text)
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
        part = _parse(f"{{{{ {source} }}}}")[0]
    except TemplateError as error:
        raise TemplateError(str(error), line + error.line - 1) from None
    if isinstance(part, str):
        raise TemplateError(f"not an expression: {source!r}", line)
    return part


@functools.cache
def _environment() -> Any:
    from jinja2 import Environment

    return Environment(keep_trailing_newline=True, autoescape=False)


def _parse(text: str) -> list[str | Template]:
    from jinja2 import TemplateSyntaxError, nodes

    if "{%" in text:
        line = text.count("\n", 0, text.index("{%")) + 1
        raise TemplateError("statements ({% … %}) are not available, only expressions ({{ … }})", line)
    try:
        body = _environment().parse(text).body
        parts: list[str | Template] = []
        for output in body:
            for node in output.nodes:
                parts.append(node.data if isinstance(node, nodes.TemplateData) else _Compiler().template(node))
        return parts
    except TemplateSyntaxError as error:
        raise TemplateError(f"not a valid template: {error.message}", error.lineno) from None
    except RecursionError:
        raise TemplateError("the expression is nested too deeply") from None


class _Compiler:
    """One expression's tree into closures; each node type that is allowed has a method of its name."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def template(self, node: Any) -> Template:
        render = self.compile(node)
        return Template(render, frozenset(self.names))

    def compile(self, node: Any) -> Render:
        kind = type(node).__name__.lower()
        method: Callable[[Any], Render] | None = getattr(self, f"on_{kind}", None)
        if method is None:
            raise TemplateError(_refusal(node), node.lineno)
        return method(node)

    def on_const(self, node: Any) -> Render:
        value = node.value
        if isinstance(value, int) and abs(value) >= 2**63:
            raise TemplateError("the number is too large", node.lineno)
        return lambda _: value

    def on_name(self, node: Any) -> Render:
        self.names.add(node.name)
        return operator.itemgetter(node.name)

    def on_list(self, node: Any) -> Render:
        items = [self.compile(item) for item in node.items]
        return lambda values: [item(values) for item in items]

    def on_concat(self, node: Any) -> Render:
        return _joined([Template(self.compile(part), frozenset()) for part in node.nodes], as_text)

    def binary(self, sign: str, node: Any) -> Render:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda values: arithmetic(sign, left(values), right(values))

    on_add = functools.partialmethod(binary, "+")
    on_sub = functools.partialmethod(binary, "-")
    on_mul = functools.partialmethod(binary, "*")
    on_div = functools.partialmethod(binary, "/")
    on_floordiv = functools.partialmethod(binary, "//")
    on_mod = functools.partialmethod(binary, "%")

    def on_neg(self, node: Any) -> Render:
        value = self.compile(node.node)
        return lambda values: arithmetic("-", 0, value(values))

    def on_not(self, node: Any) -> Render:
        value = self.compile(node.node)
        return lambda values: not value(values)

    def on_and(self, node: Any) -> Render:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda values: left(values) and right(values)

    def on_or(self, node: Any) -> Render:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda values: left(values) or right(values)

    def on_compare(self, node: Any) -> Render:
        first = self.compile(node.expr)
        rest = [(_COMPARISONS[operand.op], self.compile(operand.expr)) for operand in node.ops]

        def compare(values: Values) -> bool:
            left = first(values)
            for holds, render in rest:
                right = render(values)
                try:
                    if not holds(left, right):
                        return False
                except TypeError:
                    raise RenderError(f"{left!r} and {right!r} cannot be compared") from None
                left = right
            return True

        return compare

    def on_condexpr(self, node: Any) -> Render:
        if node.expr2 is None:
            raise TemplateError("a conditional expression needs an `else`", node.lineno)
        test, yes, no = self.compile(node.test), self.compile(node.expr1), self.compile(node.expr2)
        return lambda values: yes(values) if test(values) else no(values)

    def on_filter(self, node: Any) -> Render:
        function = FILTERS.get(node.name)
        if function is None:
            raise TemplateError(f"unknown filter {node.name!r}{near_match(node.name, FILTERS)}", node.lineno)
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            raise TemplateError(f"the filter {node.name!r} is not used like this", node.lineno)
        value = self.compile(node.node)
        arguments = [self.compile(argument) for argument in node.args]
        named = {pair.key: self.compile(pair.value) for pair in node.kwargs}

        def filtered(values: Values) -> Any:
            try:
                return function(
                    value(values),
                    *[argument(values) for argument in arguments],
                    **{key: argument(values) for key, argument in named.items()},
                )
            except TypeError as error:
                reason = str(error).replace("<lambda>()", "it")
                raise RenderError(f"the filter {node.name!r} cannot be used like this: {reason}") from None

        return filtered


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}


def _refusal(node: Any) -> str:
    allowed = "names, constants, arithmetic, comparisons, `a if b else c` and filters"
    match type(node).__name__:
        case "Getattr":
            return f"attribute access (`.{node.attr}`) is not allowed in a template; allowed are {allowed}"
        case "Getitem" | "Slice":
            return f"item access (`[…]`) is not allowed in a template; allowed are {allowed}"
        case "Call":
            return f"calls (`…()`) are not allowed in a template; allowed are {allowed}"
        case "Pow":
            return f"`**` is not allowed in a template; allowed are {allowed}"
        case "Test":
            return f"tests (`is …`) are not allowed in a template; allowed are {allowed}"
        case other:
            return f"`{other.lower()}` is not allowed in a template; allowed are {allowed}"
