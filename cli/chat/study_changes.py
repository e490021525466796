"""Changes of a study since the last look, in a few lines for the person and for the LLM."""

from __future__ import annotations

from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import InputError
from tunesmith.study.formatting import count
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number
from tunesmith.tools.analysis.broken_environment import FAILURES, last_of_study, pause_lines, pause_reason


class StudyChanges:
    """Compares the study with its state at the last look."""

    def __init__(self, session: StudySession) -> None:
        self._session = session
        self._finished: set[int] = set()
        self._best: int | None = None
        self._running = False
        self.poll()

    def poll(self) -> list[str]:
        """Return what changed since the last call, one line per change."""
        try:
            loaded = self._session.loaded()
            if loaded is None or loaded.context.control is None:
                return []
            view, running = loaded.reader.view(), loaded.context.control.is_running()
        except InputError:
            # The study file is being edited or the history is being made: the next look will succeed.
            return []
        lines = self._trials(view)
        if self._running and not running:
            record = loaded.reader.record()
            by = record.ended_by if record else ""
            last = last_of_study(view.set_aside) if by == FAILURES else None
            if last is not None:
                lines += [pause_reason([last]), *pause_lines(last)]
            else:
                lines.append(f"the run has ended{f' (by {by})' if by else ': its process died; /run resumes it'}")
        self._running = running
        return lines

    def _trials(self, view: StudyView) -> list[str]:
        known = {t.number: t for t in view.every_trial if t.state.is_finished}
        finished = set(known)
        new = [known[n] for n in sorted(finished - self._finished)]
        best = incumbent(view.trials, view)
        lines = []
        if new:
            failed = sum(t.state is TrialState.FAILED for t in new)
            finished_text = f"{count(len(new), 'trial')} finished"
            lines.append(f"{finished_text}{f', {failed} failed' if failed else ''}{_queued_results(new, view)}")
        if best is not None and best.number != self._best and self._best is not None:
            metric = view.objectives[0].metric
            lines.append(f"new best: {metric} {short_number(best.values[metric])} in trial {best.number}")
        self._finished, self._best = finished, best.number if best else None
        return lines


def _queued_results(new: list[Trial], view: StudyView) -> str:
    """Return the results of trials that a person queued."""
    metric = view.objectives[0].metric
    asked = [t for t in new if t.proposal.source.value == "user"]
    results = [f"#{t.number} {short_number(t.values[metric]) if metric in t.values else t.state.value}" for t in asked]
    return f"; yours: {', '.join(results)}" if results else ""
