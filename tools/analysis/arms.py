"""How trials are divided among the arms of an algorithm choice: what each reached, and a bound on what it may reach.

The bound is the best value of an arm less a bonus that shrinks with its trials (MaxUCB, Balef et al. 2025, "Put CASH on
Bandits"). Distances between values are on a log scale, so that one arm far behind does not hide the others. Knows no
model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from tunesmith.study.config.changes import Steering
from tunesmith.study.formatting import count, render_short
from tunesmith.study.space.condition import Value, same
from tunesmith.study.space.parameters import Choice
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import StudyQuestion, is_feasible, study_front
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import objective_values
from tunesmith.study.units import short_number

EVERY = 3
"""Of this number of trials one goes to the arm with the best bound while the search stalls."""

_STALLED_AFTER = 5
"""Number of trials without a better value after which the search counts as stalled."""

_EXPLORATION = 0.5
"""Weight of the bonus, as in the paper."""


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """What an arm has reached.

    Attributes:
        trials: number of its trials, pending ones included.
        values: those of its trials that have one, smaller is better, in order.
    """

    trials: int = 0
    values: tuple[float, ...] = ()

    @property
    def best(self) -> float:
        """The lowest value; inf where no trial has one."""
        return min(self.values, default=math.inf)

    @property
    def since_best(self) -> int:
        """The number of trials with a value since the best one."""
        return len(self.values) - 1 - self.values.index(self.best) if self.values else 0

    def with_pending(self, count: int) -> ArmRecord:
        """Return the record with further trials that have no value yet."""
        return replace(self, trials=self.trials + count)


@dataclass(frozen=True, slots=True)
class ArmLine:
    """An arm as people see it.

    Attributes:
        value: of the algorithm choice.
        best: in the metric's own direction; None where no trial has a value.
        share: its part of the trials, in [0, 1].
        why: why it gets trials or not.
    """

    value: Value
    trials: int
    best: float | None
    share: float
    why: str

    @property
    def text(self) -> str:
        """The line, without the name of the choice."""
        best = f"best {short_number(self.best)}, " if self.best is not None else ""
        return f"{render_short(self.value)}: {count(self.trials, 'trial')} ({self.share:.0%}), {best}{self.why}"


def records_of(arms: Sequence[int], values: Sequence[float], size: int) -> tuple[list[ArmRecord], bool]:
    """Return the record of each arm, and whether the search has stalled.

    Args:
        arms: the arm of each finished trial.
        values: their values, smaller is better; nan for a failure.
        size: the number of arms.
    """
    found, best, since = [ArmRecord()] * size, math.inf, 0
    for arm, value in zip(arms, values, strict=True):
        had = found[arm]
        found[arm] = ArmRecord(had.trials + 1, had.values if math.isnan(value) else (*had.values, value))
        since = 0 if value < best else since + 1
        best = value if value < best else best
    return found, since >= _STALLED_AFTER


def arm_by_bound(records: Sequence[ArmRecord]) -> int:
    """Return the index of the arm that may reach the lowest value, of equal ones the first.

    The arm that holds the best value is left out: the model of the whole space refines it in the other trials.
    """
    known = sorted(value for record in records for value in record.values)
    best = known[0] if known else 0.0
    typical = (median(known) - best or known[-1] - best or 1.0) if known else 1.0
    total = max(sum(record.trials for record in records), 2)
    bounds = [math.inf if best in r.values else _bound(r, best, typical, total) for r in records]
    return bounds.index(min(bounds))


def _bound(record: ArmRecord, best: float, typical: float, total: int) -> float:
    """Return the bound in logs of the typical distance; an arm without a value counts as that distance behind."""
    behind = (record.best - best) / typical if record.values else 1.0
    return math.log1p(behind) - (_EXPLORATION * math.log(total) / max(record.trials, 1)) ** 2


def excluded_arms(space: SearchSpace, steering: Steering) -> tuple[Value, ...]:
    """Return the values of the algorithm choice that no proposal may have; () where every value is excluded."""
    choice = space.parameters[space.arms] if space.arms is not None else None
    if space.arms is None or not isinstance(choice, Choice):
        return ()
    found = steering.excluded(space.arms, choice.choices)
    return found if len(found) < len(choice.choices) else ()


def arm_lines(asked: StudyQuestion, trials: Sequence[Trial], excluded: Sequence[Value] = ()) -> list[ArmLine]:
    """Return a line per arm, the best arm first; none without an algorithm choice or without trials.

    Only values that may be chosen count: a trial that breaks a bound cannot be an arm's best.

    Args:
        asked: what the study asks.
        trials: every trial.
        excluded: the arms that pins and vetoes exclude.
    """
    space, objective = asked.space, asked.objectives[0]
    choice = space.parameters[space.arms] if space.arms is not None else None
    counted = [t for t in trials if t.counts and not t.is_replicate and space.arms in t.params]
    if space.arms is None or not isinstance(choice, Choice) or not counted:
        return []
    index = [next(i for i, value in enumerate(choice.choices) if same(value, t.params[space.arms])) for t in counted]
    done = [(arm, _value(t, asked)) for arm, t in zip(index, counted, strict=True) if t.state.is_finished]
    records, _ = records_of([arm for arm, _ in done], [value for _, value in done], len(choice.choices))
    records = [r.with_pending(index.count(arm) - r.trials) for arm, r in enumerate(records)]
    if len(asked.objectives) > 1:
        return _front_lines(records, choice.choices, [t.params[space.arms] for t in study_front(trials, asked)])
    breaking = {a for a, t in zip(index, counted, strict=True) if _breaks(t, asked)}
    barred = {arm for arm, value in enumerate(choice.choices) if any(same(value, other) for other in excluded)}
    lines = list(_lines(records, choice.choices, objective.sign, breaking, barred))
    return sorted(lines, key=lambda line: (line.best is None, objective.sign * (line.best or 0.0)))


def _value(trial: Trial, asked: StudyQuestion) -> float:
    """Return the loss of a trial that may be chosen; nan for any other."""
    values = objective_values(trial, asked.objectives)
    if values is None or not is_feasible(trial, asked.metric_constraints) or not all(map(math.isfinite, values)):
        return math.nan
    return asked.objectives[0].sign * values[0]


def _breaks(trial: Trial, asked: StudyQuestion) -> bool:
    return trial.state is TrialState.COMPLETE and not is_feasible(trial, asked.metric_constraints)


def _front_lines(records: Sequence[ArmRecord], values: Sequence[Value], front: Sequence[Value]) -> list[ArmLine]:
    """Return the lines of a study with several objectives, in which no value is the best and no arm has a bound."""
    total, lines = sum(r.trials for r in records), []
    own = [sum(same(value, other) for other in front) for value in values]
    for record, value, part in sorted(zip(records, values, own, strict=True), key=lambda found: -found[2]):
        why = f"{part} of {count(len(front), 'trial')} of the front" if part else "none of the front"
        why = why if record.trials else "no trial yet"
        lines.append(ArmLine(value, record.trials, None, record.trials / total, why))
    return lines


def _lines(
    records: Sequence[ArmRecord], values: Sequence[Value], sign: float, breaking: set[int], barred: set[int]
) -> Iterator[ArmLine]:
    total, best = sum(r.trials for r in records), min(r.best for r in records)
    allowed = [arm for arm in range(len(records)) if arm not in barred] or list(range(len(records)))
    following = allowed[arm_by_bound([records[arm] for arm in allowed])]
    first = next((arm for arm in allowed if not records[arm].trials), following)
    untried = "" if records[first].values else render_short(values[first])
    for arm, (record, value) in enumerate(zip(records, values, strict=True)):
        if arm in barred:
            why = _why_barred(record, best)
        elif not record.values and arm in breaking:
            why = "no trial keeps every bound"
        else:
            why = _why(record, best, is_next=arm == following, untried=untried)
        reached = sign * record.best if record.values else None
        yield ArmLine(value, record.trials, reached, record.trials / total, why)


def _why_barred(record: ArmRecord, best: float) -> str:
    if not record.trials:
        return "no trial; a pin or veto excludes it"
    head = "holds the best value" if record.best == best else f"{short_number(record.best - best, 2)} behind the best"
    return f"{head if record.values else 'no trial has a value'}; a pin or veto excludes it from further trials"


def _why(record: ArmRecord, best: float, *, is_next: bool, untried: str) -> str:
    """Return why an arm gets trials or not; `untried` is one without a value that runs before it; "" for none."""
    if not record.trials:
        return "no trial yet"
    if not record.values:
        return "no trial has a value yet"
    gap = f"{short_number(record.best - best, 2)} behind the best"
    rising = ", still rising" if len(record.values) > 1 and not record.since_best else ""
    if record.best == best:
        return f"holds the best value{rising}"
    if is_next:
        return f"{gap}; has the best bound, so it is tried again when the search stalls"
    if rising:
        return f"{gap}{rising}"
    return f"{gap}; {f'{untried} comes first, which has no value yet' if untried else 'another arm has a better bound'}"
