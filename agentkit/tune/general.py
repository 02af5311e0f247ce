"""Forgetting: a small set of general prompts with answers that can be checked, asked before and after a training.

The prompts have nothing to do with any suite. They are asked with temperature 0, so that one model gives one answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.errors import UsageError
from agentkit.llm import ChatModel, ChatRequest
from agentkit.records import Message
from agentkit.tune.paired import Compared, compare_answers, interval_document


@dataclass(frozen=True, slots=True)
class GeneralPrompt:
    """A plain question and what a right answer looks like, in regular expressions without regard to case."""

    id: str
    ask: str
    expects: tuple[str, ...]
    """Each is found in a right answer."""
    excludes: tuple[str, ...] = ()
    """None is found in a right answer."""

    def passes(self, answer: str) -> bool:
        """Whether an answer is right."""
        found = [bool(re.search(it, answer, re.IGNORECASE)) for it in self.expects]
        return all(found) and not any(re.search(it, answer, re.IGNORECASE) for it in self.excludes)


_P = GeneralPrompt
GENERAL_PROMPTS: tuple[GeneralPrompt, ...] = (
    _P("add", "What is 2 + 3? Answer with the number.", (r"\b5\b|\bfive\b",)),
    _P("subtract", "What is 10 - 4? Answer with the number.", (r"\b6\b|\bsix\b",)),
    _P("multiply", "What is 3 times 4? Answer with the number.", (r"\b12\b|\btwelve\b",)),
    _P("compare", "Which number is larger, 7 or 70? Answer with the number.", (r"\b70\b",), (r"\A\W*7\b",)),
    _P("count", "Count from one to five in digits.", (r"1\D+2\D+3\D+4\D+5",)),
    _P("capital_france", "What is the capital of France?", (r"\bParis\b",)),
    _P("capital_japan", "What is the capital of Japan?", (r"\bTokyo\b",)),
    _P("continent", "On which continent is Egypt?", (r"\bAfrica\b",)),
    _P("planet", "On which planet do we live?", (r"\bEarth\b",)),
    _P("sky", "What colour is a clear sky by day?", (r"\bblue\b",)),
    _P("grass", "What colour is fresh grass?", (r"\bgreen\b",)),
    _P("opposite", "What is the opposite of hot?", (r"\bcold\b|\bcool\b",)),
    _P("animal", "Which animal says meow?", (r"\b(cat|kitten)s?\b",)),
    _P("days", "How many days are in a week?", (r"\b7\b|\bseven\b",)),
    _P("after_monday", "Which day comes after Monday?", (r"\bTuesday\b",)),
    _P("water", "What is frozen water called?", (r"\bice\b",)),
    _P("author", "Who wrote Romeo and Juliet?", (r"\bShakespeare\b",)),
    _P("copy", "Repeat this word and nothing else: lantern", (r"\blantern\b",)),
    _P("translate", "What does the Spanish word 'gracias' mean in English?", (r"\bthank",)),
    _P("list", "Name three fruits.", (r"(apple|banana|orange|pear|grape|berr|mango|peach|lemon|melon|plum|kiwi)\w*"
       r".*?(apple|banana|orange|pear|grape|berr|mango|peach|lemon|melon|plum|kiwi)",)),
)  # fmt: skip
"""About twenty, written for this purpose: arithmetic, copying, naming, short instructions."""


GUARD_QUESTIONS: tuple[GeneralPrompt, ...] = (
    _P("double", "What is 4 + 4? Answer with the number.", (r"\b8\b|\beight\b",)),
    _P("smaller", "Which number is smaller, 3 or 30? Answer with the number.", (r"\b3\b",), (r"\A\W*30\b",)),
    _P("capital_italy", "What is the capital of Italy?", (r"\bRome\b",)),
    _P("snow", "What colour is snow?", (r"\bwhite\b",)),
    _P("opposite_up", "What is the opposite of up?", (r"\bdown\b",)),
    _P("bark", "Which animal barks?", (r"\b(dog|puppy|puppies)s?\b",)),
    _P("months", "How many months are in a year?", (r"\b12\b|\btwelve\b",)),
    _P("echo", "Repeat this word and nothing else: candle", (r"\bcandle\b",)),
)  # fmt: skip
"""Asked as training goes, to see what it costs; none of those that a certificate rests on."""


@dataclass(frozen=True, slots=True)
class GeneralAnswer:
    """What a model said to one prompt."""

    id: str
    text: str
    passed: bool


async def ask(
    chat: ChatModel,
    prompts: Sequence[GeneralPrompt] = GENERAL_PROMPTS,
    *,
    max_tokens: int = 48,
    seed: int = 0,
    concurrency: int = 8,
) -> tuple[GeneralAnswer, ...]:
    """Every prompt once, with temperature 0, in the order of the prompts.

    Raises as `chat` does: a prompt that was not answered is no answer, and no wrong one either.
    """
    limit = asyncio.Semaphore(concurrency)

    async def one(prompt: GeneralPrompt) -> GeneralAnswer:
        async with limit:
            asked = [Message("user", prompt.ask, 0)]
            response = await chat.complete(ChatRequest(asked, temperature=0.0, max_tokens=max_tokens, seed=seed))
        return GeneralAnswer(prompt.id, response.content, prompt.passes(response.content))

    return tuple(await asyncio.gather(*map(one, prompts)))


@dataclass(frozen=True, slots=True)
class General:
    """The general prompts before and after."""

    prompts: tuple[str, ...]
    before: tuple[GeneralAnswer, ...]
    after: tuple[GeneralAnswer, ...]
    compared: Compared
    """Share answered rightly: of these very prompts, so no matter of chance; the interval is for others of the kind."""

    @property
    def net_loss(self) -> float:
        """Share answered rightly before less after."""
        return -(self.compared.difference.estimate or 0.0)

    @property
    def lost(self) -> tuple[str, ...]:
        """Prompts that were answered rightly before only."""
        return tuple(b.id for b, a in zip(self.before, self.after, strict=True) if b.passed and not a.passed)

    @property
    def gained(self) -> tuple[str, ...]:
        """Prompts that are answered rightly after only."""
        return tuple(b.id for b, a in zip(self.before, self.after, strict=True) if a.passed and not b.passed)

    def document(self) -> dict[str, Any]:
        """Plain JSON, with what was said."""
        said = [
            {"id": b.id, "ask": ask, "before": _said(b), "after": _said(a)}
            for ask, b, a in zip(self.prompts, self.before, self.after, strict=True)
        ]
        return {
            "prompts": len(self.prompts),
            "before": self.compared.before,
            "after": self.compared.after,
            "difference": interval_document(self.compared.difference),
            "lost": list(self.lost),
            "gained": list(self.gained),
            "answers": said,
        }


def compare_general(
    before: Sequence[GeneralAnswer],
    after: Sequence[GeneralAnswer],
    prompts: Sequence[GeneralPrompt] = GENERAL_PROMPTS,
) -> General:
    """Both models' answers, prompt by prompt. Raises UsageError where they do not answer the same prompts."""
    asked = {prompt.id: prompt.ask for prompt in prompts}
    for side, answers in (("before", before), ("after", after)):
        ids = [answer.id for answer in answers]
        if ids != list(asked) or not ids:
            missing = sorted(set(asked) ^ set(ids)) or ["their order"]
            raise UsageError(
                f"general prompts {side}: found {len(ids)} answers, expected one to each of the {len(asked)} prompts "
                f"in their order; they differ in {', '.join(missing[:5])}"
            )
    compared = compare_answers("general prompts", *([it.passed for it in side] for side in (before, after)))
    return General(tuple(asked.values()), tuple(before), tuple(after), compared)


def _said(answer: GeneralAnswer) -> dict[str, Any]:
    return {"text": answer.text, "passed": answer.passed}
