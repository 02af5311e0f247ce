"""Every kind of broken scenario gives an error with file, line and, where there is one, a near match."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario.scenario_files import REFUND, WORLD, broken, problems_of, write_suite

BROKEN = {
    "unknown key": ("tags: [money]", "tagz: [money]", "tagz", "unknown key 'tagz' (did you mean 'tags'?)"),
    "unknown key in a step": (
        "skill: find_sale",
        "skil: find_sale",
        "turns[0].steps[0].skil",
        "(did you mean 'skill'?)",
    ),
    "missing key": ("{id: stop, no_call", "{no_call", "detours[1].turns[0].steps[0].id", "the key 'id' is required"),
    "wrong type": (
        "user: Yes, please.",
        "user: {say: 'yes'}",
        "turns[1].user",
        "expected text or a list, found a mapping",
    ),
    "wrong type in a union": (
        "user: Yes, please.",
        "user: [Yes, 3]",
        "turns[1].user[1]",
        "expected text, found the number 3",
    ),
    "wrong type in a union in a union": (
        "mentions: [refunded]",
        "mentions: [[refunded, {}]]",
        "turns[1].steps[1].reply.mentions[0][1]",
        "expected text or a whole number or a number, found an empty mapping",
    ),
    "wrong literal": ("order: strict", "order: strikt", "turns[1].order", "(did you mean 'strict'?)"),
    "no valid name": (
        "{id: stop,",
        "{id: full stop,",
        "detours[1].turns[0].steps[0].id",
        "'full stop' is no valid name",
    ),
    "two steps of one id": (
        "{id: stop,",
        "{id: look,",
        "detours[1].turns[0].steps[0].id",
        "the first is turns[0].steps[0] at line 21",
    ),
    "a detour's step of a golden id": (
        "id: let_go",
        "id: confirm",
        "detours[2].turns[0].steps[0].id",
        "a second step 'confirm'",
    ),
    "two turns of one id": ("id: never,", "id: bye,", "detours[1].turns[0].id", "a second turn 'bye'"),
    "two detours of one id": ("id: walks_out", "id: poetry", "detours[2].id", "a second detour 'poetry'"),
    "a detour called as a word that chooses": (
        "id: walks_out",
        "id: first",
        "detours[2].id",
        "'first' chooses among detours on the command line",
    ),
    "a detour called golden": ("id: walks_out", "id: golden", "detours[2].id", "the path that nobody leaves"),
    "a detour that rejoins nowhere": ("rejoins: bye", "rejoins: bey", "detours[1].rejoins", "(did you mean 'bye'?)"),
    "a detour that leaves nowhere": ("leaves: ask", "leaves: asks", "detours[2].leaves", "(did you mean 'ask'?)"),
    "a detour that goes back": ("rejoins: bye", "rejoins: ask", "detours[1].rejoins", "cyclic reference"),
    "void of nothing": ("void: [quiet]", "void: [quite]", "detours[0].void[0]", "(did you mean 'quiet'?)"),
    "void of an earlier step": (
        "void: [quiet]",
        "void: [look]",
        "detours[0].void[0]",
        "comes before the detour leaves",
    ),
    "void and replaced": ("void: [quiet]", "void: [confirm]", "detours[0].void[0]", "is replaced as well"),
    "replaces nothing": (
        "{id: confirm, reply: {mentions: [poem]}}",
        "{id: confirn, reply: {mentions: [poem]}}",
        "detours[0].replaces[0].id",
        "(did you mean 'confirm'?)",
    ),
    "undefined variable": (
        "return {{ sale_id }}.",
        "return {{ sale_idd }}.",
        "turns[0].user[0]",
        "undefined variable 'sale_idd' (did you mean 'sale_id'?)",
    ),
    "undefined variable in a key": (
        '"{{ sale_id }}": {price',
        '"{{ sale }}": {price',
        "world.sales.{{ sale }}",
        "undefined variable 'sale'",
    ),
    "undefined variable in a variable": (
        "{{ bought | days(30) }}",
        "{{ bougt | days(30) }}",
        "variables.until.value",
        "undefined variable 'bougt' (did you mean 'bought'?)",
    ),
    "cyclic variables": (
        "bought: {day: [2026-01-01, 2026-03-01]}",
        'bought: {value: "{{ until | days(-30) }}"}',
        "variables.bought",
        "cyclic reference: bought -> until -> bought",
    ),
    "unlike nothing": ("unlike: [sale_id]", "unlike: [sale]", "variables.other_id.unlike[0]", "no variable 'sale'"),
    "unlike itself": ("unlike: [sale_id]", "unlike: [other_id]", "variables.other_id", "other_id -> other_id"),
    "unknown generator": (
        "price: {amount: [5, 80]}",
        "price: {amont: [5, 80]}",
        "variables.price",
        "(did you mean 'amount'?)",
    ),
    "a value for a generator": (
        "price: {amount: [5, 80]}",
        "price: 5.0",
        "variables.price",
        "`{value: 5.0}`; found the number 5.0",
    ),
    "a range that runs backwards": (
        "{amount: [5, 80]}",
        "{amount: [80, 5]}",
        "variables.price",
        "the smaller comes first",
    ),
    "a variable nobody can draw": (
        'pattern: "S-[0-9]{5}", unlike',
        'pattern: "S-(?<=x)", unlike',
        "variables.other_id.pattern",
        "texts can only be drawn from",
    ),
    "a pattern that draws without bound": (
        'pattern: "S-[0-9]{5}", unlike',
        'pattern: "((a{50}){50}){50}", unlike',
        "variables.other_id.pattern",
        "it may draw 125,000 characters, 200 are allowed",
    ),
    "unknown locale": (
        "{fake: name}",
        "{fake: name, locale: de_DEE}",
        "variables.customer.locale",
        "(did you mean 'de_DE'?)",
    ),
    "attributes in a template": (
        "return {{ sale_id }}.",
        "return {{ sale_id.__class__ }}.",
        "turns[0].user[0]",
        "attribute access (`.__class__`) is not allowed",
    ),
    "items in a template": ("return {{ sale_id }}.", "return {{ sale_id[0] }}.", "turns[0].user[0]", "item access"),
    "calls in a template": ("return {{ sale_id }}.", "return {{ sale_id() }}.", "turns[0].user[0]", "calls (`…()`)"),
    "statements in a template": (
        "return {{ sale_id }}.",
        "return {% if 1 %}x{% endif %}.",
        "turns[0].user[0]",
        "statements ({% … %}) are not available",
    ),
    "unknown filter": (
        "bought | date('%d %B %Y')",
        "bought | dat('%d %B %Y')",
        "turns[0].user[1]",
        "unknown filter 'dat' (did you mean 'date'?)",
    ),
    "a filter that cannot work": (
        "bought | date('%d %B %Y')",
        "customer | date('%d %B %Y')",
        "turns[0].user[1]",
        "a date such as 2026-03-01 is expected",
    ),
    "an unquoted template": ("user: Yes, please.", "user: {{ customer }}", "", "a template must stand in quotes"),
    "a template that explodes": ("return {{ sale_id }}.", "return {{ 'a' * 10**9 }}.", "turns[0].user[0]", "`**`"),
    "a tool that does not exist": (
        "call: {name: lookup_sale, arg",
        "call: {name: lookup_sail, arg",
        "turns[0].steps[0].call.name",
        "no tool 'lookup_sail' (did you mean 'lookup_sale'?)",
    ),
    "a tool that must not be called and does not exist": (
        "no_call: [refund]",
        "no_call: [refnd]",
        "detours[2].outcome[0].no_call[0]",
        "(did you mean 'refund'?)",
    ),
    "an argument that does not exist": (
        'lookup_sale, arguments: {sale_id: "{{ sale_id }}"',
        'lookup_sale, arguments: {sale_ids: "{{ sale_id }}"',
        "turns[0].steps[0].call.arguments.sale_ids",
        "(did you mean 'sale_id'?)",
    ),
    "an argument that is missing": (
        '{sale_id: "{{ sale_id }}", amount: {number: "{{ price }}", tolerance: 0.01}}',
        '{sale_id: "{{ sale_id }}"}',
        "turns[1].steps[0].call",
        "refund requires amount",
    ),
    "an argument that no call can have": (
        'lookup_sale, arguments: {sale_id: "{{ sale_id }}"',
        "lookup_sale, arguments: {sale_id: 12345",
        "turns[0].steps[0].call.arguments.sale_id",
        "lookup_sale never takes 12345 here",
    ),
    "no operator": (
        'number: "{{ price }}", tolerance: 0.01',
        'nummer: "{{ price }}", tolerance: 0.01',
        "turns[1].steps[0].call.arguments.amount",
        "(did you mean 'number'?)",
    ),
    "no number": (
        'number: "{{ price }}", tolerance: 0.01',
        "number: a lot, tolerance: 0.01",
        "turns[1].steps[0].call.arguments.amount.number",
        "a number is expected, found 'a lot'",
    ),
    "a template that gives no number": (
        'number: "{{ price }}", tolerance: 0.01',
        'number: "{{ customer }}", tolerance: 0.01',
        "turns[1].steps[0].call.arguments.amount.number",
        "with the drawn variables: a number is expected",
    ),
    "no kind": (
        "{id: stop, no_call: any}",
        "{id: stop}",
        "detours[1].turns[0].steps[0]",
        "exactly one of call, reply, state",
    ),
    "two kinds": (
        "{id: stop, no_call: any}",
        "{id: stop, no_call: any, reply: {asks: true}}",
        "detours[1].turns[0].steps[0]",
        "found reply, no_call",
    ),
    "two kinds of outcome": (
        "{id: untouched, no_call: [refund]}",
        "{id: untouched, no_call: [refund], state: {x: 1}}",
        "detours[2].outcome[0]",
        "exactly one of state, reply, no_call, results is expected",
    ),
    "a step that cannot fail": (
        '{id: tell, reply: {mentions: ["{{ price }}"], asks: true}}',
        "{id: tell, reply: {}}",
        "turns[0].steps[1].reply",
        "it would pass whatever the agent does",
    ),
    "no valid regular expression": (
        "mentions: [poem]",
        "pattern: 'po(em'",
        "detours[0].replaces[0].reply.pattern",
        "not a valid regular expression: missing ), unterminated subpattern at character 3",
    ),
    "a regular expression that never ends": (
        "mentions: [poem]",
        "pattern: '(x+)+y'",
        "detours[0].replaces[0].reply.pattern",
        "can take for ever",
    ),
    "no valid JSON Schema": (
        "mentions: [poem]",
        "json_schema: {type: objekt}",
        "detours[0].replaces[0].reply.json_schema",
        "not a valid JSON Schema: type: 'objekt'",
    ),
    "a JSON Schema that refers to nothing": (
        "mentions: [poem]",
        'json_schema: {properties: {poem: {$ref: "#/$defs/Pome"}}, $defs: {Poem: {type: string}}}',
        "detours[0].replaces[0].reply.json_schema",
        "not a valid JSON Schema: nothing in it is what '#/$defs/Pome' refers to",
    ),
    "an id in a file": ("title: Refund of one sale", "id: refund\ntitle: Refund", "id", "a file's path is its id"),
    "a rows file that is not there": ("persona:", "rows: {file: r.csv}\npersona:", "rows.file", "no file 'r.csv' here"),
    "duplicate key": ("tags: [money]", "title: Twice", "", "the key 'title' is given twice; first at line 1"),
    "a tag that constructs": (
        "tags: [money]",
        "tags: !!python/object/apply:os.system [id]",
        "",
        "the YAML tag !!python/object/apply:os.system is refused",
    ),
    "malformed YAML": ("tags: [money]", "tags: money]: [", "", "not valid YAML: mapping values are not allowed"),
}


@pytest.mark.parametrize(("old", "new", "field", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_one_mistake_is_one_problem_at_its_line(tmp_path: Path, old: str, new: str, field: str, message: str) -> None:
    problems, line = broken(tmp_path, old, new)
    assert len(problems) == 1, "\n".join(map(str, problems))
    problem = problems[0]
    assert problem.file == str(tmp_path / "shop" / "refund.yaml")
    assert problem.field == field
    assert message in problem.message
    assert problem.line == line


def test_all_mistakes_of_a_suite_are_told_at_once(tmp_path: Path) -> None:
    first = (
        REFUND.replace("tags: [money]", "tagz: [money]")
        .replace("order: strict", "order: strikt")
        .replace("{id: quiet,", "{id: look,")
        .replace("rejoins: bye", "rejoins: bey")
        .replace("return {{ sale_id }}.", "return {{ sale.id }}.")
    )
    second = (
        REFUND.replace("price: {amount: [5, 80]}", "price: {amont: [5, 80]}")
        .replace("bought: {day: [2026-01-01, 2026-03-01]}", 'bought: {value: "{{ until }}"}')
        .replace("{id: tell, reply", "{id: tell, replies")
    )
    world = WORLD.replace("amount: float,", "amount,")
    folder = write_suite(tmp_path / "shop", {"a.yaml": first, "b.yaml": second, "c.yaml": "a: [1"}, world=world)
    found = [(Path(problem.file).name, problem.line, problem.message) for problem in problems_of(folder)]
    expected = [
        ("a.yaml", _line("tagz", first), "did you mean 'tags'?"),
        ("a.yaml", _line("sale.id", first), "attribute access"),
        ("a.yaml", _line("strikt", first), "did you mean 'strict'?"),
        ("a.yaml", _line("- {id: look, no_call", first), "a second step 'look'"),
        ("a.yaml", _line("void: [quiet]", first), "no golden step 'quiet'"),
        ("a.yaml", _line("bey", first), "did you mean 'bye'?"),
        ("b.yaml", _line("amont", second), "did you mean 'amount'?"),
        ("b.yaml", _line("bought: {value", second), "cyclic reference: bought -> until -> bought"),
        ("b.yaml", _line("replies", second), "did you mean 'reply'?"),
        ("c.yaml", 2, "not valid YAML"),
        ("world.py", _line("def refund", world), "refund: the parameter 'amount' has no type"),
    ]
    for (file, line, message), said in zip(expected, found, strict=True):
        assert said[:2] == (file, line), said
        assert message in said[2]


def _line(snippet: str, content: str) -> int:
    return content.count("\n", 0, content.index(snippet)) + 1
