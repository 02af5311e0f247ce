"""What a JSON Schema refers to by `$ref`: whether it is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nowhere(schema: Mapping[str, Any]) -> str | None:
    """The first reference of a valid schema that leads to no schema; None where all lead to one. Addresses on the web
    are not looked up."""
    from referencing import Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

    whole: Resource[Any] = Resource.from_contents(schema, default_specification=DRAFT202012)
    waiting = [(whole, EMPTY_REGISTRY.resolver_with_root(whole))]
    while waiting:
        part, resolver = waiting.pop()
        for key in ("$ref", "$dynamicRef"):
            ref = part.contents.get(key) if isinstance(part.contents, Mapping) else None
            if not isinstance(ref, str) or "://" in ref:
                continue
            try:
                found: Any = resolver.lookup(ref).contents
            except (Unresolvable, ValueError, TypeError):
                return ref
            if not isinstance(found, Mapping | bool):
                return ref
        waiting += [(it, resolver.in_subresource(it)) for it in part.subresources()]
    return None
