"""Multi-task model of the versions of the code: value = f(configuration - offset(version)) + shift(version).

Shift and offset are measured by the first trial of a version, which is paired with its parent's best trial: the same
seed, and the configuration that the edit was written for. So an edit that came with twice the learning rate is tuned
around twice the learning rate. Both are assumed to be the same everywhere, so trials of all versions inform the tuning
of each one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import project_to_space
from tunesmith.study.trials.trial import Source, Trial, TrialState
from tunesmith.study.trials.view import Objective

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class VersionShift:
    """A version relative to the user's own code.

    Attributes:
        value: the difference of the metric, in its own units.
        offsets: by how far its configuration was moved, in coordinates of the unit cube, by name; 0 where missing.
        swaps: the values that replaced others, by name, where a parameter has no order.
    """

    value: float = 0.0
    offsets: Mapping[str, float] = field(default_factory=dict)
    swaps: Mapping[str, tuple[Value, Value]] = field(default_factory=dict)


def variant_shifts(
    trials: Sequence[Trial], objective: Objective, parents: Mapping[str, str], space: SearchSpace
) -> dict[str, VersionShift]:
    """Return the shift of each version; one whose first trial has no pair is omitted.

    Args:
        trials: all trials of the study.
        objective: the metric.
        parents: the version that each one was made from, "" for the user's own code.
        space: the parameters of the study, without those that versions declare.
    """
    metric = objective.metric
    shifts = {"": VersionShift()}
    complete = [t for t in trials if t.state is TrialState.COMPLETE and metric in t.values and not t.is_replicate]
    for trial in complete:
        code = trial.proposal.code
        if code in shifts:
            continue
        paired = _pair(trial, complete, parents.get(code, ""))
        if paired is not None and paired.proposal.code in shifts:
            shifts[code] = _moved(shifts[paired.proposal.code], paired, trial, metric, space)
    return shifts


def pool_trials(
    trials: Sequence[Trial], code: str, space: SearchSpace, objective: Objective, shifts: Mapping[str, VersionShift]
) -> list[Trial]:
    """Return the trials of all versions with a known shift, as if they had run `code`.

    Args:
        trials: all trials of the study.
        code: the version to tune; a key of `shifts`.
        space: parameters of that version; a parameter that a trial lacks gets its default.
        objective: the metric to shift.
        shifts: of `variant_shifts`.
    """
    pooled = []
    for trial in trials:
        if trial.proposal.code not in shifts:
            continue
        params = _carried(trial, shifts[trial.proposal.code], shifts[code], space)
        if params is None:
            continue
        difference = shifts[code].value - shifts[trial.proposal.code].value
        # What ran with other code is not this version's default, even if the configuration is.
        is_foreign = trial.proposal.source is Source.DEFAULT and trial.proposal.code != code
        source = Source.SAMPLER if is_foreign else trial.proposal.source
        outcome = trial.outcome
        if outcome is not None and objective.metric in outcome.values:
            value = outcome.values[objective.metric] + difference
            outcome = replace(outcome, values={**outcome.values, objective.metric: value})
        pooled.append(replace(trial, proposal=replace(trial.proposal, params=params, source=source), outcome=outcome))
    return pooled


def _pair(trial: Trial, complete: Sequence[Trial], parent: str) -> Trial | None:
    """Return the trial of the parent that a version's first trial is compared with: the one on the same seed."""
    mine = trial.proposal
    same = [
        t
        for t in complete
        if t.number < trial.number
        and t.proposal.code == parent
        and (t.proposal.seed, t.proposal.fidelity) == (mine.seed, mine.fidelity)
    ]
    return same[-1] if same else None


def _moved(before: VersionShift, paired: Trial, trial: Trial, metric: str, space: SearchSpace) -> VersionShift:
    offsets, swaps = dict(before.offsets), dict(before.swaps)
    for name, value in trial.params.items():
        old, parameter = paired.params.get(name), space.parameters.get(name)
        if parameter is None or old == value or parameter.invalid_reason(old) or parameter.invalid_reason(value):
            continue
        if _is_ordered(parameter):
            offsets[name] = offsets.get(name, 0.0) + _unit(parameter, value) - _unit(parameter, old)
        else:
            swaps[name] = (swaps.get(name, (old, old))[0], value)
    return VersionShift(before.value + trial.values[metric] - paired.values[metric], offsets, swaps)


def _carried(trial: Trial, own: VersionShift, wanted: VersionShift, space: SearchSpace) -> dict[str, Value] | None:
    """Return the configuration of another version that corresponds to a trial's; None where it is not in the space."""
    params = dict(trial.params)
    for name in {*own.offsets, *wanted.offsets} & set(params) & set(space.names):
        offset, parameter = wanted.offsets.get(name, 0.0) - own.offsets.get(name, 0.0), space.parameters[name]
        if not offset or parameter.invalid_reason(params[name]):
            continue
        unit = _unit(parameter, params[name]) + offset
        if not -_ROUNDING <= unit <= 1.0 + _ROUNDING:
            return None
        params[name] = parameter.from_unit(min(max(unit, 0.0), 1.0))
    for name in {*own.swaps, *wanted.swaps} & set(params):
        before = own.swaps[name][1] if name in own.swaps else wanted.swaps[name][0]
        after = wanted.swaps[name][1] if name in wanted.swaps else own.swaps[name][0]
        params[name] = after if params[name] == before else params[name]
    return project_to_space(params, space)


def _is_ordered(parameter: Parameter) -> bool:
    return not isinstance(parameter, Bool) and (not isinstance(parameter, Choice) or parameter.ordered)


def _unit(parameter: Parameter, value: Value) -> float:
    return parameter.to_unit(value)  # type: ignore[arg-type]  # each kind takes its own type
