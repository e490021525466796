"""Multi-task model of the versions of the code: value = f(configuration) + shift(version).

The shift is measured by the first trial of a version, which repeats its parent's best trial on the same seed. It is
assumed to be the same for every configuration, so trials of all versions inform the tuning of each one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import project_to_space
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective


def variant_shifts(trials: Sequence[Trial], objective: Objective) -> dict[str, float]:
    """Return the shift of each version relative to the user's own code (""), in units of the metric.

    A version without a trial that repeats one of another version is omitted.
    """
    metric = objective.metric
    shifts = {"": 0.0}
    complete = [t for t in trials if t.state is TrialState.COMPLETE and metric in t.values and not t.is_replicate]
    for trial in complete:
        code = trial.proposal.code
        if code in shifts:
            continue
        paired = next((t for t in complete if t.number < trial.number and _is_paired(t, trial, shifts)), None)
        if paired is not None:
            shifts[code] = shifts[paired.proposal.code] + trial.values[metric] - paired.values[metric]
    return shifts


def pool_trials(
    trials: Sequence[Trial], code: str, space: SearchSpace, objective: Objective, shifts: Mapping[str, float]
) -> list[Trial]:
    """Return the trials of all versions with a known shift, with values shifted as if they had run `code`.

    Args:
        trials: all trials of the study.
        code: the version to tune; a key of `shifts`.
        space: parameters of that version; a parameter that a trial lacks gets its default.
        objective: the metric to shift.
        shifts: of `variant_shifts`.
    """
    pooled = []
    for trial in trials:
        params = project_to_space(trial.params, space)
        if params is None or trial.proposal.code not in shifts:
            continue
        shift = shifts[code] - shifts[trial.proposal.code]
        outcome = trial.outcome
        if outcome is not None and objective.metric in outcome.values:
            value = outcome.values[objective.metric] + shift
            outcome = replace(outcome, values={**outcome.values, objective.metric: value})
        pooled.append(replace(trial, proposal=replace(trial.proposal, params=params), outcome=outcome))
    return pooled


def _is_paired(earlier: Trial, trial: Trial, shifts: Mapping[str, float]) -> bool:
    one, two = earlier.proposal, trial.proposal
    if one.code not in shifts or (one.seed, one.fidelity) != (two.seed, two.fidelity):
        return False
    return all(two.params[name] == value for name, value in one.params.items() if name in two.params)
