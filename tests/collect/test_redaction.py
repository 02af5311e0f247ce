"""An exchange as it may be written: nothing of a person or a secret in it, and whole in all else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.collect import redaction
from agentkit.collect.pseudonym import pseudonym
from agentkit.collect.redaction import PLACEHOLDER, Redactor
from agentkit.config import CollectSettings
from agentkit.errors import ConfigError
from agentkit.records import ConversationId
from tests.collect.captured import make_exchange

ONE, TWO = ConversationId("one"), ConversationId("two")


@pytest.fixture(scope="module")
def redactor(tmp_path_factory: pytest.TempPathFactory) -> Redactor:
    return Redactor(CollectSettings(folder=str(tmp_path_factory.mktemp("collect"))))


def test_a_value_keeps_its_number_throughout_a_conversation(redactor: Redactor) -> None:
    texts = ["I am Anna@example.org", 'wrote to "anna@example.org"', "bob@example.org"]
    first, second, other = (PLACEHOLDER.findall(redactor.text(text, ONE)) for text in texts)
    assert first == second != other
    assert [kind for kind, _ in (*first, *other)] == ["email", "email"]
    again = Redactor(CollectSettings(folder=str(redactor._folder)))
    assert PLACEHOLDER.findall(again.text(texts[1], ONE)) == first, "in whichever process"
    assert PLACEHOLDER.findall(redactor.text(texts[0], TWO)) != first, "in this conversation alone"


def test_arguments_and_answers_stay_json(redactor: Redactor) -> None:
    arguments = '{"to": "a \\"quoted\\" anna@example.org", "phone": 4155552671, "card": 4111111111111111, "n": 1.50}'
    clean = json.loads(redactor.text(arguments, ONE))
    assert re.fullmatch(r'a "quoted" \[email \d+\]', clean["to"])
    assert re.fullmatch(r"\[phone \d+\]", clean["phone"])
    assert re.fullmatch(r"\[card \d+\]", clean["card"])
    assert clean["n"] == 1.5
    untouched = '{"sale_id":  "S-10234", "price": 1.50, "big": 12345678901234567890123}'
    assert redactor.text(untouched, ONE) == untouched, "to the letter"
    assert "[email" in redactor.text('{"broken": "anna@example.org', ONE)
    assert "anna" not in redactor.text('{"anna@example.org": [1]}', ONE)
    assert redactor.text("[" * 100_000, ONE) == "[" * 100_000


def test_secrets_go_too(redactor: Redactor) -> None:
    assert redactor.text("use sk-abcdefghijklmnop1234567890", ONE) == "use [redacted]"
    arguments = (
        '{"user":"anna","password":"hunter2!","pin":{"accessToken":["9f3c",1234]},"expires":3600,"api_key":null}'
    )
    clean = {"user": "anna", "password": "[redacted]", "pin": {"accessToken": ["[redacted]"] * 2}}
    assert json.loads(redactor.text(arguments, ONE)) == clean | {"expires": 3600, "api_key": None}
    headers = {"Set-Cookie": ["sid=abc; Path=/", "b=c"], "cookie": "chocolate chip", "Cookie": "session=abc"}
    clean = {"Set-Cookie": ["[redacted]"] * 2, "cookie": "chocolate chip", "Cookie": "[redacted]"}
    assert redactor.value(headers, ONE) == clean
    schema = {"properties": {"password": {"type": "string"}, "next_page_token": {"default": "a"}}, "token": "Hello"}
    assert redactor.value(schema, ONE) == schema


@pytest.mark.parametrize(
    "text",
    [
        "_anna@example.org_",
        "anna@example.org-thanks",
        "\u8bf7\u53d1\u5230anna@example.com\u5e76\u572824\u5c0f\u65f6\u5185\u56de\u590d",
        "\u6211\u7684\u7535\u8bdd\u662f+8613812345678\u8bf7\u56de\u7535",
        "_+14155552671_",
    ],
)
def test_words_may_run_on(redactor: Redactor, text: str) -> None:
    clean = redactor.text(text, ONE)
    assert PLACEHOLDER.search(clean)
    assert not re.search(r"anna|example|138|415", PLACEHOLDER.sub("", clean))


@pytest.mark.parametrize("text", ["Data: 12 marzo, ore 10, per due", 'data: {"a":1,"b":2}', "Data:12/03, ore 10"])
def test_a_line_that_begins_with_data_is_no_file(redactor: Redactor, text: str) -> None:
    assert redactor.value({"content": text}, ONE) == {"content": text}


def test_files_are_not_kept(redactor: Redactor) -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBOR" * 1000}},
        {"type": "input_audio", "input_audio": {"data": "UklGR" * 1000, "format": "wav"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
    ]
    clean = redactor.value(content, ONE)
    assert clean[0]["image_url"]["url"] == "[file: image/png, 5022 characters]"
    assert clean[1]["input_audio"] == {"data": "[file: unknown type, 5000 characters]", "format": "wav"}
    assert clean[2] == content[2]


def test_the_user_is_named_nowhere(redactor: Redactor) -> None:
    request = {
        "messages": [],
        "user": "Anna Miller",
        "safety_identifier": "Anna Miller",
        "metadata": {"user": "Anna Miller", "consent": "yes", "conversation_id": "Anna Miller's", "shop": 7},
    }
    clean = redactor.exchange(make_exchange(request=request, user=None, error="Anna at anna@example.org failed"))
    assert clean.user == pseudonym("Anna Miller", redactor._folder)
    assert clean.request == {"messages": [], "metadata": {"shop": 7}}
    assert "anna@" not in (clean.error or "")
    known = replace(make_exchange(), user=clean.user)
    assert redactor.exchange(known).user == clean.user
    raw = replace(make_exchange(), user="Anna Miller")
    assert redactor.exchange(raw).user == clean.user
    assert redactor.exchange(replace(make_exchange(), user=None)).user is None


def test_tools_are_redacted_however_often_they_come(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_MOST_TOOLS", 3)
    for place in range(5):
        plain = [{"function": {"name": f"find_{place}", "description": "Finds."}}]
        secret = [{"function": {"name": f"find_{place}", "description": "Ask anna@example.org"}}]
        for _ in range(2):
            clean = redactor.exchange(make_exchange(request={"messages": [], "tools": plain}))
            assert clean.request["tools"] == plain
            clean = redactor.exchange(make_exchange(request={"messages": [], "tools": secret}))
            assert PLACEHOLDER.search(clean.request["tools"][0]["function"]["description"])
    odd = redactor.exchange(make_exchange(request={"tools": {"n": 2**70, "a": "anna@example.org"}}))
    assert "anna" not in str(odd.request)


def test_tools_that_are_clean_are_read_once(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    value = redactor.value
    monkeypatch.setattr(redactor, "value", lambda it, of: read.append(it) or value(it, of))  # type: ignore[func-returns-value]
    tools = [{"function": {"name": "find", "description": "word " * 30_000}}]
    for _ in range(2):
        assert redactor.exchange(make_exchange(request={"tools": tools})).request["tools"] == tools
    assert read.count(tools) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_redacting_what_is_redacted_changes_nothing(redactor: Redactor, value: Any) -> None:
    once = redactor.value(value, ONE)
    assert redactor.value(once, ONE) == once


@settings(max_examples=60, deadline=None)
@given(
    before=st.text(st.characters(exclude_categories=["Cs", "L", "M", "N", "P", "S"]), max_size=10),
    name=st.from_regex(r"[a-z]{1,10}", fullmatch=True),
    inside=st.booleans(),
)
def test_an_address_never_passes(redactor: Redactor, before: str, name: str, inside: bool) -> None:
    address = f"{name}@example.org"
    text = json.dumps({"a": [before + address]}) if inside else before + address
    assert address not in redactor.text(text, ONE)


def test_pseudonyms_are_keyed_and_stable(tmp_path: Path) -> None:
    first, second = pseudonym("Anna", tmp_path / "a"), pseudonym(" Anna ", tmp_path / "a")
    assert first == second
    assert re.fullmatch(r"user-[0-9a-f]{32}", first)
    assert pseudonym("anna", tmp_path / "a") != first
    assert pseudonym("Anna", tmp_path / "b") != first, "another project's secret"
    assert pseudonym(first, tmp_path / "a") != first, "who calls himself so is not the other"
    assert pseudonym("Zoe\u0301", tmp_path / "a") == pseudonym("Zo\u00e9", tmp_path / "a")
    secret = tmp_path / "a" / "secret.key"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert [it.name for it in secret.parent.iterdir()] == ["secret.key"]


def test_a_secret_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_bytes(b"short")
    (tmp_path / "secret.key").chmod(0o600)
    with pytest.raises(ConfigError, match="found 5 bytes, expected the 32 that were made"):
        pseudonym("Anna", tmp_path)
    with pytest.raises(ConfigError, match="the secret of pseudonyms cannot be read or made"):
        pseudonym("Anna", tmp_path / "secret.key" / "below")
