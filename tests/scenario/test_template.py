"""Templates: what they may say, what they give, and that what they are filled with stays what it is."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.scenario.expressions import TemplateError
from agentkit.scenario.filters import RenderError
from agentkit.scenario.template import PathText, RegexText, compile_data, compile_text, regex_sample, texts

VALUES: dict[str, Any] = {
    "sale": "S-1",
    "price": 19.99,
    "count": 3,
    "day": "2026-03-01",
    "hostile": "{{ 7*7 }} {% x %} {# y #}",
    "items": [1, "b", {"c": None}],
    "yes": True,
    "nothing": None,
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("plain", "plain"),
        ("{{ sale }}", "S-1"),
        ("{{sale}}", "S-1"),
        ("{{- sale -}}", "S-1"),
        ("a {{ sale }} b {{ count }}", "a S-1 b 3"),
        ("{{ price }}", 19.99),
        ("{{ yes }}", True),
        ("{{ nothing }}", None),
        ("{{ items }}", [1, "b", {"c": None}]),
        ("<{{ yes }}{{ nothing }}{{ items }}>", '<true[1,"b",{"c":null}]>'),
        ("{{ price }}\n", "19.99\n"),
        ("{{ price * count }}", 59.97),
        ("{{ 0.1 + 0.2 }}", 0.3),
        ("{{ count + 1 }}", 4),
        ("{{ -count }}", -3),
        ("{{ 7 // 2 }}", 3),
        ("{{ -7 // 2 }}", -4),
        ("{{ -7 % 3 }}", 2),
        ("{{ 10 / 4 }}", 2.5),
        ("{{ count > 2 }}", True),
        ("{{ 1 < count < 3 }}", False),
        ("{{ 'S' in sale and not nothing }}", True),
        ("{{ 'many' if count > 2 else 'few' }}", "many"),
        ("{{ sale ~ '-' ~ count }}", "S-1-3"),
        ("{{ '{{' }}", "{{"),
        ("{{ '}}' }} {{ sale }}", "}} S-1"),
        ("""{{ "'" ~ '}}' }} {{ sale }}""", "'}} S-1"),
        (r"{{ '\'}}' }} {{ sale }}", "'}} S-1"),
        ("{{ [count, sale] | join('/') }}", "3/S-1"),
        ("{{ price | money }}", "19.99"),
        ("{{ count | money('$') }}", "$3.00"),
        ("{{ (0 - price) | money('$') }}", "-$19.99"),
        ("{{ 2.675 | round(2) }}", 2.68),
        ("{{ 2.5 | round }}", 3),
        ("{{ '12.50' | number }}", 12.5),
        ("{{ '12' | number + 1 }}", 13),
        ("{{ day | date('%d %B %Y') }}", "01 March 2026"),
        ("{{ day | date('%-d/%-m') }}", "1/3"),
        ("{{ day | days(-1) }}", "2026-02-28"),
        ("{{ sale | lower }} {{ 'ab cd' | title }} {{ 'x' | upper }}", "s-1 Ab Cd X"),
        ("{{ hostile }}", VALUES["hostile"]),
        ("say {{ hostile }}", "say " + VALUES["hostile"]),
    ],
)
def test_what_a_template_gives(source: str, value: Any) -> None:
    found = compile_text(source).render(VALUES)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("{{ sale.__class__ }}", 1, "attribute access (`.__class__`)"),
        ("a\n{{ sale\n['x'] }}", 3, "item access"),
        ("{{ sale[1:] }}", 1, "item access"),
        ("{{ range(10) }}", 1, "calls (`…()`)"),
        ("{{ 2 ** 3 }}", 1, "`**`"),
        ("{{ sale is defined }}", 1, "tests (`is …`)"),
        ("{{ {'a': 1} }}", 1, "`dict`"),
        ("{{ (1, 2) }}", 1, "`tuple`"),
        ("x\n{% set a = 1 %}", 2, "statements"),
        ("{% raw %}{{ x }}{% endraw %}", 1, "statements"),
        ("a {{ sale", 1, "not a valid template"),
        ("a {# b", 1, "not a valid template"),
        ("a\n\n{{ sale | uper }}", 3, "unknown filter 'uper' (did you mean 'upper'?)"),
        ("{{ count if yes }}", 1, "needs an `else`"),
        ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", 1, "nested too deeply"),
        ("{{ " + "1 + " * 4_000 + "1 }}", 1, "nested too deeply"),
        ("{{ 99999999999999999999 }}", 1, "too large"),
        ("{{ sale }}" * 5_000, 1, "a template may hold 20,000 characters"),
        ("{{ }}", 1, "not a valid template"),
        ("{{ *count }}", 1, "not a valid template"),
        ("{{ sale | money(*items) }}", 1, "is not used like this"),
    ],
)
def test_what_a_template_may_not_say(source: str, line: int, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_text(source)
    assert message in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ 'a' * 1000000000 }}", "`*` is for numbers"),
        ("{{ items * 1000000000 }}", "a number is expected"),
        ("{{ '%1000000000d' % 1 }}", "`%` is for numbers"),
        ("{{ day | date('%1000000000d') }}", "is no date format"),
        ("{{ 9223372036854775807 * 9223372036854775807 }}", "too large"),
        ("{{ 1e300 * 1e300 }}", "too large"),
        ("{{ 1 / (count - 3) }}", "division by zero"),
        ("{{ 5 % 0 }}", "division by zero"),
        ("{{ 0 / 0 }}", "has no value"),
        ("{{ sale | money }}", "a number is expected, found 'S-1'"),
        ("{{ yes + 1 }}", "a number is expected, found True"),
        ("{{ sale | days(1) }}", "a date such as 2026-03-01 is expected"),
        ("{{ day | days(10000000) }}", "cannot be moved"),
        ("{{ price | round(1000000) }}", "places are from 0 to 12"),
        ("{{ price | money(1, 2, 3) }}", "the filter 'money' cannot be used like this"),
        ("{{ sale < count }}", "cannot be compared"),
        ("{{ 'nan' | number }}", "a number is expected"),
    ],
)
def test_what_cannot_be_filled_in(source: str, message: str) -> None:
    with pytest.raises(RenderError, match=re.escape(message)):
        compile_text(source).render(VALUES)


def test_texts_that_feed_on_each_other_stay_bounded() -> None:
    doubled = compile_text("{{ text }}{{ text }}")
    text = "ab"
    while len(text) <= 50_000:
        text = doubled.render({"text": text})
    with pytest.raises(RenderError, match="grows beyond 100,000 characters"):
        doubled.render({"text": text})


def test_structures_are_filled_in_keys_included() -> None:
    template = compile_data({"{{ sale }}": [{"p": "{{ price }}"}, 1, None], "fixed": {"a": [True]}})
    assert template.names == {"sale", "price"}
    assert template.render(VALUES) == {"S-1": [{"p": 19.99}, 1, None], "fixed": {"a": [True]}}
    assert compile_data({"a": [1, {"b": None}]}).constant


def test_keys_that_fall_together_are_an_error_rather_than_a_loss() -> None:
    with pytest.raises(RenderError, match="two keys are both 'S-1'"):
        compile_data({"{{ sale }}": 1, "S-1": 2}).render(VALUES)


def test_templates_are_found_with_their_place() -> None:
    found = list(texts({"a": ["x", "{{ y }}"], "{{ z }}": 1}, ("top",)))
    assert found == [(("top", "a", 1), "{{ y }}"), (("top", "{{ z }}"), "{{ z }}")]


def test_regular_expressions_take_values_literally() -> None:
    template = compile_text(RegexText("^{{ text }}[0-9]{3}$"))
    assert re.search(template.render({"text": "a.b(c"}), "a.b(c123")
    assert not re.search(template.render({"text": "a.b"}), "axb123")
    assert regex_sample("^{{ text }}[0-9]{3}$") == "^x[0-9]{3}$"


def test_a_path_keeps_its_parts() -> None:
    template = compile_text(PathText("sales/{{ sale }}/status"))
    assert template.render(VALUES) == "sales/S-1/status"
    with pytest.raises(RenderError, match="would split the path"):
        template.render({"sale": "a/b"})


@pytest.mark.slow
@given(st.text())
def test_a_value_comes_out_as_it_went_in(text: str) -> None:
    """Whatever a value holds, templates included, it is not read again."""
    assert compile_text("{{ x }}").render({"x": text}) == text
    assert compile_text("a {{ x }} b {{ x }}").render({"x": text}) == f"a {text} b {text}"
    assert compile_text("{{ x ~ '!' }}").render({"x": text}) == f"{text}!"


@given(st.text())
def test_any_value_matches_itself_in_a_pattern(text: str) -> None:
    assert re.fullmatch(compile_text(RegexText("<{{ x }}>")).render({"x": text}), f"<{text}>")


@given(st.text(alphabet="{}%#|x.()[]*+'\" \n~ab1", max_size=40))
def test_no_template_crashes_or_reaches_out(source: str) -> None:
    try:
        template = compile_text(source)
    except TemplateError:
        return
    with contextlib.suppress(RenderError):
        rendered = template.render(dict.fromkeys(template.names, 1))
        assert isinstance(rendered, str | int | float | list | None), "a template gives plain values only"
