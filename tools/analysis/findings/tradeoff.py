"""What a study would give for less: the best trial at half, a quarter, ... of the best one's cost.

A cost is a measured resource, of any study, or another objective that is minimized. Pure functions of the trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observed.resources import RESOURCES, amount_text, resource_values, usage_in_sequence
from tunesmith.study.trials.results import relative_gain
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Direction, Objective, ancestors
from tunesmith.study.trials.winner import leaderboard
from tunesmith.study.units import short_number

FRACTIONS = (0.5, 0.25)
"""The parts of the best trial's cost that reports and status show."""

WHOLE_PERCENT = 9.95
"""Percentages from which no decimal is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheaperChoice:
    """The best trial that costs at most a part of what the best one costs.

    Attributes:
        metric: the cost.
        objective: what is given up.
        fraction: the part.
        best: the number of the best trial; `best_cost` and `best_value` are its cost and its first objective.
        number: the number of the cheaper one; None where no trial is as cheap. Likewise `cost` and `value`.
    """

    metric: str
    objective: Objective
    fraction: float
    best: int
    best_cost: float
    best_value: float
    number: int | None = None
    cost: float = math.nan
    value: float = math.nan

    @property
    def loss(self) -> str:
        """What is lost against the best: "4% worse in val_loss", or that nothing is."""
        difference = self.objective.sign * (self.value - self.best_value)
        if difference <= 0:
            return "no worse"
        gain = relative_gain(self.value, self.best_value, self.objective)
        if gain is None:
            return f"worse by {short_number(difference)}"
        percent = -100 * gain
        return f"{percent:,.0f}% worse" if percent >= WHOLE_PERCENT else f"{percent:.1f}% worse"

    @property
    def text(self) -> str:
        """The choice as a sentence without its point."""
        limit = f"{_part_text(self.fraction)} the {_noun(self.metric)} of trial {self.best}"
        best = f"{amount_text(self.metric, self.best_cost)}, {self.objective.metric} {short_number(self.best_value)}"
        if self.number is None:
            return f"for {limit} ({best}): no trial so far"
        found = f"{self.objective.metric} {short_number(self.value)} ({self.loss})"
        return f"for {limit} ({best}): trial {self.number}, {found} in {amount_text(self.metric, self.cost)}"


def cost_metrics(spec: StudySpec) -> tuple[str, ...]:
    """Return the costs among the objectives after the first: measured resources, and what is minimized otherwise."""
    return tuple(o.metric for o in spec.objectives[1:] if o.direction is Direction.MINIMIZE)


def trial_costs(trials: Sequence[Trial], spec: StudySpec, metric: str) -> dict[int, float]:
    """Return what each trial cost, by number; a resource is known from the usage of every trial that ended.

    Args:
        trials: every trial of the study.
        spec: the study.
        metric: a measured resource or a metric that trials report.
    """
    return {t.number: cost for t in trials if (cost := _cost(t, trials, spec, metric)) is not None and cost > 0}


def cheaper_choices(
    trials: Sequence[Trial], spec: StudySpec, metric: str, fractions: Sequence[float] = FRACTIONS
) -> list[CheaperChoice]:
    """Return the best trial at each part of the best one's cost; none while the best one's cost is unknown."""
    ranked, costs = leaderboard(trials, spec), trial_costs(trials, spec, metric)
    if not ranked or ranked[0].number not in costs:
        return []
    return list(_choices(ranked, costs, spec.objectives[0], metric, fractions))


def shown_choices(trials: Sequence[Trial], spec: StudySpec) -> list[CheaperChoice]:
    """Return the cheaper choices for each cost among the objectives of a study."""
    return [choice for metric in cost_metrics(spec) for choice in cheaper_choices(trials, spec, metric)]


def _choices(
    ranked: Sequence[Trial], costs: Mapping[int, float], objective: Objective, metric: str, fractions: Sequence[float]
) -> Iterator[CheaperChoice]:
    best = ranked[0]
    for fraction in fractions:
        limit = fraction * costs[best.number]
        found = next((t for t in ranked if costs.get(t.number, math.inf) <= limit), None)
        yield CheaperChoice(
            metric=metric,
            objective=objective,
            fraction=fraction,
            best=best.number,
            best_cost=costs[best.number],
            best_value=best.values[objective.metric],
            number=None if found is None else found.number,
            cost=math.nan if found is None else costs[found.number],
            value=math.nan if found is None else found.values[objective.metric],
        )


def _cost(trial: Trial, trials: Sequence[Trial], spec: StudySpec, metric: str) -> float | None:
    if metric in trial.values or metric not in RESOURCES or trial.outcome is None:
        return trial.values.get(metric)
    usages = [t.outcome.usage for t in [*ancestors(trial, trials), trial] if t.outcome is not None]
    return resource_values([metric], usage_in_sequence(usages), spec.run.usd_per_hour).get(metric)


def _part_text(fraction: float) -> str:
    return {0.5: "half", 0.25: "a quarter of"}.get(fraction, f"{fraction:.0%} of")


def _noun(metric: str) -> str:
    return RESOURCES[metric].noun if metric in RESOURCES else metric
