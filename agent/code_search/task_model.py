"""Trials of all versions of the code as those of one: what an edit adds is taken to be the same everywhere.

One model with the version as a task: value = f(configuration) + shift(version), where the shift is read off the first
trial of a version, which repeats its parent's best one on the same seed. So what was learned of the configuration
with one version is not learned again with the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import adopted
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Objective


def variant_shifts(trials: Sequence[Trial], objective: Objective) -> dict[str, float]:
    """Return by how much each version's values lie above those of the user's own code (""), in the metric's units.

    A version without a trial that can be compared is left out.
    """
    metric = objective.metric
    shifts = {"": 0.0}
    able = [t for t in trials if t.state is TrialState.COMPLETE and metric in t.values and not t.is_replicate]
    for trial in able:
        code = trial.proposal.code
        if code in shifts:
            continue
        twin = next((t for t in able if t.number < trial.number and _is_paired(t, trial, shifts)), None)
        if twin is not None:
            shifts[code] = shifts[twin.proposal.code] + trial.values[metric] - twin.values[metric]
    return shifts


def pool_trials(
    trials: Sequence[Trial], code: str, space: SearchSpace, objective: Objective, shifts: Mapping[str, float]
) -> list[Trial]:
    """Return every trial of a version that can be compared, as it would have come out with `code`.

    Args:
        trials: all of the study's.
        code: the version that is tuned; one of `shifts`.
        space: its parameters; what a trial lacks stands at its default.
        objective: whose values are moved.
        shifts: of `variant_shifts`.
    """
    found = []
    for trial in trials:
        params = adopted(trial.params, space)
        if params is None or trial.proposal.code not in shifts:
            continue
        moved = shifts[code] - shifts[trial.proposal.code]
        outcome = trial.outcome
        if outcome is not None and objective.metric in outcome.values:
            value = outcome.values[objective.metric] + moved
            outcome = replace(outcome, values={**outcome.values, objective.metric: value})
        found.append(replace(trial, proposal=replace(trial.proposal, params=params), outcome=outcome))
    return found


def _is_paired(earlier: Trial, trial: Trial, shifts: Mapping[str, float]) -> bool:
    one, two = earlier.proposal, trial.proposal
    if one.code not in shifts or (one.seed, one.fidelity) != (two.seed, two.fidelity):
        return False
    return all(two.params[name] == value for name, value in one.params.items() if name in two.params)
