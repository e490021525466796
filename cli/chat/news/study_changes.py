"""News of a study: what the person is shown at once, and what the LLM reads with the next message."""

from __future__ import annotations

from tunesmith.cli.chat.news.run_notes import RunNotes
from tunesmith.cli.chat.news.study_look import StudyLook
from tunesmith.study.formatting import count
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.broken_environment import FAILURES, last_of_study, pause_lines, pause_reason
from tunesmith.tools.analysis.run_state import ending_text

UNREPORTED_LINES = 10
"""Number of lines that the LLM is shown with the next message, in addition to the counts and the best."""


class StudyChanges:
    """Compares a study with its state at the last look.

    What happened before the first look at a study is known, unless the study was made while the chat looked on.
    """

    def __init__(self) -> None:
        self._name = ""
        self._is_made_here = False
        self._notes = RunNotes()
        self._finished: set[int] = set()
        self._best: int | None = None
        self._running = False
        self._unreported: list[str] = []
        self._unreported_best = ""
        self._unreported_counts = [0, 0]

    def since_last(self, look: StudyLook | None, *, counts: bool = True) -> list[str]:
        """Return the news since the last look, one line each.

        Args:
            look: the study now; None without one.
            counts: whether they say how many trials finished.
        """
        if look is None:
            self._is_made_here = not self._name
            return []
        if look.name != self._name:
            is_new, self._name, self._is_made_here = self._is_made_here, look.name, False
            self._running = is_new and look.record is not None
            if not is_new:
                self._forget(look)
                return []
        view = look.view
        lines = [*self._finished_lines(view, counts=counts), *self._best_lines(look)]
        notes = [*self._notes.read(look.loaded), *self._end_lines(look)]
        self._unreported = [*self._unreported, *notes][-UNREPORTED_LINES:]
        return [*lines, *notes]

    def _forget(self, look: StudyLook) -> None:
        """Take a study as it is, without news of another one."""
        self._finished = {t.number for t in look.view.every_trial if t.state.is_finished}
        self._best = look.best.number if look.best is not None else None
        self._running = look.is_running
        self._notes.read(look.loaded)
        self.news_for_model()

    def news_for_model(self) -> str:
        """Return everything since the last call in one text; the best and the counts are never pushed out of it."""
        finished, failed = self._unreported_counts
        counts = [_finished_text(finished, failed)] if finished else []
        best = [self._unreported_best] if self._unreported_best else []
        text = "; ".join([*counts, *best, *self._unreported])
        self._unreported, self._unreported_best, self._unreported_counts = [], "", [0, 0]
        return text

    def _finished_lines(self, view: StudyView, *, counts: bool) -> list[str]:
        """Return how many trials finished, and the results of trials that a person queued."""
        known = {t.number: t for t in view.every_trial if t.state.is_finished}
        new = [known[n] for n in sorted(known.keys() - self._finished)]
        self._finished = set(known)
        if not new:
            return []
        failed = sum(t.state is TrialState.FAILED for t in new)
        self._unreported_counts = [self._unreported_counts[0] + len(new), self._unreported_counts[1] + failed]
        own = _own_results(new, view)
        self._unreported += [own] if own else []
        return [*([_finished_text(len(new), failed)] if counts else []), *([own] if own else [])]

    def _best_lines(self, look: StudyLook) -> list[str]:
        best, before = look.best, self._best
        self._best = best.number if best else None
        if best is None or before is None or best.number == before:
            return []
        metric = look.view.objectives[0].metric
        self._unreported_best = f"new best: {metric} {short_number(best.values[metric])} in trial {best.number}"
        return [self._unreported_best]

    def _end_lines(self, look: StudyLook) -> list[str]:
        ended, self._running = self._running and not look.is_running, look.is_running
        if not ended:
            return []
        record = look.record
        by = record.ended_by if record is not None else ""
        last = last_of_study(look.view.set_aside) if by == FAILURES else None
        if last is not None:
            return [pause_reason([last]), *pause_lines(last)]
        ended_by = ending_text(by, record.spec) if record is not None and by else "its process died; /run resumes it"
        return [f"the run has ended: {ended_by}"]


def _finished_text(finished: int, failed: int) -> str:
    return f"{count(finished, 'trial')} finished{f', {failed} failed' if failed else ''}"


def _own_results(new: list[Trial], view: StudyView) -> str:
    """Return the results of trials that a person queued; "" without any."""
    metric = view.objectives[0].metric
    asked = [t for t in new if t.proposal.source.value == "user"]
    results = [f"#{t.number} {short_number(t.values[metric]) if metric in t.values else t.state.value}" for t in asked]
    return f"yours: {', '.join(results)}" if results else ""
