"""Runs one function at a time beside the training, in a thread that never keeps the program from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

BACKGROUND_THREAD = "tunesmith-llm"
"""The name of every such thread."""

P = ParamSpec("P")
R = TypeVar("R")


class DaemonRunner:
    """Starts a daemon thread per call; the standard library's executors wait for theirs when the interpreter ends.

    Args:
        done: called from the thread when a function has returned, to wake whoever waits.
    """

    def __init__(self, done: Callable[[], None] = lambda: None) -> None:
        self._done = done

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Return the future of the function's result."""
        future: Future[R] = Future()

        def work() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # handed to whoever asks for the result
                future.set_exception(error)
            self._done()

        threading.Thread(target=work, name=BACKGROUND_THREAD, daemon=True).start()
        return future
