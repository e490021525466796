"""Finds a version of the code that computes what another one computed, from the first values that its trial reports.

Such a trial need not run to its end. An edit that may act later only, such as a schedule, is given its time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tunesmith.agent.code_search.suspicious_gains import TIMING_METRIC, has_many_digits, same_setting
from tunesmith.study.trials.trial import Trial, TrialState

Series = Mapping[str, Sequence[float]]
"""What a trial reported: its values by metric, in their order."""

MIN_EQUAL_VALUES = 3
"""Number of equal values at the start of a trial that show that two versions compute the same."""

_ACTS_LATER = re.compile(
    r"epoch|step|iter|clock|share|sched|swa|ema|averag|milestone|decay|warm|anneal|patience|plateau|frac|progress|total"
    r"|final|last|late|end\b|until|after|every|range|while|if\b|save|eval|test|predict",
    re.IGNORECASE,
)


def equal_start(trial: Trial, trials: Sequence[Trial], series: Mapping[int, Series], diff: str) -> Trial | None:
    """Return a complete trial of another version whose first values this trial repeats to the last digit.

    Args:
        trial: a trial of edited code.
        trials: all trials of the study.
        series: what each trial reported so far, by number.
        diff: what the version changes of its parent.
    """
    own = _lasting(series.get(trial.number, {}))
    longest = max((len(values) for values in own.values()), default=0)
    if not trial.proposal.code or longest < MIN_EQUAL_VALUES or acts_later(diff):
        return None
    if not any(has_many_digits(value) for values in own.values() for value in values):
        return None
    for other in trials:
        is_other = other.state is TrialState.COMPLETE and other.proposal.code != trial.proposal.code
        if is_other and same_setting(trial, other) and _begins_with(_lasting(series.get(other.number, {})), own):
            return other
    return None


def _lasting(series: Series) -> Series:
    """Return the metrics that are equal between two runs of the same code: not times, nor memory."""
    return {metric: values for metric, values in series.items() if not TIMING_METRIC.search(metric)}


def _begins_with(whole: Series, start: Series) -> bool:
    return all(list(whole.get(metric, ()))[: len(values)] == list(values) for metric, values in start.items())


def acts_later(diff: str) -> bool:
    """Return whether the lines that an edit adds or removes may matter only later in the training."""
    lines = [line[1:] for line in diff.split("\n") if line[:1] in "+-" and not line.startswith(("+++ ", "--- "))]
    return any(_ACTS_LATER.search(line.partition("#")[0]) for line in lines)
