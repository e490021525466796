"""Gives the first trial of each configuration what all its runs on instances came to.

A study with [instances] runs a configuration several times: its first trial, and further ones that repeat it on other
instances. Everything that reads a study sees the aggregate over instances as the first trial's value, so that nothing
else has to know of instances.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.study.formatting import one_line
from tunesmith.study.trials.replicates.broken_instances import broken_instances, with_instance_failures
from tunesmith.study.trials.replicates.instances import InstanceSet, complete_row, fit_effects
from tunesmith.study.trials.replicates.seeds import is_fresh
from tunesmith.study.trials.replicates.unlisted import is_listed
from tunesmith.study.trials.trial import Failure, InstanceRuns, Outcome, Trial, TrialState
from tunesmith.study.trials.view import Objective

_MAX_NAME = 60


def with_instances(
    trials: Sequence[Trial], instances: InstanceSet, objective: Objective, since: Mapping[str, float] | None = None
) -> list[Trial]:
    """Return the trials; the first of each configuration has the values of all its runs and `runs`.

    A run that failed makes its configuration fail, unless every configuration fails on that instance. What ran on no
    instance of the study, as it is now, is unlisted.

    Args:
        trials: all trials of the study.
        instances: the instances that it has now.
        objective: what is aggregated.
        since: when an instance became what it is now, in seconds since the epoch; earlier runs were on another one.
    """
    listed = [t if is_listed(t, instances, since) else replace(t, is_unlisted=True) for t in trials]
    broken = broken_instances(listed)
    known = with_instance_failures(listed, broken)
    groups = runs_by_configuration(known, instances)
    measured = {number: _values(runs, objective.metric) for number, runs in groups.items()}
    losses = {n: {name: objective.sign * v for name, v in values.items()} for n, values in measured.items() if values}
    instances = replace(instances, tuning=tuple(name for name in instances.tuning if name not in broken))
    effects = fit_effects(losses, instances.tuning)
    made: list[Trial] = []
    for trial in known:
        runs = groups.get(trial.number)
        if trial.is_replicate or not runs or trial.forgotten:
            made.append(trial)
            continue
        failed = next((run for run in runs if run.state is TrialState.FAILED), None)
        if failed is not None and failed is not trial:
            made.append(_as_failed(replace(trial, is_unlisted=False), failed, measured[trial.number]))
        elif trial.state is not TrialState.COMPLETE or trial.number not in losses:
            made.append(trial)
        else:
            row = complete_row(losses[trial.number], effects, instances)
            adjusted = tuple(objective.sign * loss for loss in row.losses)
            found = InstanceRuns(
                values=measured[trial.number], adjusted=adjusted, noise=effects.noise, aggregate=instances.aggregate
            )
            made.append(
                _with_values(
                    replace(trial, is_unlisted=False), runs, {objective.metric: objective.sign * row.loss}, found
                )
            )
    return made


def without_instances(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials of a study that has no [instances] now; what ran on one is unlisted."""
    return [replace(t, is_unlisted=True) if t.proposal.instance else t for t in trials]


def is_instance_run(trial: Trial) -> bool:
    """Return whether a trial is a run on an instance that choices are made on."""
    return bool(trial.proposal.instance) and not is_fresh(trial.proposal.seed)


def runs_by_configuration(trials: Sequence[Trial], instances: InstanceSet) -> dict[int, list[Trial]]:
    """Return the runs on present tuning instances by the number of their first trial, in order."""
    names, groups = set(instances.tuning), dict[int, list[Trial]]()
    for trial in trials:
        if trial.counts and trial.proposal.instance in names and is_instance_run(trial):
            original = trial.number if trial.proposal.replicate_of is None else trial.proposal.replicate_of
            groups.setdefault(original, []).append(trial)
    return groups


def _values(runs: Sequence[Trial], metric: str) -> dict[str, float]:
    """Return the finite value on each instance, of the first complete run there."""
    found: dict[str, float] = {}
    for run in runs:
        value = run.values.get(metric, math.nan)
        if run.state is TrialState.COMPLETE and math.isfinite(value):
            found.setdefault(run.proposal.instance, value)
    return found


def _with_values(trial: Trial, runs: Sequence[Trial], values: Mapping[str, float], found: InstanceRuns) -> Trial:
    """Return the trial with these values, and with the mean over its runs of every other metric that all report."""
    assert trial.outcome is not None  # noqa: S101  # it is complete
    complete = [run.values for run in runs if run.state is TrialState.COMPLETE]
    others = {
        name: tuple(one[name] for one in complete)
        for name in trial.values
        if name not in values and all(math.isfinite(one.get(name, math.nan)) for one in complete)
    }
    means = {name: math.fsum(single) / len(single) for name, single in others.items()}
    outcome = replace(trial.outcome, values={**trial.values, **means, **values})
    return replace(trial, outcome=outcome, runs=replace(found, others=others))


def _as_failed(trial: Trial, failed: Trial, measured: Mapping[str, float]) -> Trial:
    """Return the first trial as failed because of another of its runs; `runs` keeps what it reached elsewhere."""
    assert failed.failure is not None  # noqa: S101  # it failed
    if not trial.state.is_finished:
        return trial
    failure = failed.failure
    reason = f"on instance {one_line(failed.proposal.instance, _MAX_NAME)}, as trial {failed.number}: {failure.reason}"
    outcome = trial.outcome or Outcome(state=TrialState.FAILED)
    there = Failure(kind=failure.kind, reason=reason, tail=failure.tail, scope=failure.scope)
    runs = InstanceRuns(values=measured, adjusted=tuple(measured.values())) if measured else None
    ended = replace(outcome, state=TrialState.FAILED, failure=there)
    return replace(trial, state=TrialState.FAILED, outcome=ended, runs=runs)
