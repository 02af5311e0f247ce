"""A failing step becomes a training job, and a job that proved itself becomes an adapter. See README.md beside this
file.

Here is what needs no database; `agentkit.tune.registry` enters adapters in the store.
"""

from agentkit.tune.adapter import publish
from agentkit.tune.card import ModelCard

__all__ = ["ModelCard", "publish"]
