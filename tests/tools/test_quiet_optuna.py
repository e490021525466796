"""Optuna is silent while any thread of Tunesmith uses it; afterwards the user's own level is restored."""

from __future__ import annotations

import threading

from optuna import logging

from tunesmith.tools.quiet_optuna import quiet_optuna


def test_the_last_thread_to_leave_restores_the_level() -> None:
    before = logging.get_verbosity()
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with quiet_optuna():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with quiet_optuna():
        thread.start()
        assert inside.wait(10)
    assert logging.get_verbosity() == logging.ERROR, "the other thread is still at work"
    leave.set()
    thread.join(10)
    assert logging.get_verbosity() == before
