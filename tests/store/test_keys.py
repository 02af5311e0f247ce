"""API keys in the store: by name once, shut out for good."""

from __future__ import annotations

import pytest

from agentkit.errors import StoreError, UsageError
from agentkit.records import ApiKey, KeyLimits
from agentkit.serve.keys import PREFIX, digest, new_key
from agentkit.store import Store


def test_a_key_comes_back_as_it_was(store: Store) -> None:
    plain = ApiKey("bob", "b" * 64, "2026-01-01T00:00:00+00:00")
    full = ApiKey("alice", "a" * 64, "2026-01-02T00:00:00+00:00", admin=True, limits=KeyLimits(60, 4))
    store.add_key(plain)
    store.add_key(full)
    assert store.api_keys() == [full, plain], "by name"


def test_names_are_given_once(store: Store) -> None:
    store.add_key(ApiKey("bob", "b" * 64, "2026-01-01T00:00:00+00:00"))
    with pytest.raises(StoreError, match="there is a key 'bob' already; names are given once"):
        store.add_key(ApiKey("bob", "c" * 64, "2026-01-01T00:00:00+00:00"))
    store.revoke_key("bob")
    with pytest.raises(StoreError, match="names are given once"):
        store.add_key(ApiKey("bob", "d" * 64, "2026-01-01T00:00:00+00:00"))


def test_a_revoked_key_stays_so(store: Store) -> None:
    store.add_key(ApiKey("bob", "b" * 64, "2026-01-01T00:00:00+00:00"))
    first = store.revoke_key("bob")
    assert first.revoked_at is not None
    assert [store.revoke_key("bob")] == [first] == store.api_keys()
    with pytest.raises(StoreError, match=r"no key is called 'bop' \(did you mean 'bob'\?\)"):
        store.revoke_key("bop")


def test_a_new_key_is_kept_as_its_hash_alone(store: Store) -> None:
    secret, key = new_key("alice", admin=True, limits=KeyLimits(per_minute=5))
    store.add_key(key)
    assert secret.startswith(PREFIX)
    assert len(secret) > 50
    assert key.hash == digest(secret)
    assert store.api_keys() == [key]
    assert secret not in repr(store.api_keys())
    assert new_key("alice")[0] != secret


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "-a", "ä", "a" * 65, "a\n"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(UsageError, match="expected letters, digits"):
        new_key(name)
