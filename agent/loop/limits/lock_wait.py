"""Waits while another program locks the history: says so once, and gives up when the run is over anyway.

Running trials train on meanwhile; what they report is read and written afterwards.
"""

from __future__ import annotations

from tunesmith.agent.loop.study_run import StudyRun

LONGEST_WAIT_S = 12 * 3600.0
"""Longest wait for another program in a study without a deadline."""
_PAUSE_S = 60.0
"""Time without a locked statement after which a lock counts as another one, and is announced again."""


class LockWait:
    """Decides for one run whether a statement waits for another program any longer.

    Args:
        run: the run whose history is locked.
    """

    def __init__(self, run: StudyRun) -> None:
        self._run = run
        self._since_s = self._latest_s = -_PAUSE_S

    def keeps_waiting(self) -> bool:
        """Return whether to wait on: not after a second interrupt, the deadline, or LONGEST_WAIT_S."""
        run, now_s = self._run, self._run.options.clocks.steady()
        if now_s - self._latest_s >= _PAUSE_S:
            self._since_s = now_s
            run.announcer.note(
                f"another program locks {run.options.history} (a database browser, a backup, sqlite3 with an open "
                "transaction?): the study resumes once it lets go"
            )
        self._latest_s = now_s
        until = run.ledger.budget.until
        is_late = now_s - self._since_s >= LONGEST_WAIT_S if until is None else run.now() >= until
        return run.interrupts < 2 and not is_late  # noqa: PLR2004  # the second one ends the run at once
