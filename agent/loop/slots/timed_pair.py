"""Runs edited code and the code before it at the same settings once more, to compare how long they train.

Next to each other on processors, so that both run under the same load; one after the other on a GPU, and where one of
them failed, since the memory may not be enough for two. Their values do not count. Records nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tunesmith.agent.code_search.training_time import LongerTraining, confirmed_text
from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.files.tree_walk import remove
from tunesmith.study.trials.observed.resources import usage_in_sequence
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage

_UNJUDGED = (FailureKind.NO_METRIC, FailureKind.NAN)
"""Failures of a run that trained to its end; the metric may be measured by [evaluate], which does not run."""


class TimedPair:
    """Two runs in one slot, polled like one.

    Args:
        trial: the edited trial, which has ended.
        outcome: its outcome.
        finding: how it seems to have trained longer than it may.
        edited: starts the edited code.
        before: starts the code before it.
        at_once: whether both may run at the same time.
    """

    def __init__(  # noqa: PLR0913  # three say what was found, three what runs
        self,
        trial: Trial,
        outcome: Outcome,
        finding: LongerTraining,
        *,
        edited: Callable[[], Evaluation],
        before: Callable[[], Evaluation],
        at_once: bool,
    ) -> None:
        self.trial = trial
        self._outcome, self._finding = outcome, finding
        self._starts = (edited, before)
        self._rounds = [self._starts] if at_once else [(start,) for start in self._starts]
        self._may_repeat = at_once
        self._running: list[Evaluation] = []
        self._ended: list[Outcome] = []
        self._usages: list[Usage] = []
        self._stopped_for = ""
        self._start_round()

    @property
    def usage(self) -> Usage:
        """What the runs that have ended used; it is not part of the trial's outcome."""
        return usage_in_sequence(self._usages) if self._usages else Usage()

    def poll(self) -> Outcome | None:
        """Return the outcome of the edited trial once both runs have ended; never blocks.

        Raises:
            ProjectError: the folders of a run cannot be made.
        """
        outcomes = [evaluation.poll() for evaluation in self._running]
        if any(outcome is None for outcome in outcomes):
            return None
        for evaluation in self._running:
            remove(evaluation.folder)
        self._running = []
        self._ended += [outcome for outcome in outcomes if outcome is not None]
        self._usages += [outcome.usage for outcome in outcomes if outcome is not None]
        if self._may_repeat and not self._stopped_for and not all(map(_is_measured, self._ended)):
            self._may_repeat, self._ended = False, []
            self._rounds = [(start,) for start in self._starts]
        if self._rounds and not self._stopped_for:
            self._start_round()
            return None
        return self._verdict()

    def stop(self, note: str, failure: FailureKind | None = None) -> None:  # noqa: ARG002  # a pair fails for time only
        """Ask both runs to end; the edited trial then counts as stopped, since its time was not compared."""
        self._stopped_for = self._stopped_for or note
        for evaluation in self._running:
            evaluation.stop(note)

    def kill(self, reason: str) -> None:
        """End both runs at once."""
        self._stopped_for = self._stopped_for or reason
        for evaluation in self._running:
            evaluation.kill(reason)

    def _start_round(self) -> None:
        for start in self._rounds.pop(0):
            self._running.append(start())

    def _verdict(self) -> Outcome:
        if self._stopped_for:
            note = f"{self._stopped_for}; not compared again: {self._finding.reason}"
            return replace(self._outcome, state=TrialState.STOPPED, note=note)
        edited, before = self._ended
        if not (_is_measured(edited) and _is_measured(before)):
            note = f"its time could not be compared again, because a run failed: {self._finding.reason}"
            return replace(self._outcome, note="; ".join(filter(None, (self._outcome.note, note))))
        reason = confirmed_text(edited.usage, before.usage, self._finding.compared.proposal.code)
        if not reason:
            return self._outcome
        failure = Failure(kind=FailureKind.TAMPERED, reason=reason)
        return replace(self._outcome, state=TrialState.FAILED, failure=failure)


def _is_measured(outcome: Outcome) -> bool:
    is_whole = outcome.state is TrialState.COMPLETE
    return is_whole or (outcome.failure is not None and outcome.failure.kind in _UNJUDGED)
