"""Simulated users on the command line, one of them behind a real HTTP endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.cli.conftest import Cli

Talk = Callable[[str], str]


class Talker:
    """An OpenAI-compatible endpoint whose model says what `talk` makes of the turn's own words."""

    def __init__(self) -> None:
        self.talk: Talk = lambda meaning: meaning
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked += 1
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                meaning = body["messages"][1]["content"].removeprefix("Rewrite this message:\n")
                message = {"role": "assistant", "content": outer.talk(meaning)}
                usage = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
                answer = json.dumps({"choices": [{"message": message}], "model": "tiny", "usage": usage}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self) -> Talker:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def talker(project: Path) -> Iterator[Talker]:
    """The endpoint, configured as the user `talker`."""
    with Talker() as talking:
        with (project / "pyproject.toml").open("a") as file:
            file.write(f'\n[tool.agentkit.users.talker]\nkind = "llm"\nmodel = "tiny"\nbase_url = "{talking.url}"\n')
            file.write("retry_for = 0\n\n[tool.agentkit.prices]\ntiny = { input = 1, output = 2 }\n")
        yield talking


RUN = ("run", "--agent", "scripted:1", "--detours", "none", "--trials", "3")


def test_a_user_behind_an_endpoint_plays_and_is_accounted_for(cli: Cli, project: Path, talker: Talker) -> None:
    talker.talk = lambda meaning: f"Hm. {meaning}"
    done = cli(*RUN, "--user", "talker", "--json", "out.json")
    assert done.returncode == 0, done.stderr
    document = json.loads((project / "out.json").read_text())
    turns = 2
    assert talker.asked == 3 * turns
    assert document["user"] == "talker"
    assert re.fullmatch("[0-9a-f]{16}", document["user_hashes"]["talker"])
    users = document["spent"]["users"]
    assert (users["calls"], users["input_tokens"], users["output_tokens"]) == (6, 300, 60)
    assert users["cost"] == pytest.approx(6 * 70e-6)
    assert "users: talker  6 of 6 model calls, 360 tokens, $0.0004" in done.stdout
    shown = cli("show", "last", "--trial", "0").stdout
    assert shown.count("user: Hm. ") == turns


@pytest.mark.slow
def test_recorded_words_are_said_again_without_the_endpoint(cli: Cli, talker: Talker) -> None:
    first = json.loads(cli(*RUN, "--user", "talker", "--json", "-").stdout)
    talker.__exit__()
    again = json.loads(cli(*RUN, "--user", "talker", "--replay-users", "--json", "-").stdout)
    assert again["steps"] == first["steps"]
    assert again["spent"]["users"]["calls"] == 0
    assert again["user_hashes"] == first["user_hashes"]
    missing = cli(*RUN, "--seed", "5", "--user", "talker", "--replay-users")
    assert missing.returncode == 2
    assert "nothing is recorded of what the user talker says here" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_a_users_faults_are_counted_and_shown_by_party(cli: Cli, talker: Talker) -> None:
    talker.talk = lambda meaning: meaning if talker.asked < 3 else "Goodbye."
    done = cli(*RUN, "--user", "talker", "--concurrency", "1")
    assert done.returncode == 0, done.stderr
    assert "2 invalid trials (user 2) count neither way" in done.stdout
    listed = cli("show", "last", "--invalid").stdout
    assert "user: the simulated user talker, in turn" in listed
    assert "after 3 tries: ends_early" in listed
    assert json.loads(cli("show", "last", "--json", "-").stdout)["invalid_by_party"] == {"user": 2}


@pytest.mark.slow
def test_an_endpoint_that_is_gone_is_nobodys_fault_but_its_own(cli: Cli, talker: Talker) -> None:
    talker.__exit__()
    done = cli(*RUN, "--user", "talker")
    assert done.returncode == 3
    assert "3 invalid trials (infrastructure 3)" in done.stdout


def test_a_run_goes_on_with_the_user_that_it_began_with(cli: Cli, talker: Talker) -> None:
    stopped = json.loads(cli(*RUN, "--user", "talker", "--max-calls", "3", "--json", "-").stdout)
    assert stopped["status"] == "stopped"
    assert stopped["spent"]["users"]["calls"] == 3
    whole = json.loads(cli("run", "--resume", "last", "--json", "-").stdout)
    assert whole["status"] == "finished"
    assert whole["spent"]["users"]["calls"] == talker.asked == 6  # what was recorded is not asked again
    assert cli("run", "--resume", "last", "--user", "talker").returncode == 2


def test_the_templated_user(cli: Cli) -> None:
    done = cli("run", "--user", "templated:chatty", "--agent", "scripted:1", "--trials", "6", "--json", "out.json")
    assert done.returncode == 0, done.stderr
    assert "users: templated:chatty" in done.stdout
    said = {re.sub(r"A-\d+", "…", line) for n in range(6) for line in _first_words(cli, n)}
    assert len(said) >= 4


def _first_words(cli: Cli, number: int) -> list[str]:
    shown = cli("show", "last", "--trial", f"orders/cancel/golden#{number}").stdout
    return [line for line in shown.splitlines() if line.startswith("user: ")][:1]


def test_a_scenario_and_a_suite_name_their_user(cli: Cli, project: Path) -> None:
    suite = project / "scenarios" / "orders" / "suite.yaml"
    suite.write_text(suite.read_text() + "\nuser: templated\n")
    assert set(json.loads(cli(*RUN, "--json", "-").stdout)["user_hashes"]) == {"templated"}
    assert json.loads(cli(*RUN, "--user", "scripted", "--json", "-").stdout)["user_hashes"] == {}
    scenario = project / "scenarios" / "orders" / "cancel.yaml"
    scenario.write_text("user: templated:formal\n" + scenario.read_text())
    assert set(json.loads(cli(*RUN, "--json", "-").stdout)["user_hashes"]) == {"templated:formal"}


@pytest.mark.parametrize(
    ("arguments", "setting", "said"),
    [
        (["--user", "templatd"], "", "did you mean 'templated'"),
        (["--user", "templated:tired"], "", "found the style 'tired', expected 'plain'"),
        (["--user", "x"], "[tool.agentkit.users.x]\nkind = 'llm'", "user x: `model` is missing"),
        (["--user", "x"], "[tool.agentkit.users.x]\nkind = 'lm'", "expected a kind of user (did you mean 'llm'?)"),
        ([], "[tool.agentkit.users.x]\nkind = 'llm'\nmodel = 'm'\ntrys = 1", "did you mean 'tries'"),
        ([], "[tool.agentkit.users.x]\nkind = 'llm'\ntries = -1", "users.x.llm.tries: found -1"),
        (["--user", "x"], "[tool.agentkit.users.x]\nkind='llm'\nmodel='m'\napi_key_env='NO_KEY_X'", "NO_KEY_X"),
        ([], "[tool.agentkit.users.x]\nkind = 'templated'\nstyle = 'polit'", "users.x.templated.style: found 'polit'"),
    ],
)
def test_a_mistake_about_users(cli: Cli, project: Path, arguments: list[str], setting: str, said: str) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write(f"\n{setting}\n")
    done = cli("run", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
