"""TRL's trainers without vLLM, which they import wherever it is installed, and which nothing here asks for anything."""

from __future__ import annotations

import trl.import_utils as trl_imports


def hide_vllm() -> None:
    """To be called before one of TRL's trainers is imported: completions are our own, and vLLM takes long to load."""
    setattr(trl_imports, "is_vllm_available", lambda min_version=None: False)  # noqa: B010
