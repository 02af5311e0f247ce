from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from agentkit.errors import UsageError
from agentkit.records import Status
from agentkit.store import Store
from agentkit.tune.compile import Compiled, CompileSettings, silent_agent
from agentkit.tune.exchange import (
    Pair,
    Thumb,
    export_preferences,
    export_prompts,
    import_pairs,
    import_prompts,
    import_thumbs,
    preferences_of,
    recorded_pairs,
    thumbs_of,
    write_preferences,
)
from agentkit.tune.target import choose_target
from tests.tune.compiled import REFUND, chat_agent, compiled, suite, target
from tests.tune.played import clerk, play


@pytest.fixture
async def data() -> Compiled:
    return await compiled()


def lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def rewrite(file: Path, line: int, **changed: Any) -> None:
    rows = lines(file)
    rows[line].update(changed)
    rows[line] = {name: value for name, value in rows[line].items() if value is not None}
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))


@pytest.mark.parametrize("format_", ["sft", "grpo"])
@pytest.mark.parametrize("guided", [True, False])
async def test_prompts_come_back_as_they_were(tmp_path: Path, format_: Any, guided: bool) -> None:
    agent = chat_agent(guided=guided, calls_per_turn=None)
    data = await compiled(target("say_amount"), agent=agent)
    file = tmp_path / "rows.jsonl"
    assert export_prompts(data.prompts, file, format_) == len(data.prompts)
    assert tuple(import_prompts(file, format_)) == data.prompts
    row = lines(file)[0]
    assert [message["role"] for message in row["prompt"]][:2] == ["system", "user"]
    assert ("tools" in row) is not guided
    if not guided:
        calls = [call for message in row["prompt"] for call in message.get("tool_calls", ())]
        assert all(isinstance(call["function"]["arguments"], dict) for call in calls)
        assert len(calls) >= 2
    if format_ == "sft":
        assert row["completion"] == [{"role": "assistant", "content": data.prompts[0].golden}]


@pytest.mark.slow
async def test_failed_answers_of_a_run_are_rejected_and_golden_ones_chosen(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        run = await play(store, chat_agent(clerk), tmp_path / "traces")
        chosen = choose_target(store, run, [it for it in suite() if it.id == REFUND], step="refund")
        trials = list(store.trials(run.id))
    settings = CompileSettings(train=8, validation=2, held_out=4)
    data = await compiled(chosen, agent=silent_agent(run), trials=trials, run=run, settings=settings)
    pairs = await recorded_pairs(data.prompts, trials)
    known = {prompt.id: prompt for prompt in data.prompts}
    assert len(pairs) == 6
    for pair in pairs:
        assert '"tender":"cash"' in pair.rejected
        assert pair.chosen == pair.rejected.replace("cash", "card")
        assert (await known[pair.prompt].grade(pair.rejected)).status is Status.FAILED
    thumbs = thumbs_of(pairs)
    assert [thumb.label for thumb in thumbs[:2]] == [True, False]
    found = preferences_of(pairs, thumbs)
    assert (found.pairs, found.thumbs, found.liked) == (6, 12, 6)
    dpo, kto = tmp_path / "dpo.jsonl", tmp_path / "kto.jsonl"
    assert export_preferences(data.prompts, pairs, dpo) == 6
    assert export_preferences(data.prompts, thumbs, kto) == 12
    assert import_pairs(dpo, data.prompts) == pairs
    assert import_thumbs(kto, data.prompts) == thumbs
    assert set(lines(dpo)[0]) == {"id", "prompt", "chosen", "rejected"}
    assert set(lines(kto)[0]) == {"id", "prompt", "completion", "label"}
    write_preferences(pairs, dpo)
    assert lines(dpo)[0] == pairs[0].model_dump()


async def test_answers_of_people_are_found_by_their_messages_and_edited_ones_are_golden(
    data: Compiled, tmp_path: Path
) -> None:
    file = tmp_path / "kto.jsonl"
    thumb = Thumb(prompt=data.prompts[1].id, completion="No.", label=False)
    export_preferences(data.prompts, [thumb], file)
    rewrite(file, 0, id=None, completion="No.")
    assert import_thumbs(file, data.prompts) == [thumb]
    export_prompts(data.prompts, file, "sft")
    rewrite(file, 2, completion="better")
    assert import_prompts(file, "sft")[2].golden == "better"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": 1}, r":2: label: found 1, expected true \(liked\) or false"),
        ({"label": None}, r":2: label: is missing"),
        ({"lable": True}, r":2: lable: is unknown \(did you mean 'label'\?\)"),
        ({"completion": ["x"]}, r':2: completion: found \["x"\], expected a text, or one message of the assistant'),
        ({"id": "nobody"}, r":2: id: no prompt 'nobody'"),
        ({"prompt": []}, r":2: prompt: is not that of 'point_of_sale/refund"),
        ({"prompt": [], "id": None}, r":2: prompt: is none of the job's 6 prompts, and there is no `id`"),
    ],
)
async def test_a_wrong_row_is_told_by_file_line_and_field(
    data: Compiled, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    file = tmp_path / "kto.jsonl"
    thumbs = [Thumb(prompt=prompt.id, completion="No.", label=True) for prompt in data.prompts[:3]]
    export_preferences(data.prompts, thumbs, file)
    rewrite(file, 1, **changed)
    with pytest.raises(UsageError, match=re.escape(str(file)) + message):
        import_thumbs(file, data.prompts)


async def test_wrong_files_and_prompts_are_errors(data: Compiled, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    with pytest.raises(UsageError, match="cannot be read"):
        import_prompts(file, "sft")
    file.write_text("\n")
    with pytest.raises(UsageError, match="is empty, expected a JSON object a line with prompt, completion"):
        import_prompts(file, "sft")
    file.write_text("{")
    with pytest.raises(UsageError, match=":1: is no JSON"):
        import_prompts(file, "sft")
    export_prompts(data.prompts, file, "grpo")
    rewrite(file, 3, prompt=[{"role": "user", "content": "other"}])
    with pytest.raises(UsageError, match=r":4: prompt: is not what `agentkit.request` says"):
        import_prompts(file, "grpo")
    export_prompts(data.prompts, file, "grpo")
    rewrite(file, 0, agentkit={**lines(file)[0]["agentkit"], "turn": "first"})
    with pytest.raises(
        UsageError, match=r":1: agentkit.turn: found 'first', expected: Input should be a valid integer"
    ):
        import_prompts(file, "grpo")
    export_preferences(data.prompts, [Pair(prompt=data.prompts[0].id, chosen="a", rejected="a")], file)
    with pytest.raises(UsageError, match=":1: rejected: is the same answer as `chosen`"):
        import_pairs(file, data.prompts)
    with pytest.raises(UsageError, match="no prompt 'x'"):
        export_preferences(data.prompts, [Pair(prompt="x", chosen="a", rejected="b")], file)
