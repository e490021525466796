"""Checks now and then whether a trial's folder exceeds its quota of bytes and files, without holding up the loop."""

from __future__ import annotations

import time

from tunesmith.evaluator.background_call import BackgroundCall
from tunesmith.evaluator.files.tree_walk import Unmeasurable
from tunesmith.evaluator.files.workspace import Workspace, used_bytes

QUOTA_CHECK_S = 1.0
"""Shortest interval at which the size of the trial's folder is checked."""
_SHARE = 20
"""The interval is at least this many times as long as a check takes."""


class FolderQuota:
    """The quota of one command's folder.

    Args:
        workspace: the folders that the command writes.
        limit_bytes: [run].disk.
    """

    def __init__(self, workspace: Workspace, limit_bytes: int) -> None:
        self._workspace, self._limit_bytes = workspace, limit_bytes
        self._check: BackgroundCall[tuple[str, float]] | None = None
        self._next_at = 0.0

    def problem(self) -> str:
        """Return why the trial has to end, "" as far as is known; never blocks."""
        if self._check is None:
            if time.monotonic() >= self._next_at:
                self._check = BackgroundCall(self._measure)
            return ""
        for problem, took_s in self._check.result():
            self._check = None
            self._next_at = time.monotonic() + max(QUOTA_CHECK_S - took_s, _SHARE * took_s)
            return problem
        return ""

    def _measure(self) -> tuple[str, float]:
        started = time.monotonic()
        problem = ""
        try:
            if used_bytes(self._workspace) > self._limit_bytes:
                problem = f"filled its disk quota of {self._limit_bytes / 2**20:,.0f} MiB ([run].disk)"
        except Unmeasurable as error:
            problem = f"{error}; its disk quota cannot be checked"
        return problem, time.monotonic() - started
