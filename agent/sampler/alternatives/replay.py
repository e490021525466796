"""Runs another library's strategy again from the first trial, so that its next point depends on the study alone.

Such a strategy keeps a state between its calls. With the same seed and the same results it asks for the same points
again, so nothing of it is stored, and a resumed study continues as the uninterrupted one would. Knows no library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tunesmith.study.space.condition import Value
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.trial import Source, Trial
from tunesmith.study.trials.view import StudyView, objective_values

_LARGEST = 1e12
"""Size to which losses are clipped; also the loss of a failure before anything succeeded."""

_ASKS = 10
"""Number of points that a strategy is asked for until one is new."""

_OWN = (Source.SAMPLER, Source.FALLBACK)

Point = TypeVar("Point")


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a strategy learns of a trial.

    Attributes:
        losses: one per objective, smaller is better; the worst so far for a failure.
        violations: of the constraints, each at least 0.
    """

    losses: tuple[float, ...]
    violations: tuple[float, ...]


class Strategy(Protocol, Generic[Point]):
    """An optimizer with a state."""

    def ask(self) -> tuple[Point, Mapping[str, Value]]:
        """Return the next point, in the library's form and as an allowed configuration."""

    def tell(self, point: Point, result: TrialResult) -> None:
        """Take the result of a point that was asked for."""

    def learn(self, params: Mapping[str, Value], result: TrialResult) -> None:
        """Take the result of somebody else's configuration."""


def results_of(view: StudyView) -> list[tuple[Trial, TrialResult]]:
    """Return each finished trial with what it tells, by number."""
    found: list[tuple[Trial, TrialResult]] = []
    worst: tuple[float, ...] | None = None
    for trial in sorted(view.finished, key=lambda t: t.number):
        losses = _losses(trial, view)
        if losses is not None:
            worst = losses if worst is None else tuple(map(max, losses, worst))
        result = losses or worst or (_LARGEST,) * len(view.objectives)
        found.append((trial, TrialResult(result, _violations(trial, view))))
    return found


def next_params(view: StudyView, strategy: Strategy[Point]) -> Mapping[str, Value]:
    """Return what the strategy asks for after all trials; a configuration that was tried when it finds no new one."""
    finished = {trial.number: result for trial, result in results_of(view)}
    results: dict[str, TrialResult | None] = {}
    for trial in sorted([*view.finished, *view.pending], key=lambda t: t.number):
        result, key = finished.get(trial.number), config_key(trial.params)
        asked = _ask_new(strategy, results) if trial.proposal.source in _OWN else None
        results[key] = result
        if result is None:
            continue
        if asked is not None and config_key(asked[1]) == key:
            strategy.tell(asked[0], result)
        else:
            strategy.learn(trial.params, result)
    return _ask_new(strategy, results)[1]


def _ask_new(strategy: Strategy[Point], results: Mapping[str, TrialResult | None]) -> tuple[Point, Mapping[str, Value]]:
    """Return a new point; the strategy gets the result of one that was tried before."""
    for _ in range(_ASKS):
        point, params = strategy.ask()
        key = config_key(params)
        if key not in results:
            break
        result = results[key]
        if result is not None:
            strategy.tell(point, result)
    return point, params


def _losses(trial: Trial, view: StudyView) -> tuple[float, ...] | None:
    """Return the objectives, smaller is better; None for a failure."""
    values = objective_values(trial, view.objectives)
    if values is None or not all(math.isfinite(value) for value in values):
        return None
    signed = (o.sign * value for o, value in zip(view.objectives, values, strict=True))
    return tuple(min(max(loss, -_LARGEST), _LARGEST) for loss in signed)


def _violations(trial: Trial, view: StudyView) -> tuple[float, ...]:
    measured = (c.violation(trial.values[c.metric]) if c.metric in trial.values else 0.0 for c in view.constraints)
    return tuple(min(max(violation, 0.0), _LARGEST) for violation in measured)
