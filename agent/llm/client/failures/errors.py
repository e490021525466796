"""Errors of language models: no answer, or an unusable one. No message contains a key, a prompt or a traceback."""

from __future__ import annotations

from enum import StrEnum

from tunesmith.agent.llm.client.types import CallRecord
from tunesmith.study.errors import TunesmithError
from tunesmith.study.formatting import valid_text


class Down(StrEnum):
    """Why a model gave no answer; a closed list."""

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
"""Failures that another try within seconds may pass."""

PERMANENT = frozenset({Down.AUTH, Down.FORBIDDEN, Down.NOT_FOUND, Down.QUOTA, Down.MISSING_PACKAGE})
"""Failures that last until a person changes something."""


class ModelDown(TunesmithError):
    """A model gave no answer.

    Attributes:
        kind: why.
        reason: one line for people, with what to do.
        retry_after_s: pause that the server asked for, in seconds; None when it did not say.
        call: what was spent on the question.
        context_tokens: length of the model's context, where the question exceeded it and the server names it.
    """

    def __init__(
        self,
        kind: Down,
        reason: str,
        *,
        retry_after_s: float | None = None,
        call: CallRecord,
        context_tokens: int | None = None,
    ) -> None:
        self.kind = kind
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.context_tokens = context_tokens
        self.call = call
        super().__init__(reason)

    @property
    def permanent(self) -> bool:
        """Whether the failure lasts until a person changes something."""
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
    """A model answered, but the answer cannot be used.

    Attributes:
        kind: why.
        reason: one line; for a wrong shape, what the model should change.
        text: start of the answer, at most 2,000 characters.
        call: what was spent on the question.
    """

    def __init__(self, kind: Unusable, reason: str, text: str, call: CallRecord) -> None:
        self.kind = kind
        self.reason = valid_text(reason)
        self.text = valid_text(text[:2000])
        self.call = call
        super().__init__(self.reason)
