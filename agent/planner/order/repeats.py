"""Repeats of a trial on another seed, and how many of them a study needs."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.agent.scheduler.repeats.replicates import as_replicate
from tunesmith.study.trials.replicates.seeds import noise_seed
from tunesmith.study.trials.trial import Proposal, Trial
from tunesmith.study.trials.view import StudyView

MAX_REPEATS = 3
"""Number of repeats of one configuration that may be asked for."""

TRIALS_PER_REPEAT = 4
"""Number of other trials for each repeat: noise has to be known, but repeats find nothing new."""


def may_repeat(view: StudyView, number: int) -> bool:
    """Return whether a trial may run again on another seed now; on instances the race decides that."""
    if any(t.proposal.instance for t in view.trials):
        return False
    repeats = [t for t in view.trials if t.is_replicate]
    own = sum(t.proposal.replicate_of == number for t in repeats)
    return own < MAX_REPEATS and len(repeats) * TRIALS_PER_REPEAT < len(view.trials)


def repeat_of(trial: Trial, view: StudyView, why: str) -> Proposal:
    """Return the proposal that repeats a trial on a seed that it did not have; the same seeds for every trial.

    Args:
        trial: the trial, or a repeat of it.
        view: the study.
        why: the rationale.
    """
    original = trial.number if trial.proposal.replicate_of is None else trial.proposal.replicate_of
    used = {t.proposal.seed for t in view.trials if original in (t.number, t.proposal.replicate_of)}
    seed = next(s for i in range(len(used) + 1000) if (s := noise_seed(view.seed, i)) not in used)
    return replace(as_replicate(trial, seed, why), judged=None, replicate_of=original)
