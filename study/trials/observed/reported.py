"""Which metrics the trials of a study reported, and what to say about one that none did."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.observed.resources import RESOURCES
from tunesmith.study.trials.trial import Trial

_LISTED = 12
"""Number of metrics that a message lists."""


def reported_metrics(trials: Iterable[Trial]) -> list[str]:
    """Return the name of every metric that a trial reported, in order."""
    return list(dict.fromkeys(name for trial in trials for name in trial.values))


def unreported_reason(metric: str, trials: Iterable[Trial]) -> str:
    """Return why a metric cannot be bounded: no trial reported it; "" if one did, or none reported anything yet."""
    known = reported_metrics(trials)
    if not known or metric in known or metric in RESOURCES:
        return ""
    listed = ", ".join(known[:_LISTED]) + (", …" if len(known) > _LISTED else "")
    hint = did_you_mean(metric, known)
    return f"no trial reported {metric!r}{hint if 'did you mean' in hint else ''}; reported: {listed}"
