"""The router with the real store, route table, capture and feedback behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from agentkit.config.serving import CanarySettings
from agentkit.serve.canary import CanaryVerdict, look
from agentkit.serve.keys import new_key
from agentkit.serve.routes import newest
from tests.serve.canary.traffic import play
from tests.serve.router.kept import Real, real_world


@pytest.mark.slow
def test_an_exchange_is_in_the_store_redacted(real: Real) -> None:
    said = "I am carol@example.com, my key is sk-abcdefghijklmnop1234"
    answer = real.chat(messages=[{"role": "user", "content": said}], user="carol@example.com")
    kept = real.kept(answer.json()["id"])
    assert kept.key == "alice"
    assert kept.user.startswith("user-")
    assert "carol" not in str(kept)
    assert "sk-abc" not in str(kept)
    assert kept.response == {"role": "assistant", "content": "All is well."}


@pytest.mark.slow
def test_feedback_that_is_quicker_than_the_store(real: Real) -> None:
    response = real.chat().json()["id"]
    assert real.post("alice", "/v1/feedback", response=response, thumb="up").status_code == 200


@pytest.mark.slow
def test_feedback_of_ones_own_responses_alone(real: Real) -> None:
    response = real.chat(metadata={"conversation_id": "judged"}).json()["id"]
    real.kept(response)
    mine = {"id": "f1", "response": response, "thumb": "down", "comment": "rude"}
    first = real.post("alice", "/v1/feedback", **mine)
    assert first.status_code == 200, first.text
    assert real.post("alice", "/v1/feedback", **mine).json() == first.json(), "replayed"
    other = real.post("alice", "/v1/feedback", **mine | {"thumb": "up"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    theirs = real.post("bob", "/v1/feedback", response=response, thumb="up")
    nobodys = real.post("bob", "/v1/feedback", response="chatcmpl-0", thumb="up")
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json() == nobodys.json(), "whether it is there is not told"
    assert real.post("alice", "/v1/feedback", thumb="sideways", response=response).status_code == 400
    assert len(real.store.feedback(conversation="judged")) == 1


@pytest.mark.slow
def test_routes_are_changed_for_new_conversations(real: Real) -> None:
    before = real.chat(metadata={"conversation_id": "old"})
    assert before.headers["x-agentkit-target"] == "base"
    made = real.post(
        "root", "/v1/admin/routes", action="set", agent="pos", step="refund", target="frontier", why="it is better"
    )
    assert made.status_code == 200, made.text
    assert (made.json()["by"], made.json()["why"]) == ("root", "it is better")
    number = str(made.json()["number"])
    new = real.chat(metadata={"conversation_id": "new"})
    assert (new.headers["x-agentkit-target"], new.headers["x-agentkit-revision"]) == ("frontier", number)
    assert real.chat(metadata={"conversation_id": "old"}).headers["x-agentkit-target"] == "base", "pinned"
    kept = real.kept(new.json()["id"])
    assert (kept.revision, str(kept.target)) == (int(number), "frontier")
    back = real.post("root", "/v1/admin/routes", action="rollback", why="it is dearer")
    assert back.status_code == 200
    assert real.chat(metadata={"conversation_id": "newer"}).headers["x-agentkit-target"] == "base"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "action: found None"),
        ({"action": "destroy", "why": "x", "agent": "a", "step": "b"}, 400, "action: found 'destroy'"),
        ({"action": "set", "why": "x", "agent": "a", "step": "b", "target": "frontie"}, 400, "frontier"),
        ({"action": "set", "why": "", "agent": "a", "step": "b", "target": "base"}, 400, "why: found ''"),
        ({"action": "set", "why": "x", "agent": "a/b", "step": "b", "target": "base"}, 400, "a/b"),
        ({"action": "canary", "why": "x", "agent": "a", "step": "b", "target": "frontier", "share": 2}, 400, "share"),
        (
            {"action": "canary", "why": "x", "agent": "a", "step": "b", "target": "frontier", "share": True},
            400,
            "share",
        ),
        ({"action": "promote", "why": "x", "agent": "a", "step": "b"}, 400, "no canary"),
        ({"action": "rollback", "why": "x", "repin": "yes"}, 400, "repin: found 'yes'"),
        ({"action": "rollback", "why": "x", "force": True}, 400, "'force'"),
        (
            {"action": "set", "why": "x", "agent": "a", "step": "b", "target": "base", "expected": 99},
            409,
            "expected 99",
        ),
    ],
)
def test_a_change_that_is_none(real: Real, body: dict[str, Any], status: int, says: str) -> None:
    before = real.store.revisions(1)
    answer = real.post("root", "/v1/admin/routes", **body)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]
    assert real.store.revisions(1) == before


@pytest.mark.slow
def test_what_is_promoted_is_clean_by_the_projects_settings(tmp_path: Path) -> None:
    said = {"agent": "till", "step": "refund", "why": "it is better"}
    with real_world(tmp_path, canary=CanarySettings(min_graded=1_000)) as it:
        made = it.post("root", "/v1/admin/routes", action="canary", target="frontier", share=0.5, **said)
        assert made.status_code == 200, made.text
        play(it.store, good={"live": 0.6, "canary": 0.95}, conversations=400)
        judged = look(it.store, newest(it.store), "till", "refund")
        assert judged is not None
        assert judged.verdict is CanaryVerdict.CLEAN, "by the defaults"
        answer = it.post("root", "/v1/admin/routes", action="promote", **said)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_borne_out")
        assert re.search(r"needs [78]\d\d more judged conversations of the canary", answer.json()["error"]["message"])


def test_a_forged_admin_key(real: Real) -> None:
    real.keys["forged"] = real.keys["root"][:-1] + ("A" if real.keys["root"][-1] != "A" else "B")
    answer = real.post("forged", "/v1/admin/routes", action="rollback", why="mine")
    assert answer.status_code == 401
    assert real.post("alice", "/v1/admin/routes", action="rollback", why="mine").status_code == 403


@pytest.mark.slow
def test_a_revoked_key(real: Real, tmp_path: Path) -> None:
    secret, row = new_key("eve")
    real.store.add_key(row)
    real.keys["eve"] = secret
    assert real.chat("eve").status_code == 200
    real.store.revoke_key("eve")
    real.it.until(lambda: real.chat("eve").status_code == 401)
