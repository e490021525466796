"""When a request is sent again, and after which pause. Imports tenacity, so it is imported at the first request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from tunesmith.agent.llm.client.failures.diagnosis import diagnose, unusable_kind
from tunesmith.agent.llm.client.failures.errors import TRANSIENT

T = TypeVar("T")

MAX_RETRY_AFTER_S = 60.0
"""Longest pause that is waited for within a question; after a longer one the question fails and training continues."""

_backoff = wait_random_exponential(multiplier=1.0, max=30.0)


def with_retries(request: Callable[[], T], *, attempts: int, sleep: Callable[[float], None]) -> T:
    """Return the reply of a request that is sent up to `attempts` times while its failures are transient."""
    retrying = Retrying(
        retry=retry_if_exception(_is_worth_retrying),
        stop=stop_after_attempt(attempts),
        wait=_pause_s,
        sleep=sleep,
        reraise=True,
    )
    return retrying(request)


def _is_worth_retrying(error: BaseException) -> bool:
    diagnosis = diagnose(error)
    if unusable_kind(error) is not None or diagnosis.rejects_format or diagnosis.may_be_billed:
        return False
    is_short = diagnosis.retry_after_s is None or diagnosis.retry_after_s <= MAX_RETRY_AFTER_S
    return diagnosis.kind in TRANSIENT and is_short


def _pause_s(state: RetryCallState) -> float:
    """Return the pause before the next attempt, in seconds: what the server asks for, else random exponential."""
    error = state.outcome.exception() if state.outcome else None
    retry_after_s = diagnose(error).retry_after_s if error else None
    return _backoff(state) if retry_after_s is None else retry_after_s
