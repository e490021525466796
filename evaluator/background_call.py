"""Calls a function in a thread, for work on a trial's files that must not hold up the loop: there may be many."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """One call of a function. Ask `result` for it from one thread."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, wait_s: float = 0.0) -> list[T]:
        """Return a list with what the function returned, an empty one while it runs; raise what it raised.

        Args:
            wait_s: longest wait for it.
        """
        self._thread.join(wait_s)
        if self._error is not None:
            raise self._error
        return self._found

    def _run(self) -> None:
        try:
            self._found.append(self._function())
        except BaseException as error:  # noqa: BLE001  # raised again where the result is asked for
            self._error = error
