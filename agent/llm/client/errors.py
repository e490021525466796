"""Why a language model gave no answer, or none that can be used. No message holds a key, a prompt or a traceback."""

from __future__ import annotations

from enum import StrEnum

from tunesmith.agent.llm.client.types import CallRecord
from tunesmith.study.errors import TunesmithError


class Down(StrEnum):
    """Why no answer was got; a closed list."""

    REFUSED_CONNECTION = "refused_connection"
    DNS = "dns"
    TIMEOUT = "timeout"
    CUT = "cut"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    CONTEXT_OVERFLOW = "context_overflow"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    SERVER = "server"
    GATEWAY = "gateway"
    MISSING_PACKAGE = "missing_package"
    UNKNOWN = "unknown"


TRANSIENT = frozenset(
    {Down.REFUSED_CONNECTION, Down.DNS, Down.TIMEOUT, Down.CUT, Down.RATE_LIMIT, Down.SERVER, Down.GATEWAY}
)
"""Worth another try within seconds."""

PERMANENT = frozenset({Down.AUTH, Down.FORBIDDEN, Down.NOT_FOUND, Down.QUOTA, Down.MISSING_PACKAGE})
"""Trying again is pointless until a person has changed something."""


class ModelDown(TunesmithError):
    """No answer was got from a model.

    Attributes:
        kind: why.
        reason: one line for people, with what to do.
        retry_after_s: how long the server asks to wait; None when it does not say.
        call: what was spent on it.
    """

    def __init__(self, kind: Down, reason: str, *, retry_after_s: float | None = None, call: CallRecord) -> None:
        self.kind = kind
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.call = call
        super().__init__(reason)

    @property
    def lasting(self) -> bool:
        """Whether a person has to change something before it can work."""
        return self.kind in PERMANENT


class Unusable(StrEnum):
    """Why an answer cannot be used; a closed list."""

    EMPTY = "empty"
    TRUNCATED = "truncated"
    NOT_JSON = "not_json"
    WRONG_SHAPE = "wrong_shape"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    TOO_LONG = "too_long"
    ENDLESS_TOOLS = "endless_tools"


class AnswerUnusable(TunesmithError):
    """A model answered, but not so that it can be used.

    Attributes:
        kind: why.
        reason: one line; for a wrong shape what the model should change.
        text: the start of what it said, at most 2,000 characters.
        call: what was spent on it.
    """

    def __init__(self, kind: Unusable, reason: str, text: str, call: CallRecord) -> None:
        self.kind = kind
        self.reason = reason
        self.text = text[:2000]
        self.call = call
        super().__init__(reason)
