"""How the judge of `[tool.agentkit.judge]` is asked, told by one behind a real HTTP endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from agentkit.store import Store
from tests.cli.conftest import Cli

RUN = ("run", "--agent", "scripted:1", "--detours", "none", "--trials", "3")


class Bench:
    """An OpenAI-compatible endpoint that passes every answer, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(body)
                last = json.loads(body["messages"][-1]["content"])["conversation"][-1]["said"]
                verdict = json.dumps({"reason": "so it is", "quotation": last, "passed": True})
                message = {"role": "assistant", "content": verdict}
                answer = json.dumps({"choices": [{"message": message}], "model": "wise"}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def configure(self, project: Path, *lines: str, model: str = "wise") -> None:
        file = project / "pyproject.toml"
        before = file.read_text().partition("\n[tool.agentkit.judge]")[0]
        url = f"http://127.0.0.1:{self.server.server_port}/v1"
        told = ("[tool.agentkit.judge]", f'model = "{model}"', f'base_url = "{url}"', "retry_for = 0", *lines)
        file.write_text("\n".join((before, *told)) + "\n")

    def told(self) -> set[str]:
        """In which ways it was asked."""
        names = ("temperature", "top_p", "max_tokens", "seed")
        return {json.dumps({name: body[name] for name in names if name in body}) for body in self.asked}


@pytest.fixture
def bench(project: Path) -> Iterator[Bench]:
    file = project / "scenarios" / "orders" / "cancel.yaml"
    plain = 'reply: {mentions: ["{{ item }}"], asks: true}'
    text = file.read_text()
    assert plain in text
    file.write_text(text.replace(plain, plain.replace("asks: true", 'asks: true, judge: "Is it polite?"')))
    bench = Bench()
    Thread(target=bench.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield bench
    bench.server.shutdown()
    bench.server.server_close()


def test_it_is_asked_as_the_project_says(cli: Cli, project: Path, bench: Bench) -> None:
    bench.configure(project)
    assert cli(*RUN).returncode == 0
    assert bench.told() == {'{"temperature": 0.0, "max_tokens": 400}'}
    many = len(bench.asked)
    assert many > 0
    bench.configure(project, "temperature = 0.7", "top_p = 0.9", "max_tokens = 77", "extra_body = { seed = 3 }")
    done = cli("grade", "last", "--judge")
    assert done.returncode == 0, done.stderr
    assert len(bench.asked) == 2 * many, "what was said when asked otherwise is no answer to this"
    del bench.asked[:many]
    assert bench.told() == {'{"temperature": 0.7, "top_p": 0.9, "max_tokens": 77, "seed": 3}'}


def test_what_it_said_is_found_again_by_the_way_in_which_the_run_asked(cli: Cli, project: Path, bench: Bench) -> None:
    bench.configure(project, "temperature = 0.7", "extra_body = { seed = 3 }")
    assert cli(*RUN).returncode == 0
    assert bench.told() == {'{"temperature": 0.7, "max_tokens": 400, "seed": 3}'}
    many = len(bench.asked)
    bench.configure(project)
    done = cli("grade", "last")
    assert "every grade is what it was" in done.stdout, done.stderr
    bench.configure(project, "temperature = 0.7", "extra_body = { seed = 3 }")
    assert cli("grade", "last", "--judge").returncode == 0
    assert len(bench.asked) == many


def test_a_run_graded_again_says_who_judged_it_then(cli: Cli, project: Path, bench: Bench) -> None:
    bench.configure(project)
    assert cli(*RUN).returncode == 0
    bench.configure(project, "max_tokens = 90", model="stern")
    assert cli("grade", "last", "--judge").returncode == 0
    with Store.open(f"sqlite:///{project}/.agentkit/agentkit.db") as store:
        again, first = store.runs(2)
    assert first.settings["judge"]["model"] == "wise"
    assert (again.settings["judge"]["model"], again.settings["judge"]["max_tokens"]) == ("stern", 90)
    many = len(bench.asked)
    assert "every grade is what it was" in cli("grade", "last").stdout
    assert len(bench.asked) == many
