"""Repetitions of trials on other seeds: the proposal of one, and those that are still missing. Starts nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tunesmith.study.trials.trial import Proposal, Source, Trial

MAX_ATTEMPTS = 3
"""Number of replicates on one seed after which it is given up, if all failed for reasons of the study itself."""


def as_replicate(trial: Trial, seed: int, rationale: str) -> Proposal:
    """Return the proposal that repeats a trial's configuration on another seed."""
    return replace(
        trial.proposal,
        source=Source.CONFIRM,
        seed=seed,
        rationale=rationale,
        prediction=None,
        rival=None,
        considered=(),
        fallback_reason="",
        replicate_of=trial.number,
        parent=None,
    )


def missing_replicates(compared: Sequence[Trial], seeds: Sequence[int], trials: Sequence[Trial]) -> list[Proposal]:
    """Return the replicates on these seeds that did not start yet, seed by seed."""
    missing = {t.number: set(missing_seeds(t, seeds, trials)) for t in compared}
    return [
        as_replicate(t, seed, f"trial {t.number} again on a fresh seed")
        for seed in seeds
        for t in compared
        if seed in missing[t.number]
    ]


def missing_seeds(trial: Trial, seeds: Sequence[int], trials: Sequence[Trial]) -> list[int]:
    """Return the seeds without a replicate that counts; after a few failures of the study itself a seed is given up."""
    repeats = [t for t in trials if t.proposal.replicate_of == trial.number]
    started = {t.proposal.seed for t in repeats if t.counts}
    attempts = Counter(t.proposal.seed for t in repeats)
    return [seed for seed in seeds if seed not in started and attempts[seed] < MAX_ATTEMPTS]


def is_replicate_running(trials: Sequence[Trial]) -> bool:
    """Return whether a repetition waits or runs."""
    return any(t.is_replicate and not t.state.is_finished for t in trials)
