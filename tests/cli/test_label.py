"""`agentkit label` as a user runs it."""

from __future__ import annotations

import signal
import socket
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import orjson
import pytest

from agentkit.records import FeedbackKind, Source
from agentkit.store import Store
from tests.cli.conftest import COMMAND, Cli
from tests.collect.feedback.talks import said
from tests.web.label.conftest import captured, refunds


def fill(url: str) -> None:
    better = {"role": "assistant", "content": "You get 59.90 back on your card."}
    now = captured("x", "x", "x").at
    with Store.open(url) as store:
        store.add_exchanges(refunds(2))
        for by, value in (("ann", 0.0), ("bob", 1.0)):
            store.add_feedback(said("c0", value, response="r0.refund", source=Source.EXPERT, by=by, at=now))
        store.add_feedback(
            said("c1", 0.0, response="r1.say_amount", source=Source.EXPERT, kind=FeedbackKind.CORRECTION,
                 answer=better, at=now)
        )  # fmt: skip
        store.add_feedback(said("c1", 1.0, response="r1.refund", at=now))


@pytest.mark.slow
def test_it_prints_its_address_answers_and_ends_cleanly(tmp_path: Path) -> None:
    arguments = ["label", "--port", "0", "--no-open", "--expert", "ann"]
    with subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stdout=-1, stderr=-1, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[0]
            assert url.startswith("http://127.0.0.1:")
            assert "Nothing is open for you" in httpx.get(url, trust_env=False).text
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, rest.strip(), errors) == (0, "", "")


def test_what_cannot_be_done_says_why(bare: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = bare("label", "--port", port, "--no-open")
    assert done.returncode == 2
    assert f"error: --port: 127.0.0.1:{port} cannot be used: Address already in use" in done.stderr
    done = bare("label", "--expert", "<b>", "--no-open")
    assert done.returncode == 2
    assert "error: expert: found '<b>', expected 1 to 64 letters" in done.stderr
    done = bare("label", "export", "-o", "rows.jsonl")
    assert done.returncode == 2
    assert "expected --kto" in done.stderr
    done = bare("label", "export", "--dpo", "-o", "rows.jsonl")
    assert (done.returncode, done.stderr) == (3, "error: no row for dpo: 0 answers were judged\n")
    assert not (tmp_path / "rows.jsonl").exists()


def test_status_and_export_tell_what_the_labels_hold(bare: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    fill(url)
    (tmp_path / "pyproject.toml").write_text("[tool.agentkit.label]\nsecond_share = 1.0\n")
    done = bare("label", "status", "--store", url, "--json", "status.json")
    assert done.returncode == 0
    assert "labels of the last 30 days: ann 1, bob 1, expert 1" in done.stdout
    assert "experts with each other: kappa 0.00 (" in done.stdout
    assert "0 of 1 pair agree" in done.stdout
    assert "experts with the judge: nothing to compare yet" in done.stdout
    status = orjson.loads((tmp_path / "status.json").read_bytes())
    assert (status["experts"]["n"], status["drift"]) == (1, {"fell": False, "windows": []})
    done = bare("label", "--store", url, "export", "--kto", "-o", "kto.jsonl")
    assert done.stdout == "kto.jsonl: 3 rows of 3 judged answers; left out: 1 split\n"
    rows = [orjson.loads(line) for line in (tmp_path / "kto.jsonl").read_bytes().splitlines()]
    assert [row["label"] for row in rows] == [True, False, True]
    done = bare("label", "export", "--dpo", "--step", "say_amount", "-o", "dpo.jsonl", "--store", url)
    (row,) = [orjson.loads(line) for line in (tmp_path / "dpo.jsonl").read_bytes().splitlines()]
    assert row["chosen"] == [{"role": "assistant", "content": "You get 59.90 back on your card."}]
    assert row["rejected"] == [{"role": "assistant", "content": "You get 59.90 back for S-1, in cash."}]
    assert [tool["function"]["name"] for tool in row["tools"]] == ["find_sale", "refund"]
    done = bare("label", "export", "--kto", "--experts", "-o", "kto.jsonl", "--store", url)
    assert done.stdout == "kto.jsonl: 2 rows of 2 judged answers; left out: 1 split\n"


def test_rewards_are_held_against_what_people_say(bare: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    (tmp_path / "rewards").mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.agentkit]\n")
    for name, score in (("short", "1 / (1 + len(step.reply))"), ("long", "1 - 1 / (1 + len(step.reply))")):
        source = f'@reward(points=1)\ndef {name}(step: RewardStep) -> float:\n    """Length."""\n    return {score}\n'
        (tmp_path / "rewards" / f"{name}.py").write_text(f"from agentkit.grade import RewardStep, reward\n\n\n{source}")
    none = bare("label", "rewards", "--rubric", "short", "--store", url)
    assert none.returncode == 3
    assert "0 answers were judged" in none.stderr
    fill(url)
    good = bare("label", "rewards", "--rubric", "short", "--store", url)
    assert good.returncode == 0, good.stderr
    assert good.stdout == "short: 1 pairs of answers, 100% in people's order (21% to 100%); 0 tied, 0 without reward\n"
    bad = bare("label", "rewards", "--rubric", "long", "--store", url, "--json", "found.json")
    assert bad.returncode == 1
    assert "r1.say_amount: 'You get 59.90 back for S-1, in cash.' gets 0.97, the better" in bad.stdout
    assert orjson.loads((tmp_path / "found.json").read_bytes())["misordered"] == 1


def test_a_judge_reads_a_share_and_says_what_it_found(bare: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    fill(url)
    done = bare("label", "judge", "--store", url)
    assert (done.returncode, done.stderr) == (2, "error: label judge: no judge is configured ([tool.agentkit.judge])\n")

    ways: set[tuple[float, int]] = set()

    def answer(server: BaseHTTPRequestHandler) -> None:
        asked = orjson.loads(server.rfile.read(int(server.headers["Content-Length"])))
        ways.add((asked["temperature"], asked["max_tokens"]))
        last = orjson.loads(asked["messages"][-1]["content"])["conversation"][-1]["said"]
        verdict = {"reason": "it says how", "quotation": last[:20], "passed": "cash" not in last}
        message = {"role": "assistant", "content": orjson.dumps(verdict).decode()}
        body = orjson.dumps({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        server.send_response(200)
        server.send_header("Content-Type", "application/json")
        server.send_header("Content-Length", str(len(body)))
        server.end_headers()
        server.wfile.write(body)

    handler = type("Handler", (BaseHTTPRequestHandler,), {"do_POST": answer, "log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        table = f'[tool.agentkit.judge]\nmodel = "llm"\nbase_url = "http://127.0.0.1:{server.server_port}/v1"\n'
        (tmp_path / "pyproject.toml").write_text(table + "retry_for = 0\n")
        done = bare("label", "judge", "--store", url, "--share", "1")
        again = bare("label", "judge", "--store", url, "--share", "1")
        assert ways == {(0.0, 400)}
        (tmp_path / "pyproject.toml").write_text(table + "retry_for = 0\ntemperature = 0.5\nmax_tokens = 90\n")
        otherwise = bare("label", "judge", "--store", url, "--share", "1")
        assert ways == {(0.0, 400), (0.5, 90)}
        server.shutdown()
    told = "answers read of 2 conversations: {} right, {} wrong, 0 undecided, 0 could not be asked about\n"
    assert done.stdout == "4 " + told.format(2, 2)
    assert again.stdout == "0 " + told.format(0, 0)
    assert otherwise.stdout == done.stdout, "asked in another way, it is another judgement"
    with Store.open(url) as store:
        store.add_exchanges([captured("new", "new", "x")])
        assert len(store.feedback(source=Source.JUDGE)) == 8
    gone = bare("label", "judge", "--store", url, "--share", "1")
    assert (gone.returncode, gone.stderr) == (3, "error: the judge llm could not be asked about any of 1 answers\n")
