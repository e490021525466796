"""What happened to a study since one last looked, in a few lines: for the person between turns, and for the model."""

from __future__ import annotations

from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import InputError
from tunesmith.study.trials.results import incumbent
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number


class StudyChanges:
    """Compares the study with what it was at the last look."""

    def __init__(self, wiring: StudySession) -> None:
        self._wiring = wiring
        self._finished: set[int] = set()
        self._best: int | None = None
        self._running = False
        self.since()

    def since(self) -> list[str]:
        """Return what is new, a line each, and take it as seen."""
        try:
            wired = self._wiring.wired()
            if wired is None or wired.context.control is None:
                return []
            view, running = wired.facts.view(), wired.context.control.is_running()
        except InputError:
            # A study file that is being edited, or a history that is being made: the next look will tell.
            return []
        lines = self._trials(view)
        if self._running and not running:
            record = wired.facts.record()
            by = record.ended_by if record else ""
            lines.append(f"the run has ended{f' (by {by})' if by else ': its process is gone; /run resumes it'}")
        self._running = running
        return lines

    def _trials(self, view: StudyView) -> list[str]:
        finished = {t.number for t in view.trials if t.state.is_finished}
        new = [view.trials[n] for n in sorted(finished - self._finished)]
        best = incumbent(view.trials, view.objectives, view.constraints)
        lines = []
        if new:
            failed = sum(t.state is TrialState.FAILED for t in new)
            count = f"{len(new)} trial{'s' if len(new) > 1 else ''} finished"
            lines.append(f"{count}{f', {failed} failed' if failed else ''}{_whose(new, view)}")
        if best is not None and best.number != self._best and self._best is not None:
            metric = view.objectives[0].metric
            lines.append(f"new best: {metric} {short_number(best.values[metric])} in trial {best.number}")
        self._finished, self._best = finished, best.number if best else None
        return lines


def _whose(new: list[Trial], view: StudyView) -> str:
    """Return the values of trials that a person asked for: that is what they wait for."""
    metric = view.objectives[0].metric
    asked = [t for t in new if t.proposal.source.value == "user"]
    said = [f"#{t.number} {short_number(t.values[metric]) if metric in t.values else t.state.value}" for t in asked]
    return f"; yours: {', '.join(said)}" if said else ""
