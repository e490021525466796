"""What the default and the best configuration reached on each instance, for reports and tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.study.formatting import count, one_line
from tunesmith.study.trials.replicates.instances import Aggregate, InstanceSet
from tunesmith.study.trials.results import StudyQuestion, default_trial
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import short_number

MAX_ROWS = 40
"""Largest number of instances that are listed."""
_MAX_NAME = 60
_AGGREGATES: dict[Aggregate, str] = {"mean": "the mean", "p95": "the 95% quantile", "worst": "the worst"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceTable:
    """Values by instance, in the order in which the best configuration ran on them.

    Attributes:
        names: of the columns: "instance", then one per configuration.
        rows: one per instance; "–" where a configuration did not run.
        left_out: number of further instances.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int


def instance_table(trials: Sequence[Trial], asked: StudyQuestion) -> InstanceTable | None:
    """Return the table; None for a study without instances, or before its first result."""
    best, default = incumbent(trials, asked), default_trial(trials, asked.space)
    shown = {t.number: t for t in (default, best) if t is not None and t.runs is not None}
    if best is None or best.runs is None:
        return None
    names = list(dict.fromkeys([*best.runs.values, *(n for t in shown.values() if t.runs for n in t.runs.values)]))
    heads = [f"default (#{n})" if default is not None and n == default.number else f"best (#{n})" for n in shown]
    rows = [(one_line(name, _MAX_NAME), *(_cell(trial, name) for trial in shown.values())) for name in names[:MAX_ROWS]]
    return InstanceTable(names=("instance", *heads), rows=tuple(rows), left_out=max(len(names) - MAX_ROWS, 0))


def value_over_instances(trial: Trial, instances: InstanceSet | None) -> str:
    """Return what a configuration's value is of its runs: "the mean over 6 instances, estimated from its runs on 2".

    "" for a study without instances, and for a single run of a configuration.

    Args:
        trial: the configuration's first trial.
        instances: of the study; None where it has none now.
    """
    if trial.runs is None or instances is None or trial.state is not TrialState.COMPLETE:
        return ""
    names, ran = instances.tuning, sum(name in trial.runs.values for name in instances.tuning)
    whole = f"{_AGGREGATES[trial.runs.aggregate]} over {count(len(names), 'instance')}"
    return whole if ran == len(names) else f"{whole}, estimated from its runs on {ran}"


def _cell(trial: Trial, name: str) -> str:
    values = trial.runs.values if trial.runs is not None else {}
    return short_number(values[name]) if name in values else "–"
