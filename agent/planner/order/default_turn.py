"""Whether the user's default runs next: at the start, and again where its earlier run does not count any more."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView


def is_default_due(view: StudyView, default: Mapping[str, Value]) -> bool:
    """Return whether the default runs next.

    It does at the start, again once the space has another default than it ran, again where the instances changed that
    it ran on, and again after a failure of the study itself as soon as a trial shows that the study works.
    """
    if view.number == 0:
        return True
    if is_default_set_aside(view):
        ended = [t for t in view.every_trial if t.state.is_finished and not t.is_unlisted]
        latest = max(ended, key=lambda t: t.number, default=None)
        return latest is None or (latest.counts and latest.state is not TrialState.FAILED)
    ran = [t for t in view.trials if t.proposal.source is Source.DEFAULT and not t.is_replicate]
    return bool(ran) and all(dict(t.params) != dict(default) for t in ran)


def is_default_set_aside(view: StudyView) -> bool:
    """Return whether the default ran, but no run of it counts, waits or runs."""
    return any(_is_default(t) for t in view.set_aside) and not any(_is_default(t) for t in view.trials)


def _is_default(trial: Trial) -> bool:
    return trial.proposal.source is Source.DEFAULT and not trial.is_replicate
