"""Files that are no traces, or not whole."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentkit.cli import main
from agentkit.errors import UsageError
from agentkit.ingest.otel import read_otel
from agentkit.scenario import load
from agentkit.store import Store
from tests.ingest.trace_files import DATA, SHOP, chat, played, request, span

A, B = "a" * 32, "b" * 32
HELLO = [("user", "hello")]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`agentkit import otel`, as a user runs it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTKIT_STORE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["agentkit", "import", "otel", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        return (int(stop.value.code or 0), *capfd.readouterr())

    return run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it holds no span"),
        (b"hello\n", "traces:1: not OTLP in JSON"),
        (b"\xff\xfe\x00\n", "traces:1: not OTLP in JSON"),
        (b"SQLite format 3\0" + bytes(5_000), "traces:1: not OTLP in JSON"),
        (b"[1, 2]\n", "traces:1: expected an object with resourceSpans or resourceLogs"),
        (b'{"name": "x", "version": 1}\n', "found an object with name, version"),
        (b'{"resourceSpans": 7}\n', "expected an object with resourceSpans"),
        (b'{"resourceSpans": [7, {"scopeSpans": [null, {"spans": ["x"]}]}]}\n', "it holds no span"),
        (request(span(A, "a" * 16)), "none of its 1 spans is a request to a model"),
        (request(span(A, "a" * 16, gen_ai__operation__name="chat")), "1 requests to a model were recorded without"),
    ],
    ids=["empty", "text", "utf-16", "sqlite", "list", "package.json", "number", "holes", "no request", "no content"],
)
def test_nothing_to_import(imports: Run, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "traces").write_bytes(content)
    code, out, err = imports("traces")
    assert code == 2
    assert out == ""
    assert "nothing was imported" in err
    assert message in err
    assert "Traceback" not in err


def test_there_is_no_such_file_or_service(imports: Run, tmp_path: Path) -> None:
    code, _, err = imports("traces.jsonl")
    assert (code, "there is no such file" in err) == (2, True)
    (tmp_path / "t").write_bytes(request(chat(A, "a" * 16, HELLO, "hi"), service="shop"))
    code, _, err = imports("t", "--service", "shops")
    assert code == 2
    assert "no traces of 'shops' are in this file (did you mean 'shop'?)" in err


def test_a_line_that_is_cut_off_leaves_what_is_whole(imports: Run, tmp_path: Path) -> None:
    first, second = request(chat(A, "a" * 16, HELLO, "hi")), request(chat(B, "b" * 16, [("user", "x")], "y"))
    (tmp_path / "t").write_bytes(first + second[:-40])
    code, out, err = imports("t")
    assert code == 1
    assert "1 trial of 1 scenario" in out
    assert "t:2: not JSON" in err
    assert "it was cut off" in err
    (tmp_path / "t").write_bytes(first + second)
    code, out, _ = imports("t")
    assert code == 0
    assert "2 trials of 1 scenario, 1 of them new" in out
    code, out, _ = imports("t")
    assert (code, "nothing is new" in out) == (0, True)


def without_roots(line: str) -> str:
    """A line of our own traces, without the spans that hold the others."""
    document = json.loads(line)
    for scope in (it for resource in document["resourceSpans"] for it in resource["scopeSpans"]):
        scope["spans"] = [it for it in scope["spans"] if it.get("parentSpanId")]
    return json.dumps(document)


@pytest.mark.parametrize("broken", [0, 1])
def test_a_run_without_a_whole_trial_beside_one_that_is_whole_is_told(
    imports: Run, tmp_path: Path, broken: int
) -> None:
    lines: dict[str, list[str]] = {"traces.jsonl": [], "logs.jsonl": []}
    runs = []
    for number in range(2):
        with Store.open(f"sqlite:///{tmp_path}/{number}.db") as store:
            runs.append(asyncio.run(played(store, tmp_path / str(number), load([SHOP]), trials=2)))
        for name, found in lines.items():
            own = (tmp_path / str(number) / name).read_text().splitlines()
            found += map(without_roots, own) if number == broken and name == "traces.jsonl" else own
    (tmp_path / "both").mkdir()
    for name, found in lines.items():
        (tmp_path / "both" / name).write_text("\n".join([*found, ""]))
    code, out, err = imports("both")
    assert code == 1
    assert out.count("see them") == 1
    assert "a part of it was not imported" in err
    assert err.count("its root span is missing") == runs[broken].planned
    code, _, err = imports("both", "--service", runs[1 - broken].id)
    assert (code, err) == (0, "")
    code, _, err = imports("both", "--service", runs[broken].id)
    assert (code, "nothing was imported" in err) == (2, True)
    with (tmp_path / "both" / "traces.jsonl").open("a") as file:
        file.write("no JSON\n{}\n")
    code, out, err = imports("both", "--json", "-")
    assert code == 1
    assert "not OTLP in JSON" in err or "not JSON" in err
    assert len(json.loads(out)["problems"]) > runs[broken].planned


def test_a_conversation_that_the_cut_went_through_is_left_out(tmp_path: Path) -> None:
    inside = chat(A, "a" * 16, HELLO, "hi", parent="f" * 16)  # its parent would have come later
    whole = chat(B, "b" * 16, [("user", "x")], "y")
    (tmp_path / "t").write_bytes(request(inside) + request(whole) + b'{"resourceSp')
    (imported,) = read_otel(tmp_path / "t")
    assert [trial.messages[0].content for trial in imported.trials] == ["x"]
    assert [problem.field for problem in imported.problems] == ["", f"conversation {A}"]
    (tmp_path / "t").write_bytes(request(inside) + request(whole))
    assert len(read_otel(tmp_path / "t")[0].trials) == 2  # a parent in another service's file is no cut


def test_one_broken_line_among_others(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(
        request(chat(A, "a" * 16, HELLO, "hi")) + b"\xc3\x28\n" + request(chat(B, "b" * 16, [("user", "x")], "y"))
    )
    (imported,) = read_otel(tmp_path / "t")
    assert [(problem.line, len(imported.trials)) for problem in imported.problems] == [(2, 2)]


def test_spans_without_ids_and_clocks_at_zero(tmp_path: Path) -> None:
    homeless = chat("", "a" * 16, HELLO, "lost")
    zeros = chat("0" * 32, "a" * 16, HELLO, "lost")
    timeless = {**chat(A, "a" * 16, HELLO, "hi"), "startTimeUnixNano": "0", "endTimeUnixNano": 0}
    later = {**chat(B, "b" * 16, [("user", "x")], "y"), "startTimeUnixNano": "9" * 30, "endTimeUnixNano": None}
    (tmp_path / "t").write_bytes(request(homeless, zeros, timeless, later))
    (imported,) = read_otel(tmp_path / "t")
    assert [problem.line for problem in imported.problems] == [1, 1]
    assert "has no trace id" in imported.problems[0].message
    assert [(trial.started_at, trial.duration) for trial in imported.trials] == [
        ("1970-01-01T00:00:00.000+00:00", 0.0),
        ("1970-01-01T00:00:00.000+00:00", 0.0),
    ]


@pytest.mark.parametrize("name", ["openinference-openai.jsonl", "traceloop_old-openai.jsonl", "traceloop-openai.jsonl"])
def test_attributes_of_other_types_break_nothing(name: str, tmp_path: Path) -> None:
    """Every attribute in turn becomes a number, a list, nothing: it may cost the conversation, never the import."""
    document = json.loads((DATA / name).read_text())
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for place in range(len(spans[1]["attributes"])):
        for odd in ({"intValue": "7"}, {"arrayValue": {"values": [{"stringValue": "[["}]}}, {}, {"boolValue": True}):
            pair = spans[1]["attributes"][place]
            kept, pair["value"] = pair["value"], odd
            (tmp_path / "t").write_text(json.dumps(document))
            assert 1 <= len(read_otel(tmp_path / "t")[0].trials) <= 3
            pair["value"] = kept


def test_many_spans(tmp_path: Path) -> None:
    lines = []
    for number in range(2_000):
        more = [*HELLO, ("assistant", f"hi {number}"), ("user", f"again {number}")]
        trace = f"{number + 1:032x}"
        lines.append(
            request(
                chat(trace, f"{3 * number + 1:016x}", HELLO, f"hi {number}", session__id=f"s{number}"),
                chat(trace, f"{3 * number + 2:016x}", more, "yes", session__id=f"s{number}"),
            )
        )
    (tmp_path / "t").write_bytes(b"".join(lines))
    (imported,) = read_otel(tmp_path / "t")
    assert {len(trial.messages) for trial in imported.trials} == {4}
    assert len(imported.trials) == 2_000


def test_a_folder_without_traces(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_otel(tmp_path)
