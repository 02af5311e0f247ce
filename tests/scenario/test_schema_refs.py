"""References of a JSON Schema: those that lead somewhere are let be."""

from typing import Any

import pytest

from agentkit.scenario.schema_refs import nowhere

TO = {"$ref": "#/$defs/a"}


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"$defs": {"a": {"type": "string"}}, "items": TO}, None),
        ({"$defs": {"a": {"$anchor": "here"}}, "items": {"$ref": "#here"}}, None),
        ({"$defs": {"a": True}, "properties": {"$ref": {"type": "string"}, "x": TO}}, None),
        ({"properties": {"more": {"$ref": "#"}}}, None),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}, "not": TO}, "#/$defs/a"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, None),
        ({"$ref": "https://example.com/nobody/looks"}, None),
        ({"$id": "https://example.com/a", "$defs": {"b": {"$id": "/b"}}, "items": {"$ref": "/b"}}, None),
        ({"const": {"$ref": "#/nowhere"}}, None),
        ({"anyOf": [{"items": TO}]}, "#/$defs/a"),
        ({"items": {"$ref": "Address"}}, "Address"),
        ({"items": {"$ref": "#there"}}, "#there"),
        ({"title": "T", "minLength": 1, "items": {"$ref": "#/minLength/x"}}, "#/minLength/x"),
        ({"anyOf": [True], "items": {"$ref": "#/anyOf/x"}}, "#/anyOf/x"),
        ({"title": "T", "items": {"$ref": "#/title"}}, "#/title"),
    ],
)
def test_only_what_leads_to_no_schema_is_told(schema: dict[str, Any], found: str | None) -> None:
    assert nowhere(schema) == found
