"""What an exception of a model's client means: a kind, a line for people, and how long to wait. Tells no secrets.

Works on status codes and on the chain of causes, not on classes of one maker's client, so that it serves every
provider that LangChain knows.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tunesmith.agent.llm.client.errors import Down

_BY_STATUS = {
    401: Down.AUTH,
    403: Down.FORBIDDEN,
    404: Down.NOT_FOUND,
    408: Down.TIMEOUT,
    409: Down.SERVER,
    413: Down.TOO_LARGE,
    429: Down.RATE_LIMIT,
}
_ADVICE = {
    Down.REFUSED_CONNECTION: "nothing listens there; is the server running, and is base_url right?",
    Down.DNS: "its host name is not known; check base_url and the network",
    Down.TIMEOUT: "it did not answer in time",
    Down.CUT: "the connection broke off in the middle of the answer",
    Down.AUTH: "the key was refused (401); set a valid one in the environment",
    Down.FORBIDDEN: "the key may not use this model (403); ask for access, or choose another model",
    Down.NOT_FOUND: "it has no such model (404); check the name",
    Down.BAD_REQUEST: "it did not understand the request (400)",
    Down.TOO_LARGE: "the request is too large for it (413)",
    Down.CONTEXT_OVERFLOW: "the prompt is longer than its context; choose a model with a longer one",
    Down.RATE_LIMIT: "too many requests (429)",
    Down.QUOTA: "its quota is used up; top up the account, or choose another model",
    Down.SERVER: "it failed on its side",
    Down.GATEWAY: "what answered there is no model; is base_url right?",
    Down.MISSING_PACKAGE: "the package for this provider is not installed",
    Down.UNKNOWN: "the call failed",
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a request failed.

    Attributes:
        detail: a word about the exception that says nothing of its content.
        about_form: whether the server seems to refuse the way in which a form was asked for.
    """

    kind: Down
    detail: str = ""
    retry_after_s: float | None = None
    about_form: bool = False

    def reason(self, name: str) -> str:
        """Return the line for people."""
        detail = f" ({self.detail})" if self.detail else ""
        return f"the model {name} gave no answer: {_ADVICE[self.kind]}{detail}"


def diagnose(error: BaseException) -> Diagnosis:
    """Return what an exception of a model's client means."""
    chain = list(_chain(error))
    if any(isinstance(e, ImportError) for e in chain):
        missing = next((e.name for e in chain if isinstance(e, ImportError) and e.name), "")
        return Diagnosis(Down.MISSING_PACKAGE, f"pip install {missing.replace('_', '-')}" if missing else "")
    status = next((s for e in chain if isinstance(s := getattr(e, "status_code", None), int)), None)
    if status is not None:
        return _by_status(status, chain)
    kind = _by_names(" ".join(type(e).__name__ for e in chain).lower(), chain)
    return Diagnosis(kind, type(error).__name__ if kind is Down.UNKNOWN else "")


def _by_status(status: int, chain: list[BaseException]) -> Diagnosis:
    text = " ".join(str(e) for e in chain).lower()
    code = str(next((c for e in chain if (c := getattr(e, "code", None))), "")).lower()
    about_form = status in (400, 404, 415, 422, 500, 501) and bool(
        re.search(
            r"response_format|json_schema|json_object|tool_choice|\btools?\b|function call|structured output", text
        )
    )
    if "context_length" in code or "context_length_exceeded" in text or "maximum context" in text:
        return Diagnosis(Down.CONTEXT_OVERFLOW)
    if status in (402, 429) and ("insufficient_quota" in code or "insufficient_quota" in text or "billing" in text):
        return Diagnosis(Down.QUOTA)
    if status in _BY_STATUS:
        retry_after_s = _retry_after(chain)
        return Diagnosis(_BY_STATUS[status], retry_after_s=retry_after_s, about_form=about_form)
    kind = Down.SERVER if status >= 500 else Down.BAD_REQUEST  # noqa: PLR2004  # HTTP's own border
    return Diagnosis(kind, f"HTTP {status}", _retry_after(chain), about_form)


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
        said = " ".join(str(e) for e in chain).lower()
        return Down.DNS if "name or service" in said or "name resolution" in said else Down.REFUSED_CONNECTION
    if any(name in names for name in ("attributeerror", "typeerror", "jsondecodeerror", "valueerror", "keyerror")):
        # The client could make nothing of a body that came with 200.
        return Down.GATEWAY
    return Down.UNKNOWN


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(chain: list[BaseException]) -> float | None:
    """Return the seconds that the Retry-After header asks for, as a number or as a date."""
    for error in chain:
        headers = getattr(getattr(error, "response", None), "headers", None)
        said = headers.get("retry-after") if headers is not None else None
        if said:
            try:
                return max(float(said), 0.0)
            except ValueError:
                return _until(said)
    return None


def _until(date: str) -> float | None:
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)
