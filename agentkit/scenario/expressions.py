"""Expressions of templates: Jinja2 parses them, and a short list of node types is turned into closures.

What is not on the list (attribute and item access, calls, tests, `**`) is refused with its line. Nothing is compiled to
Python, so nothing can be reached that is not written here.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

from agentkit.errors import near_match
from agentkit.scenario.filters import FILTERS, RenderError, arithmetic, as_text

Values = Mapping[str, Any]
Render = Callable[[Values], Any]


class TemplateError(ValueError):
    """A template that may not be used; `line` counts from 1 inside the text."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


@functools.cache
def _environment() -> Any:
    from jinja2 import Environment

    return Environment(keep_trailing_newline=True, autoescape=False)


def parse(text: str) -> list[str | tuple[Render, frozenset[str]]]:
    """Literal texts and expressions in order; of an expression, what renders it and the variables it needs.

    Raises TemplateError.
    """
    from jinja2 import TemplateSyntaxError, nodes

    if "{%" in text:
        line = text.count("\n", 0, text.index("{%")) + 1
        raise TemplateError("statements ({% … %}) are not available, only expressions ({{ … }})", line)
    try:
        body = _environment().parse(text).body
        parts: list[str | tuple[Render, frozenset[str]]] = []
        for output in body:
            for node in output.nodes:
                parts.append(node.data if isinstance(node, nodes.TemplateData) else _Compiler().whole(node))
        return parts
    except TemplateSyntaxError as error:
        raise TemplateError(f"not a valid template: {error.message}", error.lineno) from None
    except RecursionError:
        raise TemplateError("the expression is nested too deeply") from None


class _Compiler:
    """One expression's tree into closures; each node type that is allowed has a method of its name."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def whole(self, node: Any) -> tuple[Render, frozenset[str]]:
        render = self.compile(node)
        return render, frozenset(self.names)

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
        parts = [self.compile(part) for part in node.nodes]
        return lambda values: "".join([as_text(part(values)) for part in parts])

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
