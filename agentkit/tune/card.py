"""The model card of an adapter: what it is to repair, what it learned from, and what it is not good for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!&~])")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of an adapter when it is published."""

    step: str
    """Selector of the step that it is to repair."""
    base: str
    """Name of the model whose weights it changes."""
    base_hash: str
    """`content_hash` of that model's folder."""
    data_hash: str
    """Of the examples that it was trained on."""
    scenarios: tuple[str, ...] = ()
    """Ids of the scenarios that the examples came from."""
    parents: tuple[str, ...] = ()
    """Adapters that its training started from."""
    job: str | None = None
    reward_hash: str | None = None
    """Of the reward functions; None where none was asked."""
    method: str = ""
    """How it was trained, in words: `supervised warm start, then GRPO`."""
    examples: int | None = None
    """How many it was trained on."""
    data: str = ""
    """What the examples are, in words."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the training: learning rate, epochs, rank ...; plain JSON."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package → version that it was trained with."""
    certificate: Mapping[str, Any] | None = None
    """What measuring it before and after said, where that is known by now."""
    limits: tuple[str, ...] = ()
    """What it is not good for, a sentence each."""

    def document(self) -> dict[str, Any]:
        """What the manifest keeps of it beside its own fields; plain JSON."""
        own = ("method", "examples", "data", "training", "certificate", "limits")
        return {name: value for name, value in asdict(self).items() if name in own}


def readme(name: str, card: ModelCard) -> str:
    """The card as Markdown with the front matter of a model hub. Words from elsewhere are shown as they are, and mean
    nothing in Markdown or HTML."""
    front = {
        "base_model": card.base,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "agentkit", *(["trl", "grpo"] if "grpo" in card.method.lower() else [])],
    }
    lines = ["---", yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(), "---", f"# {_inert(name)}", ""]
    lines += [f"A LoRA adapter of {_inert(card.base)} that is to repair the step {_inert(card.step)} of an agent.", ""]
    lines += ["## What it learned from", "", *_table(_data(card)), ""]
    lines += ["## How it was trained", "", *_table(_training(card)), ""]
    lines += ["## What was measured", "", *_measured(card.certificate), ""]
    lines += ["## Limits", "", *_limits(card)]
    return "\n".join(lines) + "\n"


def _data(card: ModelCard) -> Iterator[tuple[str, object]]:
    yield "scenarios", ", ".join(card.scenarios) or "not recorded"
    yield "examples", "not recorded" if card.examples is None else card.examples
    yield "what they are", card.data or "not recorded"
    yield "hash of the examples", card.data_hash
    yield "hash of the rewards", card.reward_hash or "no reward was asked"


def _training(card: ModelCard) -> Iterator[tuple[str, object]]:
    yield "method", card.method or "not recorded"
    yield "base model", f"{card.base}, content hash {card.base_hash}"
    yield "started from", ", ".join(card.parents) or "the base model"
    yield "job", card.job or "none: published by hand"
    for what, values in (("", card.training), ("seed: ", card.seeds), ("version: ", card.versions)):
        yield from ((f"{what}{key}", value) for key, value in values.items())


def _measured(certificate: Mapping[str, Any] | None) -> Iterator[str]:
    if not certificate:
        yield "Nothing yet when this was published; `agentkit adapters NAME` tells what was measured since."
        return
    target = certificate.get("target") or {}
    difference = target.get("difference") or {}
    yield from _table(
        [
            ("verdict", certificate.get("verdict", "not recorded")),
            ("accuracy before", target.get("before", "not recorded")),
            ("accuracy after", target.get("after", "not recorded")),
            ("difference", difference.get("estimate", "not recorded")),
            ("interval", f"{difference.get('low', '?')} to {difference.get('high', '?')}"),
        ]
    )


def _limits(card: ModelCard) -> Iterator[str]:
    yield f"- It works with {_inert(card.base)} of the content hash above, and with no other model."
    yield f"- It was trained for one step, {_inert(card.step)}; what it does elsewhere is measured or unknown."
    yield from (f"- {_inert(limit)}" for limit in card.limits)


def _table(rows: Iterable[tuple[str, object]]) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    yield from (f"| {_inert(what)} | {_inert(value)} |" for what, value in rows)


def _inert(value: object) -> str:
    """One line that Markdown shows letter by letter."""
    visible = "".join(char for char in _BLANKS.sub(" ", str(value)) if char.isprintable())
    return _SPECIAL.sub(r"\\\1", visible).strip()
