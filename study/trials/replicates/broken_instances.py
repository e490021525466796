"""Finds instances that every configuration fails on although it works elsewhere: a broken file, not a bad setting.

Such failures are the study's: they say nothing about the configurations, which would otherwise be lost one after
another, the best ones first. Memory, divergence and time depend on the configuration and are never the instance's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from tunesmith.study.trials.failure_scope import OF_THE_CONFIGURATION
from tunesmith.study.trials.trial import FailureScope, Trial

MIN_CONFIGURATIONS = 3
"""Configurations that completed on another instance and failed on this one from which on it counts as broken."""


def broken_instances(trials: Sequence[Trial]) -> frozenset[str]:
    """Return the names of the instances that count as broken.

    Args:
        trials: those of a study. Forgotten trials and runs on instances that it has no longer are left out.
    """
    ended = [t for t in trials if t.proposal.instance and not (t.forgotten or t.is_unlisted)]
    completed = [t for t in ended if t.has_completed]
    works, worked = {t.proposal.instance for t in completed}, {_configuration(t) for t in completed}
    failed: dict[str, set[int]] = {}
    for trial in ended:
        if trial.proposal.instance not in works and _configuration(trial) in worked and _may_be_of_instance(trial):
            failed.setdefault(trial.proposal.instance, set()).add(_configuration(trial))
    return frozenset(name for name, configurations in failed.items() if len(configurations) >= MIN_CONFIGURATIONS)


def with_instance_failures(trials: Sequence[Trial], broken: Collection[str]) -> list[Trial]:
    """Return the trials; failures on broken instances are failures of the study."""
    return [
        replace(t, outcome=replace(t.outcome, failure=replace(t.failure, scope=FailureScope.STUDY)))
        if t.proposal.instance in broken and t.outcome and t.failure and _may_be_of_instance(t)
        else t
        for t in trials
    ]


def _configuration(trial: Trial) -> int:
    return trial.number if trial.proposal.replicate_of is None else trial.proposal.replicate_of


def _may_be_of_instance(trial: Trial) -> bool:
    return trial.has_failed and trial.failure is not None and trial.failure.kind not in OF_THE_CONFIGURATION
