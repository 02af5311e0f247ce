"""Each method trains a tiny model, in the program that trains real ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from agentkit.tune.compile import CompileSettings
from agentkit.tune.counterfactual import Counterfactual, scenario_files
from agentkit.tune.phase import Phase
from agentkit.tune.reasons import nothing_better
from agentkit.tune.training import pass_over
from tests.tune.compiled import ROOT, compiled, suite
from tests.tune.spans import spans_in
from tests.tune.trainer.tiny import (
    COLOURS,
    events,
    prompt,
    result,
    rows,
    run,
    write_grpo,
    write_model,
    write_phase,
)

pytestmark = pytest.mark.slow


def check(folder: Path, method: str, updates: list[int]) -> Mapping[str, Any]:
    """What every training leaves behind."""
    found = result(folder)
    assert found["method"] == method
    assert [it["step"] for it in found["evaluations"]] == updates
    assert all(it["graded"] == 4 and it["length"] > 0 for it in found["evaluations"])
    assert set(found["versions"]) == {"torch", "transformers", "trl", "peft"}
    assert {"loading", "evaluation", "forward and backward"} <= set(found["seconds"])
    assert all(seconds >= 0 for seconds in found["seconds"].values())
    best = max(found["evaluations"], key=lambda it: (it["passed"], -it["step"]))
    assert found["best"] == best["step"], "of equals the earlier one"
    assert sorted(it.name for it in (folder / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert not list(folder.glob("best-*"))
    steps = events(folder, "step")
    assert [it["step"] for it in steps] == list(range(1, updates[-1] + 1))
    assert all(it["of"] == updates[-1] for it in steps)
    assert steps[0]["left"] > 0 == steps[-1]["left"]
    told = [(it["step"], it["passed"]) for it in events(folder, "evaluation")]
    assert told == [(it["step"], it["passed"]) for it in found["evaluations"]]
    assert (len(events(folder, "begin")), len(events(folder, "end"))) == (1, 1)
    return found


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(folder / "adapter" / "adapter_model.safetensors")
    return found


def test_imitation_lowers_the_loss_and_a_run_that_is_done_does_nothing(imitated: Path) -> None:
    found = check(imitated, "sft", [0, 5, 10, 12])
    assert found["rows"] == 6
    losses = [it["loss"] for it in events(imitated, "step")]
    assert fmean(losses[-3:]) < 0.7 * fmean(losses[:3])
    assert weights(imitated)
    assert all("lora" in name for name in weights(imitated))

    def files() -> dict[Path, int]:
        return {it: it.stat().st_mtime_ns for it in imitated.rglob("*") if it.is_file() and it.name != "log"}

    before = files()
    run(imitated)
    assert files() == before


def test_reinforcement_with_an_easy_reward_raises_it(reinforced: Path) -> None:
    folder = reinforced
    found = check(folder, "grpo", [0, 2, 4, 6, 8])
    assert found["rollout_tokens"] == 40
    assert {"generation", "reward"} <= set(found["seconds"])
    assert len(found["rewards"]) == 8
    assert fmean(found["rewards"][-3:]) > fmean(found["rewards"][:3]) + 0.1
    for step in events(folder, "step"):
        assert {"rewards/paints/mean", "rewards/coloured/mean", "reward", "kl"} <= set(step)

    written = rows(folder)
    assert [row["step"] for row in written] == [step for step in range(8) for _ in range(8)]
    replaced = {(row["step"], row["prompt"]) for row in written if row["attempt"]}
    assert len(replaced) == found["groups_replaced"]
    for step, mean in enumerate(found["rewards"]):
        assert mean == pytest.approx(fmean(row["total"] for row in written if row["step"] == step))
    for row in written:
        painted = row["completion"].startswith('{"action":"paint"') and row["completion"].endswith("}}")
        assert row["parts"]["paints"] == painted
        assert ("coloured" in row["parts"]) is painted, "a part that does not apply has no value"
        right = painted and row["parts"]["coloured"] == 1
        colour = COLOURS[int(row["prompt"].rpartition("@")[2]) % len(COLOURS)]
        assert right is (painted and json.loads(row["completion"])["arguments"]["colour"] == colour)
    assert any("coloured" in row["parts"] for row in written)


def test_completions_that_no_part_applies_to_are_left_out(tiny: Path, tmp_path: Path) -> None:
    """At the start the model paints hardly ever, and nothing else has a value."""
    folder = write_grpo(tmp_path, tiny, rubric="painting:coloured", steps=2, resample=0)
    run(folder)
    totals = [[row["total"] for row in rows(folder) if row["step"] == step] for step in range(2)]
    assert any(total is None for total in totals[0] + totals[1])
    known = [[total for total in update if total is not None] for update in totals]
    assert result(folder)["rewards"] == [pytest.approx(fmean(update)) for update in known if update]


def test_preferences_are_learned(preferred: Path) -> None:
    found = check(preferred, preferred.name, [0, 5, 10, 12])
    assert found["rows"] == (6 if preferred.name == "dpo" else 12)
    losses = [it["loss"] for it in events(preferred, "step")]
    assert losses[-1] < losses[0]


def test_what_reinforcement_does_is_recorded_below_the_span_that_started_it(reinforced: Path) -> None:
    spans = spans_in(reinforced / "traces.jsonl")
    *parts, (name, phase) = spans.items()
    assert name == "phase grpo"
    assert (phase["traceId"], phase["parentSpanId"]) == ("a" * 32, "b" * 16)
    assert [name for name, _ in parts].count("update 8") == 1
    assert {name for name, _ in parts} == {
        *(f"update {number}" for number in range(1, 9)),
        *(f"evaluation {number}" for number in (0, 2, 4, 6, 8)),
    }
    assert all(part["parentSpanId"] == phase["spanId"] for _, part in parts)
    by_time = sorted(
        (int(spans[f"update {n}"]["startTimeUnixNano"]), int(spans[f"update {n}"]["endTimeUnixNano"]))
        for n in range(1, 9)
    )
    assert all(one[1] <= two[0] for one, two in pairwise(by_time)), "one after the other"
    last = events(reinforced, "step")[-1]
    told = {it["key"]: next(iter(it["value"].values())) for it in spans["update 8"]["attributes"]}
    assert told["agentkit.train.loss"] == last["loss"]
    assert told["agentkit.train.rewards/paints/mean"] == last["rewards/paints/mean"]
    assert told["agentkit.train.seconds.generation"] > 0
    content = (reinforced / "traces.jsonl").read_text()
    assert "colour" not in content.replace("rewards/coloured", "")
    assert "Paint the" not in content


def test_a_reward_may_ask_what_follows_in_the_real_scenario(tiny: Path, tmp_path: Path) -> None:
    """A refund at the shipped till, written by a model that knows nothing: each completion is played on to its end."""
    data = asyncio.run(compiled(settings=CompileSettings(train=2, validation=1)))
    folder = write_grpo(
        tmp_path,
        tiny,
        prompts=[*data.prompts],
        rubric="tool_call+outcome",
        rewards=str(ROOT / "rewards"),
        scenarios=scenario_files(data.prompts, suite()),
        context=4096,
        steps=1,
        evaluate_every=1,
        resample=0,
    )
    run(folder)
    written = rows(folder)
    assert len(written) == 8
    prompts, here = {prompt.id: prompt for prompt in data.prompts}, Counterfactual(data.prompts, suite)
    for row in written:
        expected = asyncio.run(here.share(prompts[row["prompt"]].reward_step(row["completion"])))
        assert row["parts"]["outcome.what_follows"] == expected
    here.close()
    assert events(folder, "step")[0]["rewards/outcome.what_follows/mean"] == pytest.approx(
        fmean(row["parts"]["outcome.what_follows"] for row in written), abs=1e-4
    )


def test_a_second_phase_goes_on_with_the_adapter_of_the_first(tiny: Path, tmp_path: Path) -> None:
    import torch

    first = write_phase(tmp_path / "0-sft", tiny, method="sft", epochs=4, evaluate_every=12)
    run(first)
    second = write_grpo(
        tmp_path / "1-grpo",
        tiny,
        start=str(first / "adapter"),
        steps=1,
        learning_rate=1e-9,
        lora={"rank": 8, "alpha": 1},
    )
    run(second)
    one, two = result(first), result(second)
    best = next(it for it in one["evaluations"] if it["step"] == one["best"])
    assert two["evaluations"][0]["passed"] == best["passed"], "it begins as good as the first ended"
    assert weights(first).keys() == weights(second).keys()
    for name, weight in weights(first).items():
        torch.testing.assert_close(weights(second)[name], weight, rtol=0, atol=1e-6)
    assert events(second, "step")[0]["kl"] == pytest.approx(0, abs=1e-4), "it has not moved from its own start"


def test_where_all_is_right_imitation_ends_and_leaves_nothing_to_reinforcement(tiny: Path, tmp_path: Path) -> None:
    same = [prompt(0), prompt(12, "validation")]  # asked in the same words
    first = write_phase(tmp_path / "0-sft", tiny, same, method="sft", epochs=90, evaluate_every=9)
    run(first)
    one = result(first)
    assert one["stopped"] == "all 1 validation prompts are answered right"
    assert one["best"] == one["evaluations"][-1]["step"] < 180
    assert one["nothing_left"] == one["stopped"]
    second = tmp_path / "1-grpo"
    two = pass_over(second, Phase.read(first).model_copy(update={"method": "grpo"}), one)
    assert (two["best"], two["stopped"]) == (0, one["stopped"])
    assert [(it["step"], it["passed"]) for it in two["evaluations"]] == [(0, 1)]
    assert nothing_better([two], 0) == ["grpo did not begin: all 1 validation prompts are answered right"]
    assert result(second) == two
    run(second)
    assert result(second) == two, "taken up again, it is done"


def test_imitation_ends_where_nothing_is_left_to_imitate(tiny: Path, tmp_path: Path) -> None:
    wide = write_model(tmp_path / "model", width=128)  # so that it can be sure of a token
    others = [prompt(0), *(prompt(5 + n, "validation") for n in range(4))]
    folder = write_phase(tmp_path / "sft", wide, others, method="sft", epochs=200, evaluate_every=1000)
    run(folder)
    found, steps = result(folder), events(folder, "step")
    assert found["stopped"].startswith("the golden answers are what the model writes (0.0")
    assert found["nothing_left"] == "", "prompts that it has not seen are not answered by that"
    assert len(steps) < steps[-1]["of"]
    assert [it["loss"] < 0.05 for it in steps] == [False] * (len(steps) - 1) + [True]
    assert [it["step"] for it in found["evaluations"]] == [0, len(steps)]


def test_the_prompts_are_rendered_as_the_tokenizer_has_them(tiny: Path, tmp_path: Path) -> None:
    import transformers

    folder = write_phase(tmp_path, tiny, [*map(prompt, range(2)), prompt(3, golden=False)], method="sft")
    run(folder, "render")
    assert not (folder / "result.json").exists()
    tokens = json.loads((folder / "tokens.json").read_bytes())
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    prompts = {it.id: it for it in (prompt(0), prompt(1), prompt(3))}
    assert set(tokens["prompts"]) == set(prompts)
    for name, asked in prompts.items():
        text = tokenizer.apply_chat_template(asked.request["messages"], tokenize=False, add_generation_prompt=True)
        assert tokens["prompts"][name] == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokens["golden"] == {
        prompt(n).id: len(tokenizer(prompt(n).golden, add_special_tokens=False)["input_ids"]) for n in range(2)
    }
