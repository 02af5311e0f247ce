from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from agentkit.errors import UsageError
from agentkit.grade import load_rubric
from agentkit.tune.compile import Compiled
from agentkit.tune.curve import nested
from agentkit.tune.forecast import forecast
from agentkit.tune.manifest import (
    MANIFEST,
    MOMENTS,
    PROMPTS,
    Manifest,
    manifest_of,
    read_job,
    read_manifest,
    read_moments,
    write_job,
)
from agentkit.tune.prompt import Split
from tests.tune.compiled import ROOT, SMALL, a_run, chat_agent, compiled, suite


@pytest.fixture
async def data() -> Compiled:
    return await compiled()


def manifest(data: Compiled, job: str = "j1", created_at: str = "2026-06-20T10:00:00.000Z") -> Manifest:
    return manifest_of(
        job,
        data,
        a_run(),
        chat_agent(),
        suite(),
        SMALL,
        base="tiny",
        base_hash="a" * 64,
        rubric=load_rubric("tool_call", ROOT / "rewards"),
        created_at=created_at,
    )


async def test_a_job_that_was_written_is_read_back_as_it_was(data: Compiled, tmp_path: Path) -> None:
    written = manifest(data)
    write_job(tmp_path / "job", written, data.prompts, data.moments)
    found, prompts = read_job(tmp_path / "job")
    assert found == written
    assert found.hash == written.hash
    assert tuple(prompts) == data.prompts
    assert len(read_job(tmp_path / "job", Split.VALIDATION)[1]) == SMALL.validation
    assert tuple(read_moments(tmp_path / "job", written)) == data.moments


async def test_it_says_what_is_trained_on_what_and_graded_by_what(data: Compiled) -> None:
    found = manifest(data)
    assert found.target.steps == {
        "point_of_sale/refund/golden#refund": (1, 8),
        "point_of_sale/refund/cash_instead#refund": (1, 8),
    }
    assert sum(count.prompts for count in found.counts) == SMALL.train + SMALL.validation
    assert found.dialects == {"guided": SMALL.train + SMALL.validation}
    assert found.rubric is not None
    assert found.rubric.points == {
        "well_formed": 5,
        "right_tool": 10,
        "right_arguments": 20,
    }
    assert list(found.scenarios) == ["point_of_sale/refund"]
    assert len(found.held_out) == SMALL.held_out
    assert found.run.definition["guided"] is True


async def test_its_hash_is_of_the_data_and_not_of_the_job_or_the_time(data: Compiled) -> None:
    one = manifest(data)
    other = manifest(data, "j2", "2027-01-01T00:00:00.000Z")
    other = other.with_forecast(forecast(data.prompts, [(100, 20)] * 6, context=4096))
    assert one.hash == other.hash
    assert one.model_copy(update={"left_out": {"x": 1}}).hash != one.hash


async def test_prompts_that_were_changed_are_refused(data: Compiled, tmp_path: Path) -> None:
    write_job(tmp_path, manifest(data), data.prompts, data.moments)
    path = tmp_path / PROMPTS
    path.write_bytes(path.read_bytes().replace(b"refund_item", b"void_item", 1))
    with pytest.raises(UsageError, match=re.escape(f"{path}: changed since the job was compiled")):
        read_manifest(tmp_path)


async def test_moments_that_were_changed_or_are_of_another_job_are_refused(data: Compiled, tmp_path: Path) -> None:
    found = manifest(data)
    write_job(tmp_path, found, data.prompts, data.moments)
    path = tmp_path / MOMENTS
    path.write_bytes(path.read_bytes().replace(b"refund_item", b"void_item", 1))
    with pytest.raises(UsageError, match=re.escape(f"{path}: changed since the job was compiled")):
        read_moments(tmp_path, found)
    with pytest.raises(UsageError, match=re.escape(f"{MOMENTS}: the manifest is of other prompts")):
        write_job(tmp_path / "job", found, data.prompts, data.moments[1:])
    assert read_moments(tmp_path, found.model_copy(update={"moments_sha256": ""})) == ()


async def test_prompts_of_another_manifest_are_not_written(data: Compiled, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the manifest is of other prompts"):
        write_job(tmp_path / "job", manifest(data), data.prompts[1:])
    assert not (tmp_path / "job").exists()


async def test_a_manifest_that_is_none_is_told_by_file_and_field(data: Compiled, tmp_path: Path) -> None:
    write_job(tmp_path, manifest(data), data.prompts, data.moments)
    path = tmp_path / MANIFEST
    changed = orjson.loads(path.read_bytes())
    changed["base"]["hash"] = 5
    path.write_bytes(orjson.dumps(changed))
    with pytest.raises(UsageError, match=re.escape(f"{path}: base.hash: found '5', expected: Input should be a valid")):
        read_manifest(tmp_path)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest(tmp_path)


async def test_the_forecast_adds_up_what_was_counted_of_the_training_prompts(data: Compiled) -> None:
    tokens = [(100, 20), (300, 25), (200, 20), (200, 20), (900, 90), (900, 90)]
    found = forecast(data.prompts, tokens, context=1000, seconds=60.0, basis="timed here")
    assert (found.prompt_tokens, found.longest_prompt, found.golden_tokens, found.longest_golden) == (800, 300, 85, 25)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([(100, 20)] * 5, "found token counts of 5 prompts, expected 6"),
        (
            [(100, 20)] * 5 + [(901, 20)],
            r"1 of 6 prompts are longer than the model's context of 1000 tokens: .* has 901",
        ),
        ([(100, 20)] * 5 + [(100, 101)], r"1 golden answers are longer than the agent may answer: .*max_tokens is 100"),
    ],
)
async def test_what_does_not_fit_the_model_is_refused(
    data: Compiled, tokens: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        forecast(data.prompts, tokens, context=1000)


async def test_smaller_parts_of_the_data_are_in_the_larger_ones_and_of_every_variant(data: Compiled) -> None:
    parts = nested(data.prompts, [4, 2])
    assert list(parts) == [2, 4]
    assert {it.id for it in parts[2]} <= {it.id for it in parts[4]}
    assert {prompt.variant for prompt in parts[2] if prompt.split is Split.TRAIN} == {"golden", "cash_instead"}
    assert [len(part) for part in parts.values()] == [2 + SMALL.validation, 4 + SMALL.validation]
    with pytest.raises(UsageError, match="--curve: found 5, expected numbers of examples from 1 to 4"):
        nested(data.prompts, [2, 5])
    with pytest.raises(UsageError, match="--curve: found 2, expected two sizes or more"):
        nested(data.prompts, [2])
