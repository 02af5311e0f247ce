"""Spill files: what is torn is cut, what is held is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.collect.spill import SegmentWriter, decode, encode, is_held, segments, take
from tests.collect.captured import make_exchange


def written(folder: Path, *ids: str) -> Path:
    writer = SegmentWriter(folder)
    writer.append([encode(make_exchange(id)) for id in ids])
    writer.close()
    return writer.path


def read(path: Path) -> tuple[list[str], int]:
    with take(path) as segment:
        assert segment is not None
        return [it.id for it in segment.exchanges], segment.torn


def test_an_exchange_comes_back_as_it_was() -> None:
    for it in (make_exchange(), make_exchange(response=None, user=None, first_token=None)):
        assert decode(encode(it)) == it
    odd = decode(encode(make_exchange(request={"a": "\ud800", "n": 2**70})))
    assert odd.request == {"a": "\\ud800", "n": str(2**70)}


@pytest.mark.parametrize("cut", [1, 4, 9, 200])
def test_a_torn_tail_is_cut(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path, "a", "b", "c")
    size = len(encode(make_exchange("c"))) + 8
    path.write_bytes(path.read_bytes()[:-cut])
    assert read(path) == (["a", "b"], size - cut)


def test_a_frame_that_is_damaged_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, "a", "b", "c")
    content = path.read_bytes()
    place = content.index(b'"b"')
    path.write_bytes(content[:place] + b"?" + content[place + 1 :])
    assert read(path) == (["a", "c"], len(encode(make_exchange("b"))) + 8)


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=200).filter(lambda it: not it.startswith(b"agentkit")), whole=st.booleans())
def test_whatever_stands_in_a_file_is_no_crash(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, whole: bool
) -> None:
    path = tmp_path_factory.mktemp("spill") / "1.segment"
    path.write_bytes((b"agentkit spill 1\n" if whole else b"") + content)
    assert read(path) == ([], len(content))


def test_a_segment_is_one_process_own_until_it_is_closed(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path)
    writer.append([encode(make_exchange("a"))])
    assert is_held(writer.path)
    with take(writer.path) as segment:
        assert segment is None
    writer.close()
    assert not is_held(writer.path)
    with take(writer.path) as first, take(writer.path) as second:
        assert first is not None
        assert second is None
    writer.path.unlink()
    with take(writer.path) as gone:
        assert gone is None


def test_an_empty_segment_leaves_nothing(tmp_path: Path) -> None:
    SegmentWriter(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
    assert segments(tmp_path / "nowhere") == []
