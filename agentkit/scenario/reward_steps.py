"""Which rewards the replies of a scenario are graded by, and the source behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agentkit.config import rewards_folder
from agentkit.errors import ConfigError, Problem
from agentkit.scenario.document import Document, Keys
from agentkit.scenario.outline import outline
from agentkit.scenario.rewards import RewardsProblem, fingerprint


def source_behind(document: Document) -> tuple[bytes, list[Problem]]:
    """What of the reward files goes into the scenario's hash (empty where no reply is graded by one), and what is wrong
    with them."""
    found: list[str] = []
    problems: list[Problem] = []
    for keys, text in _rewards(document):
        try:
            found.append(fingerprint(text, rewards_folder()))
        except RewardsProblem as error:
            problems.append(document.problem(keys, str(error.problem)))
        except ConfigError as error:
            problems.append(document.problem(keys, str(error)))
        except ValueError:
            continue  # told where the reply is validated
    return "".join(found).encode(), problems


def _rewards(document: Document) -> Iterator[tuple[Keys, str]]:
    whole = outline(document.data)
    checks = (item for outcome in whole.outcomes for item in outcome)
    for item in (*whole.steps, *whole.replacements, *checks):
        reply = item.data.get("reply")
        reward = reply.get("reward") if isinstance(reply, Mapping) else None
        if isinstance(reward, str):
            yield (*item.keys, "reply", "reward"), reward
