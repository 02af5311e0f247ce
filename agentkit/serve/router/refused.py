"""What is said instead of an answer, in the form that OpenAI's clients understand."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response


class Refused(Exception):
    """No answer. `status` is HTTP's; `kind` and `code` are OpenAI's `type` and `code`; `param` names the field."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        retry_after: float | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.kind = kind
        self.param = param
        self.retry_after = retry_after
        """Seconds after which asking again may help; None where it will not."""
        self.close = close
        """Whether the connection ends: something of the request was left unread."""

    @property
    def body(self) -> bytes:
        """The error as JSON."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """The error as an answer."""
        said = dict(headers or {})
        if self.retry_after is not None:
            said["retry-after"] = str(max(1, round(self.retry_after + 0.5)))
        if self.status == 401:
            said["www-authenticate"] = "Bearer"
        if self.close:
            said["connection"] = "close"
        return Response(self.body, self.status, said, media_type="application/json")


def bad(param: str, found: str, expected: str, *, code: str = "invalid_value") -> Refused:
    """400 for one field: what was found there, and what was expected."""
    return Refused(400, code, f"{param}: found {found}, expected {expected}", param=param)


def unauthorised() -> Refused:
    """401; the same words whatever was wrong with the key."""
    return Refused(401, "invalid_api_key", "no valid API key: send `Authorization: Bearer KEY`")


def shed(message: str, retry_after: float) -> Refused:
    """429 because there is no room."""
    return Refused(429, "overloaded", message, kind="overloaded_error", retry_after=retry_after)


def failed(status: int, code: str, message: str) -> Refused:
    """A failure that is not the caller's."""
    return Refused(status, code, message, kind="server_error")


def shown(value: object) -> str:
    """A value of a request as a message may show it: short, and inert in a terminal, a log and a page."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:60] + "…"
