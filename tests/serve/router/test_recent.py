"""What was answered a moment ago, and to whom."""

from __future__ import annotations

from agentkit.serve.router.recent import _MOST, Recent


def test_a_moment_ago_and_to_this_key() -> None:
    now = [0.0]
    it = Recent(10, now=lambda: now[0])
    it.add("alice", "r1", "c1")
    now[0] = 9.0
    assert it.knows("alice", "r1")
    assert it.knows("alice", None, "c1")
    assert not it.knows("bob", "r1", "c1")
    assert not it.knows("alice", None, ["r1"], {}, 7)
    now[0] = 11.0
    assert not it.knows("alice", "r1")


def test_it_does_not_grow_without_end() -> None:
    it = Recent(10, now=lambda: 0.0)
    for number in range(_MOST + 100):
        it.add("alice", f"r{number}")
    assert len(it._at) == _MOST
    assert not it.knows("alice", "r0")
    assert it.knows("alice", f"r{_MOST}")
