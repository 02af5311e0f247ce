"""Secrets out, everything else as it was; and no line that takes for ever."""

import pytest

from agentkit.redact import REDACTED, is_secret_name, redact, redact_mapping

LONG = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


TAKEN_OUT = pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key sk-{LONG} is bad", f"key {REDACTED} is bad"),
        (f"sk-proj-{LONG}_x-{LONG}.", f"{REDACTED}."),
        (f"gsk_{LONG}", REDACTED),
        (f"hf_{LONG},", f"{REDACTED},"),
        (f"ghp_{LONG}", REDACTED),
        (f"github_pat_{LONG}", REDACTED),
        ("AKIAIOSFODNN7EXAMPLE", REDACTED),
        (f"AIza{LONG[:35]}", REDACTED),
        ("xoxb-123456789012-abcdef", REDACTED),
        (f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{LONG}", REDACTED),
        ("Authorization: Bearer token-abc123", f"Authorization: Bearer {REDACTED}"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", f"{{'authorization': 'Basic {REDACTED}'}}"),
        ("authorization=opaque-value", f"authorization={REDACTED}"),
        ("sent bearer abc123def456 twice", f"sent bearer {REDACTED} twice"),
        ("postgresql://me:p@ss@db:5432/kit", f"postgresql://{REDACTED}@db:5432/kit"),
        ("https://token@host/path", f"https://{REDACTED}@host/path"),
        ("GET /v1?key=abc&alt=json", f"GET /v1?key={REDACTED}&alt=json"),
        ("/v1?a=1&api_key=abc&b=2", f"/v1?a=1&api_key={REDACTED}&b=2"),
        ("https://h/b?sig=a%2Fb&se=2026", f"https://h/b?sig={REDACTED}&se=2026"),
        ('{"api_key": "a b c", "model": "m"}', f'{{"api_key": {REDACTED}, "model": "m"}}'),
        ("OPENAI_API_KEY=abc make", f"OPENAI_API_KEY={REDACTED} make"),
        ("client_secret: x; next", f"client_secret: {REDACTED}; next"),
        ("password=hunter2", f"password={REDACTED}"),
        ("GITHUB_TOKEN=abc", f"GITHUB_TOKEN={REDACTED}"),
        ('password="hunter2', f"password={REDACTED}"),
        ("password='open sesame\nnext", f"password={REDACTED}\nnext"),
        ('{"note": "password=\'hunter2", "n": "1"}', f'{{"note": "password={REDACTED}", "n": "1"}}'),
        (r'{"password": "ab\"cd\\", "user": "anna"}', f'{{"password": {REDACTED}, "user": "anna"}}'),
        (r"{\"password\": \"hunter2\", \"n\": \"1\"}", rf"{{\"password\": {REDACTED}, \"n\": \"1\"}}"),
        (r"{\"password\": \"a\\\"b\\\\\", \"n\": \"1\"}", rf"{{\"password\": {REDACTED}, \"n\": \"1\"}}"),
        (r'{"input": "{\"pin\": 1, \"password\": \"hun', rf'{{"input": "{{\"pin\": 1, \"password\": {REDACTED}'),
        (r'["{\"password\": \"hun", "a \"b\""]', rf'["{{\"password\": {REDACTED}", "a \"b\""]'),
        (r'"with \"password=hunter2\" in it"', rf'"with \"password={REDACTED}\" in it"'),
        ("Cookie: session=abc; theme=dark\nHost: a", f"Cookie: {REDACTED}\nHost: a"),
        ("Set-Cookie: sid=abc%2F; Path=/; HttpOnly", f"Set-Cookie: {REDACTED}"),
        ('curl -H \'Cookie: a="b"; c[d]="e"; f\' https://h', f"curl -H 'Cookie: {REDACTED}' https://h"),
        ("{'cookie': 'session=abc', 'x-team': 'a=b'}", f"{{'cookie': '{REDACTED}', 'x-team': 'a=b'}}"),
        (r'"{\"cookie\": \"session=abc\"}"', rf'"{{\"cookie\": \"{REDACTED}\"}}"'),
        (r"{\"Authorization\": \"Bearer abcd\"}", rf"{{\"Authorization\": \"Bearer {REDACTED}\"}}"),
    ],
)


@TAKEN_OUT
def test_a_secret_is_taken_out_and_what_stands_around_it_is_left(text, expected):
    assert redact(text) == expected


@TAKEN_OUT
def test_what_was_redacted_stays_as_it_is(text, expected):
    assert redact(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The customer wants a refund of $12.50 for sale 4711.",
        "risk-assessment-of-the-whole-department-2026",
        "sk-learn",
        "The bearer of this letter; bearer certificates",
        "Basic understanding, basic arithmetic",
        "max_tokens: 100, eos_token: </s>, 5 tokens: fine",
        "unexpected token: '}' at line 3",
        "https://host:8000/v1/chat/completions?api-version=2026-01",
        "write to till@shop.example, or see https://shop.example/@till",
        "a key to the door, the key=value form, sort_key=name",
        "call_3_0 chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "0af7651916cd43dd8448eb211c80319c",
        "cookie: a small cake; cookie policy: see /legal?a=b",
        '{"cookie": "chocolate", "session_cookie": "a=b"}',
        '{"label": "Your password: "}',
        r"{\"label\": \"Your password: \"}",
        "<input name=\"password\" title='Your password:'>",
    ],
)
def test_innocent_text_is_left_alone(text):
    assert redact(text) == text


def test_known_secrets_and_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("TILL_PASSWORD", "open sesame")
    monkeypatch.setenv("TILL_OTHER_KEY", "open sesame please")
    monkeypatch.setenv("TILL_TOKEN", "till")
    monkeypatch.setenv("TILL_COLOUR", "turquoise")
    monkeypatch.setenv("PGPASSWORD", "by the elephant")
    text = "say open sesame please, open sesame, by the elephant, turquoise, till, plain words"
    expected = f"say {REDACTED}, {REDACTED}, {REDACTED}, turquoise, till, {REDACTED}"
    assert redact(text, ["plain words", ""]) == expected


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "API-KEY",
        "X-Api-Key",
        "OPENAI_API_KEY",
        "STRIPE_KEY",
        "token",
        "HF_TOKEN",
        "accessToken",
        "client_secret",
        "password",
        "DB_PASSWD",
        "PGPASSWORD",
        "Authorization",
        "Proxy-Authorization",
        "cookie",
        "Set-Cookie",
        "credentials",
        "aws_secret_access_key",
    ],
)
def test_names_that_mean_a_secret(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "api_key_env",
        "key",
        "keys",
        "tokens",
        "max_tokens",
        "eos_token",
        "stop_token",
        "cache_key",
        "public_key",
        "sort_key",
        "model",
        "base_url",
        "monkey",
        "keyboard",
        "secretary",
        "tokenizer",
        "input_tokens",
    ],
)
def test_names_that_mean_none(name):
    assert not is_secret_name(name)


def test_names_of_variables_are_kept_and_what_is_none_is_not():
    settings = {
        "header_env": {"Authorization": "AGENT_TOKEN", "X-Api-Key": "Bearer abc", "X-Token": f"hf_{LONG}"},
        "world": {"env_from": {"AIRLINE_KEY": "MY_AIRLINE_KEY"}, "env": {"AIRLINE_KEY": "abc"}},
        "judge": [
            {"api_key_env": "MY_KEY"},
            {"api_key_env": "open-sesame"},
            {"api_key_env": None, "target_env": "a-b"},
        ],
    }
    assert redact_mapping(settings) == {
        "header_env": {"Authorization": "AGENT_TOKEN", "X-Api-Key": REDACTED, "X-Token": REDACTED},
        "world": {"env_from": {"AIRLINE_KEY": "MY_AIRLINE_KEY"}, "env": {"AIRLINE_KEY": REDACTED}},
        "judge": [{"api_key_env": "MY_KEY"}, {"api_key_env": REDACTED}, {"api_key_env": None, "target_env": "a-b"}],
    }


def test_settings_keep_their_shape_and_lose_their_secrets():
    settings = {
        "model": "m",
        "api_key_env": "OPENAI_API_KEY",
        "api_key": "abc",
        "token": None,
        "password": False,
        "pin": {"secret": 1234, "tries": 3},
        "headers": {"X-Api-Key": "abc", "x-team": "returns"},
        "urls": ["http://me:pw@host", ("http://host",)],
        "temperature": 0.0,
    }
    before = repr(settings)
    assert redact_mapping(settings) == {
        "model": "m",
        "api_key_env": "OPENAI_API_KEY",
        "api_key": REDACTED,
        "token": None,
        "password": False,
        "pin": {"secret": REDACTED, "tries": 3},
        "headers": {"X-Api-Key": REDACTED, "x-team": "returns"},
        "urls": [f"http://{REDACTED}@host", ["http://host"]],
        "temperature": 0.0,
    }
    assert repr(settings) == before


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "sk-",
        "-sk-",
        "eyJ",
        "eyJa.",
        "eyJaaaaaaaa.",
        "://",
        "://a",
        "://a:",
        "@",
        "bearer ",
        "bearer a",
        "Bearer",
        "authorization",
        "authorization: ",
        'authorization="',
        "api_key",
        "api_key=",
        'api_key="',
        "api_key='",
        "?key=",
        "?",
        "secret_",
        "token",
        "AKIA",
        "hf_",
        "xoxb-",
        "password:",
        'password="a\\',
        'password="a\\"',
        'password="}',
        "password='\"",
        'password=\\"',
        'password=\\"}',
        'password=\\"\\\\\\"',
        'password=\\"\\\\',
        'password=\\"a\\\\\\"b\\',
        "password=\\",
        "cookie: ",
        "cookie=",
        "cookie: a=",
        'cookie: a="',
        "cookie: a=b; ",
        "cookie: a=;",
        "\\",
    ],
)
def test_a_hostile_line_of_a_megabyte_is_read_in_one_go(piece):
    # With a pattern that reads the line again for each of its pieces this would take hours.
    line = f"x{piece * (2**20 // len(piece))}! sk-{LONG}"
    assert LONG not in redact(line)
