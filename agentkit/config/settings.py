"""What all settings have in common, and those of anything that answers as a chat model."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from agentkit.errors import near_match

EMBEDDED = "embedded"
"""Name of the small model that comes with the demo."""


def _checked_model(model: str) -> str:
    if model != EMBEDDED and "/" not in model:
        expected = f"expected `{EMBEDDED}`, a folder (`./models/mine`), or a name in a model hub (`OWNER/NAME`)"
        raise ValueError(f"found {model!r}, {expected}{near_match(model, [EMBEDDED])}")
    return model


ModelName = Annotated[str, AfterValidator(_checked_model)]
"""A model that is served here."""


def _false_is_none(value: Any) -> Any:
    if value is True:
        raise PydanticCustomError("number_or_false", "a number, or false")
    return None if value is False else value


FALSE_IS_NONE = BeforeValidator(_false_is_none)
"""Of a number that may be none and has another default: TOML has no word for none, so `false` is one."""


class Settings(BaseModel):
    """Frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Sampling(Settings):
    """What is sent with every request; what is not set is left to the provider."""

    temperature: Annotated[float, Field(ge=0)] | None = None
    """0: the likeliest answer."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the likeliest next tokens that are drawn from."""
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    """Of one answer."""
    extra_body: dict[str, Any] = {}
    """Further members of the request, as the provider defines them."""


class Endpoint(Settings):
    """An OpenAI-compatible endpoint."""

    model: str
    """As the endpoint names it."""
    base_url: str = "https://api.openai.com/v1"
    """Where it is; `/chat/completions` is put behind it."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""
    headers: dict[str, str] = {}
    """Sent with every request. No place for secrets."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds an attempt may take."""
    retry_for: Annotated[float, Field(ge=0)] = 120.0
    """Seconds after which trouble is no longer retried."""
