"""Classifies exceptions of LangChain's clients: a kind, a line for people without secrets, and how long to wait.

It reads status codes and the chain of causes instead of one vendor's exception classes, so it works for every
provider that LangChain supports.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tunesmith.agent.llm.client.failures.errors import Down, Unusable
from tunesmith.agent.llm.client.failures.overflow import context_tokens, is_context_overflow
from tunesmith.study.optional_packages import install_command

_BY_STATUS = {
    401: Down.AUTH,
    403: Down.FORBIDDEN,
    404: Down.NOT_FOUND,
    408: Down.TIMEOUT,
    409: Down.SERVER,
    413: Down.TOO_LARGE,
    429: Down.RATE_LIMIT,
    504: Down.TIMEOUT,
    524: Down.TIMEOUT,
}
_BILLED_STATUSES = (504, 524)
"""Timeouts of a gateway before the model; the model itself may still be at work."""

MAX_TEXT_CHARS = 20_000
"""Length up to which the text of an exception is searched: some hold the whole body of a response."""
_PACKAGES_OF_LLM = ("langchain", "langchain_core", "langchain_openai", "openai", "tenacity", "genai_prices")
_ADVICE = {
    Down.REFUSED_CONNECTION: "no server accepts connections there; check that it runs and that base_url is right",
    Down.DNS: "its host name cannot be resolved; check base_url and the network",
    Down.TIMEOUT: "it did not answer in time; set a higher [planner].timeout, or choose a faster model",
    Down.CUT: "the connection was lost in the middle of the answer",
    Down.AUTH: "the key was refused (401); set a valid one in the environment",
    Down.FORBIDDEN: "the key may not use this model (403); ask for access, or choose another model",
    Down.NOT_FOUND: "the server has no model of this name (404); check the name",
    Down.BAD_REQUEST: "the server rejected the request (400)",
    Down.TOO_LARGE: "the request is too large for the server (413)",
    Down.CONTEXT_OVERFLOW: "the prompt exceeds its context length; choose a model with a longer context",
    Down.RATE_LIMIT: "too many requests (429)",
    Down.QUOTA: "the quota is used up; add credit to the account, or choose another model",
    Down.SERVER: "the server failed",
    Down.GATEWAY: "the server at that address does not speak the protocol of a model; check base_url",
    Down.MISSING_PACKAGE: "the package for this provider is not installed",
    Down.UNKNOWN: "the call failed",
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a request failed.

    Attributes:
        detail: the exception's class or HTTP status, or an install command; never its text, which may contain secrets.
        retry_after_s: pause that the server asked for, in seconds; None when it did not say.
        rejects_format: the server seems to reject the way in which the answer's form was requested.
        may_be_billed: the model may still be at work on the request, so that another try is paid for again.
        context_tokens: length of the model's context, where a prompt exceeded it and the server says how long it is.
    """

    kind: Down
    detail: str = ""
    retry_after_s: float | None = None
    rejects_format: bool = False
    may_be_billed: bool = False
    context_tokens: int | None = None

    def reason(self, name: str) -> str:
        """Return one line for people about the model `name`."""
        detail = f" ({self.detail})" if self.detail else ""
        return f"the model {name} gave no answer: {_ADVICE[self.kind]}{detail}"


def diagnose(error: BaseException) -> Diagnosis:
    """Classify an exception that a client raised, of any class; reading one never raises another."""
    try:
        return _diagnosis(error)
    except Exception:  # noqa: BLE001  # attributes and texts of foreign exceptions are code of their own
        return Diagnosis(Down.UNKNOWN, type(error).__name__)


def _diagnosis(error: BaseException) -> Diagnosis:
    chain = list(_chain(error))
    if any(isinstance(e, ImportError) for e in chain):
        missing = next((e.name for e in chain if isinstance(e, ImportError) and e.name), "")
        return Diagnosis(Down.MISSING_PACKAGE, _install_command(missing.partition(".")[0]) if missing else "")
    status = status_of(error)
    if status is not None:
        return _by_status(status, chain)
    text = error_text(error)
    if is_context_overflow(None, "", text):
        return Diagnosis(Down.CONTEXT_OVERFLOW, context_tokens=context_tokens(text))
    names = " ".join(type(e).__name__ for e in chain).lower()
    kind = _by_names(names, chain)
    has_arrived = not any(name in names for name in ("connecttimeout", "pooltimeout", "writetimeout"))
    return Diagnosis(
        kind,
        type(error).__name__ if kind is Down.UNKNOWN else "",
        may_be_billed=kind is Down.TIMEOUT and has_arrived,
    )


def error_text(error: BaseException) -> str:
    """Return the texts of an exception and of its causes. They may contain secrets: for recognition, not for people."""
    return _texts(_chain(error))


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an exception; None when it has none."""
    return next((s for e in _chain(error) if isinstance(s := getattr(e, "status_code", None), int)), None)


def unusable_kind(error: BaseException) -> Unusable | None:
    """Return the kind of an exception that clients raise about an answer they received; None for all others."""
    names = [type(e).__name__ for e in _chain(error)]
    if "ResponseTooLong" in names:
        return Unusable.TOO_LONG
    name = names[0]
    if "LengthFinishReason" in name:
        return Unusable.TRUNCATED
    if "ContentFilter" in name:
        return Unusable.CONTENT_FILTER
    if "Refusal" in name:
        return Unusable.REFUSAL
    return Unusable.EMPTY if isinstance(error, IndexError) else None


def _install_command(package: str) -> str:
    return install_command(package, "llm" if package in _PACKAGES_OF_LLM else "")


def _by_status(status: int, chain: list[BaseException]) -> Diagnosis:
    text = _texts(chain).lower()
    code = str(next((c for e in chain if (c := getattr(e, "code", None))), "")).lower()
    rejects_format = status in (400, 404, 415, 422, 500, 501) and bool(
        re.search(
            r"response_format|json_schema|json_object|tool_choice|\btools?\b|function call|structured output", text
        )
    )
    if is_context_overflow(status, code, text):
        return Diagnosis(Down.CONTEXT_OVERFLOW, context_tokens=context_tokens(text))
    if status in (402, 429) and ("insufficient_quota" in code or "insufficient_quota" in text or "billing" in text):
        return Diagnosis(Down.QUOTA)
    if status in _BY_STATUS:
        retry_after_s = _retry_after(chain)
        is_billed = status in _BILLED_STATUSES
        return Diagnosis(
            _BY_STATUS[status], retry_after_s=retry_after_s, rejects_format=rejects_format, may_be_billed=is_billed
        )
    kind = Down.SERVER if status >= 500 else Down.BAD_REQUEST  # noqa: PLR2004  # server errors begin here
    return Diagnosis(kind, f"HTTP {status}", _retry_after(chain), rejects_format)


def _by_names(names: str, chain: list[BaseException]) -> Down:
    if any(isinstance(e, socket.gaierror) for e in chain):
        return Down.DNS
    if any(isinstance(e, ConnectionRefusedError) for e in chain):
        return Down.REFUSED_CONNECTION
    if "timeout" in names:
        return Down.TIMEOUT
    if "protocolerror" in names or "readerror" in names or "connectionreset" in names or "incompleteread" in names:
        return Down.CUT
    if "connect" in names:
        text = _texts(chain).lower()
        return Down.DNS if "name or service" in text or "name resolution" in text else Down.REFUSED_CONNECTION
    if any(name in names for name in ("attributeerror", "typeerror", "jsondecodeerror", "valueerror", "keyerror")):
        # The client could not parse the body of a response with status 200.
        return Down.GATEWAY
    return Down.UNKNOWN


def _texts(chain: Iterable[BaseException]) -> str:
    """Return the texts of exceptions, each up to a length beyond which none explains anything."""
    return " ".join(_text(error)[:MAX_TEXT_CHARS] for error in chain)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # as in diagnose
        return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(chain: list[BaseException]) -> float | None:
    """Return the pause that the Retry-After header asks for, in seconds; it holds a number or a date."""
    for error in chain:
        headers = getattr(getattr(error, "response", None), "headers", None)
        value = headers.get("retry-after") if headers is not None else None
        if value:
            try:
                return max(float(value), 0.0)
            except ValueError:
                return _seconds_until(value)
    return None


def _seconds_until(date: str) -> float | None:
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)
