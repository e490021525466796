"""Decides when failures that no parameter explains pause a run, and what people read then. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.study.formatting import one_line
from tunesmith.study.trials.trial import FailureScope, Trial

FAILURES = "failures"
"""`ended_by` of a run that paused because trials failed independently of their configuration."""
FAILURES_AT_FIRST = 3
"""Number of failures of the study in a row after which a run pauses in which no trial has worked yet."""
FAILURES_LATER = 5
"""Number of failures of the study in a row after which a run pauses in which a trial has worked."""
_MAX_NAME = 60
LOG_LINES = 12
"""Number of lines of the last log that the message shows."""


def failing_streak(trials: Sequence[Trial], ended: Sequence[int]) -> list[Trial]:
    """Return the latest failures of the study in a row if they are enough to pause the run; [] otherwise.

    Args:
        trials: every trial of the study.
        ended: the numbers of the trials that ended in this run, in order.
    """
    by_number = {t.number: t for t in trials}
    latest = [by_number[number] for number in ended]
    streak: list[Trial] = []
    for trial in reversed(latest):
        if not _is_of_study(trial):
            break
        streak.insert(0, trial)
    has_worked = any(t.failure is None for t in latest)
    return streak if len(streak) >= (FAILURES_LATER if has_worked else FAILURES_AT_FIRST) else []


def last_of_study(trials: Sequence[Trial]) -> Trial | None:
    """Return the latest trial with a failure of the study; None without one."""
    return next((t for t in reversed(trials) if _is_of_study(t)), None)


def pause_reason(streak: Sequence[Trial]) -> str:
    """Return in one sentence why the run pauses."""
    failure = streak[-1].failure
    reason = failure.reason if failure is not None else ""
    on = instance_words(streak)
    what = (
        f"{len(streak)} trials in a row failed{on}"
        if len(streak) > 1
        else f"trials failed (the last: {streak[0].number}{on})"
    )
    return f"paused: {what}, and their parameters do not explain it: {reason}"


def pause_lines(trial: Trial) -> list[str]:
    """Return the end of the log of the last failed trial, and what to do."""
    failure = trial.failure
    log = failure.tail.strip().splitlines()[-LOG_LINES:] if failure is not None else []
    head = (
        [f"The end of the log of trial {trial.number}{instance_words([trial])}:", *(f"  {line}" for line in log)]
        if log
        else []
    )
    return [
        *head,
        "These trials teach nothing and do not count. Correct the cause, then run the same command again: it starts",
        "with the default. `tunesmith run --keep-going` does not pause.",
    ]


def instance_words(trials: Sequence[Trial]) -> str:
    """Return " on instance a" where trials ran on one instance, or " on 3 instances"; "" without instances."""
    names = list(dict.fromkeys(t.proposal.instance for t in trials))
    if names in ([], [""]):
        return ""
    return f" on instance {one_line(names[0], _MAX_NAME)}" if len(names) == 1 else f" on {len(names)} instances"


def _is_of_study(trial: Trial) -> bool:
    return trial.failure is not None and trial.failure.scope is FailureScope.STUDY
