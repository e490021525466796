"""How long a free slot waits for an edit that the LLM is being asked for, instead of tuning meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tunesmith.agent.llm.questions.timing import typical_seconds
from tunesmith.agent.loop.limits.budget_ledger import BudgetLedger
from tunesmith.study.trials.trial import Trial

if TYPE_CHECKING:
    from tunesmith.agent.code_search.search import CodeSearch

PATIENCE_S = 60.0
"""Shortest time that a slot waits for an edit, in seconds, where the budget has no limit of time."""

_LAST_TRIAL = 1.5
"""Number of trials left, in full runs, below which the next one is the last."""


class EditWait:
    """The wait for the answer to one question after another.

    Args:
        steady: returns steady seconds.
    """

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._since: float | None = None

    def must_wait(self, code: CodeSearch, trials: Sequence[Trial], ledger: BudgetLedger) -> bool:
        """Return whether a free slot stays free for now.

        Edits are asked for when they are worth at least as much as tuning, so an answer is worth waiting as long as a
        trial takes, and longer where only trials are limited. The budget's last trial is kept for it in any case.
        """
        if not code.is_waiting_for_edit(trials):
            self._since = None
            return False
        if self._since is None:
            self._since = self._steady()
        patience_s = typical_seconds(trials)
        if ledger.deadline() is None:
            patience_s = max(patience_s, PATIENCE_S)
        return ledger.trials_left() < _LAST_TRIAL or self._steady() - self._since < patience_s
