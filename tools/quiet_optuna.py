"""Silences Optuna's log while Tunesmith uses it, also from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_depth = 0
_before = 0


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log; restore the user's level when the last thread leaves.

    The level is one for the whole process: a thread that restored it on its own would end the silence for the others.
    """
    from optuna import logging  # 0.5 s

    global _depth, _before  # noqa: PLW0603  # as global as the level that they save
    with _LOCK:
        if _depth == 0:
            _before = logging.get_verbosity()
            logging.set_verbosity(logging.ERROR)
        _depth += 1
    try:
        yield
    finally:
        with _LOCK:
            _depth -= 1
            if _depth == 0:
                logging.set_verbosity(_before)
