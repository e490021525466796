"""How long slots wait for answers that are on their way: a part of the training time, in all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class AnswerWait:
    """The waits of one run.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None
        self._waited_s = 0.0
        self._allowed_s = 0.0

    def begin(self, allowed_s: float) -> None:
        """Wait, or keep waiting.

        Args:
            allowed_s: seconds that all waits of the run together may take.
        """
        self._allowed_s = allowed_s
        if self._since is None:
            self._since = self._clock()

    def end(self) -> None:
        """Stop waiting and count how long it took."""
        if self._since is not None:
            self._waited_s += self._clock() - self._since
            self._since = None

    def goes_on(self, pending: Future[Any] | None) -> bool:
        """Return whether to wait on for an answer: one waits, it has not come, and the allowance is not used up."""
        is_open = self._since is not None and pending is not None and not pending.done()
        if is_open and self._waited_s + self._clock() - (self._since or 0.0) < self._allowed_s:
            return True
        self.end()
        return False
