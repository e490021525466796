"""Keeps Optuna's remarks out of the terminal while it works for us, from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_depth = 0
_before = 0


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log, and put the user's own setting back when the last thread has left.

    The setting is one for the whole process: each thread putting back what it found would let the others' remarks out.
    """
    from optuna import logging  # 0.5 s

    global _depth, _before  # noqa: PLW0603  # as the setting that they guard
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
