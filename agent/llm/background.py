"""Runs functions in daemon threads, so that a slow call never delays the training or the end of the program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, Protocol, TypeVar

BACKGROUND_THREAD = "tunesmith-llm"
"""Name of every thread that is started here."""


class BackgroundRunner(Protocol):
    """Runs functions in the background."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start the function; return the future of its result."""


P = ParamSpec("P")
R = TypeVar("R")


class DaemonRunner:
    """Starts a daemon thread for each call; the executors of the standard library wait for theirs at exit.

    Args:
        on_done: called from the thread after the function has returned, for example to wake the main loop.
    """

    def __init__(self, on_done: Callable[[], None] = lambda: None) -> None:
        self._on_done = on_done

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Start the function; return the future of its result."""
        future: Future[R] = Future()

        def work() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  # Future.result() raises it again
                future.set_exception(error)
            self._on_done()

        threading.Thread(target=work, name=BACKGROUND_THREAD, daemon=True).start()
        return future
