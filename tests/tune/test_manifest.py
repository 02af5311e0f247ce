from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from agentkit.errors import UsageError
from agentkit.grade import load_rubric
from agentkit.tune.compile import Compiled
from agentkit.tune.manifest import MANIFEST, PROMPTS, Manifest, manifest_of, read_job, read_manifest, write_job
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
    write_job(tmp_path / "job", written, data.prompts)
    found, prompts = read_job(tmp_path / "job")
    assert found == written
    assert found.hash == written.hash
    assert tuple(prompts) == data.prompts
    assert len(read_job(tmp_path / "job", Split.VALIDATION)[1]) == SMALL.validation


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
    other = manifest(data, "j2", "2027-01-01T00:00:00.000Z").with_forecast(
        [100], [20], seconds=60.0, dollars=None, basis="a guess"
    )
    assert one.hash == other.hash
    assert one.model_copy(update={"left_out": {"x": 1}}).hash != one.hash


async def test_prompts_that_were_changed_are_refused(data: Compiled, tmp_path: Path) -> None:
    write_job(tmp_path, manifest(data), data.prompts)
    path = tmp_path / PROMPTS
    path.write_bytes(path.read_bytes().replace(b"refund_item", b"void_item", 1))
    with pytest.raises(UsageError, match=re.escape(f"{path}: changed since the job was compiled")):
        read_manifest(tmp_path)


async def test_prompts_of_another_manifest_are_not_written(data: Compiled, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the manifest is of other prompts"):
        write_job(tmp_path / "job", manifest(data), data.prompts[1:])
    assert not (tmp_path / "job").exists()


async def test_a_manifest_that_is_none_is_told_by_file_and_field(data: Compiled, tmp_path: Path) -> None:
    write_job(tmp_path, manifest(data), data.prompts)
    path = tmp_path / MANIFEST
    changed = orjson.loads(path.read_bytes())
    changed["base"]["hash"] = 5
    path.write_bytes(orjson.dumps(changed))
    with pytest.raises(UsageError, match=re.escape(f"{path}: base.hash: found '5', expected: Input should be a valid")):
        read_manifest(tmp_path)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest(tmp_path)


async def test_the_forecast_adds_up_what_was_counted(data: Compiled) -> None:
    found = manifest(data).with_forecast([100, 300], [20, 25], seconds=60.0, dollars=0.0, basis="timed here").forecast
    assert found is not None
    assert (found.prompt_tokens, found.longest_prompt, found.golden_tokens, found.longest_golden) == (400, 300, 45, 25)
