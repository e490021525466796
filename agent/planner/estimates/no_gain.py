"""Says what further trials would still gain: by the number of trials without a new best, and by the model's bounds.

The bound is that of Makarova et al. 2022, which Optuna's terminator follows too: the upper confidence bound of the best
configuration so far, less the lowest lower confidence bound anywhere. Once it is below the noise between seeds, a
better configuration could not be distinguished from the present one. Knows no loop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.sampler.candidates.deduplication import random_params
from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.results import candidates, present_improvements, present_trials
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import winner
from tunesmith.study.units import short_number
from tunesmith.tools.surrogate.blas_threads import single_threaded_blas
from tunesmith.tools.surrogate.encoding import SpaceEncoding
from tunesmith.tools.surrogate.gp import HyperPrior
from tunesmith.tools.surrogate.gp_ensemble import fit_single

Array = NDArray[np.float64]

MIN_TRIALS = 20
"""Complete trials from which the model's bounds are believed."""
NO_GAIN = "no_gain"
"""`ended_by` of a run that ended because nothing better was likely."""

_EVERY = 5
"""The model is asked after every fifth trial."""
_MIN_WITHOUT = 1 / 3
"""Share of the trials without a new best after which the model's bound may end the study."""
_CLIPPED_AT = 2.0
"""Losses are clipped at this number of distances from the best to the median."""
_DRAWS, _NEAR = 400, 100
"""Points of the space, and points near the best one, at which the model is asked."""
_NEAR_SIZE = 0.05
"""Standard deviation of the points near the best one, in the unit cube."""
_FAILURE_RATE = 0.1
"""Probability that the bounds do not hold, as in the paper."""
_MEDIAN_FRACTION = 0.01
"""This part of the distance between the best trial and the median of the first ones counts as no gain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherGain:
    """What the model says of further trials, in units of the first metric.

    Attributes:
        expected: the expected improvement of one more trial at the best place for it.
        bound: by how much the best configuration can be worse than the best there is.
        negligible: the gain that counts as none: the noise between seeds, or a hundredth of what tuning has brought
            over the median of the first trials, whichever is larger.
        metric: the metric's name.
        without: number of trials since the latest new best.
    """

    expected: float
    bound: float
    negligible: float
    metric: str
    without: int

    @property
    def is_over(self) -> bool:
        """Whether nothing better is likely."""
        return self.bound <= self.negligible or self.expected <= self.negligible / 10

    @property
    def text(self) -> str:
        """One sentence for people."""
        gain = f"expected further gain {short_number(self.expected, 2)} in {self.metric}"
        if self.is_over:
            return f"Nothing better is likely: {gain}, no new best in the last {self.without} trials."
        return f"More trials may help: {gain}."


def further_gain(view: StudyView) -> FurtherGain | None:
    """Return what further trials would gain; None with several objectives or few complete trials."""
    if len(view.objectives) > 1:
        return None
    complete = candidates(present_trials(view.trials, view.space), view.objectives, view.constraints)
    if len(complete) < MIN_TRIALS:
        return None
    measured = [dict(trial.params) for trial in complete]
    losses = np.array([view.objectives[0].sign * trial.values[view.objectives[0].metric] for trial in complete])
    means, stds = _predictions(view, measured, losses)
    width = math.sqrt(_beta(len(complete), len(view.space))) * stds
    best = means[: len(measured)].min()
    return FurtherGain(
        expected=float(_expected_improvement(best, means, stds).max()),
        bound=float((means + width)[: len(measured)].min() - (means - width).min()),
        negligible=_negligible(view, complete),
        metric=view.objectives[0].metric,
        without=trials_without_gain(view),
    )


def trials_without_gain(view: StudyView) -> int:
    """Return how many trials ended since the latest new best; 0 before the first one."""
    found = present_improvements(list(view.trials), view)
    if not found:
        return 0
    return sum(t.state.is_finished and not t.is_replicate and t.number > found[-1].number for t in view.trials)


class NoGainRule:
    """[stop].no_gain: ends tuning after that number of trials without a new best, or sooner if the model expects none.

    Args:
        most: the number of trials; None never ends.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._asked_at, self._is_over = 0, False

    def is_over(self, view: StudyView) -> bool:
        """Return whether tuning ends now."""
        if self._most is None:
            return False
        without = trials_without_gain(view)
        if without >= self._most:
            return True
        if without < self._most * _MIN_WITHOUT:
            self._is_over = False
            return False
        finished = sum(t.state.is_finished for t in view.trials)
        if finished >= self._asked_at + _EVERY:
            found = further_gain(view)
            self._asked_at, self._is_over = finished, found is not None and found.is_over
        return self._is_over


def _predictions(view: StudyView, measured: Sequence[Mapping[str, Value]], losses: Array) -> tuple[Array, Array]:
    """Return means and standard deviations at the measured configurations, then at points all over the space.

    The sampler's own model works on the logarithm of losses, where a bad region has a wide distribution of values. A
    process on the losses themselves says better how far below the best they may reach; bad ones are clipped.
    """
    if losses.max() == losses.min():
        return losses, np.zeros(len(losses))
    with single_threaded_blas():
        encoding = SpaceEncoding(view.space)
        known = encoding.features(_units(view.space, measured))
        high = losses.min() + _CLIPPED_AT * (np.median(losses) - losses.min())
        model = fit_single(known, np.minimum(losses, high), encoding.group, HyperPrior())
        asked = encoding.features(_units(view.space, _points(view, measured[0])))
        return model.predict(np.concatenate([known, asked]))


def _units(space: SearchSpace, configurations: Sequence[Mapping[str, Value]]) -> Array:
    known = [{name: value for name, value in p.items() if name in space.parameters} for p in configurations]
    return np.array([space.to_unit(params) for params in known])


def _points(view: StudyView, best: Mapping[str, Value]) -> list[dict[str, Value]]:
    """Return points all over the space and near the best one."""
    rng = np.random.default_rng(derived_seed(view.seed, "further gain", view.number))
    points = [random_params(view.space, rng) for _ in range(_DRAWS)]
    return points + [_near(view.space, best, rng) for _ in range(_NEAR)]


def _near(space: SearchSpace, best: Mapping[str, Value], rng: np.random.Generator) -> dict[str, Value]:
    known = {name: value for name, value in best.items() if name in space.parameters}
    moved = np.array(space.to_unit(known)) + rng.normal(0.0, _NEAR_SIZE, len(space))
    return space.from_unit(np.clip(moved, 0.0, 1.0).tolist())


def _beta(count: int, dimensions: int) -> float:
    """Return the squared width of the confidence bounds; a fifth of the theorem's, as in the paper."""
    return 2 * math.log(dimensions * count**2 * math.pi**2 / (6 * _FAILURE_RATE)) / 5


def _expected_improvement(best: float, means: Array, stds: Array) -> Array:
    from scipy.special import ndtr  # 0.1 s

    safe = np.maximum(stds, 1e-300)
    z = (best - means) / safe
    density = np.exp(-0.5 * np.minimum(z**2, 1400.0)) / math.sqrt(2 * math.pi)
    return np.asarray(np.maximum(safe * (z * ndtr(z) + density), 0.0))


def _negligible(view: StudyView, complete: Sequence[Trial]) -> float:
    found = winner(view.trials, view)
    metric = view.objectives[0].metric
    first = sorted(complete, key=lambda trial: trial.number)[:MIN_TRIALS]
    spread = _MEDIAN_FRACTION * abs(median(trial.values[metric] for trial in first) - complete[0].values[metric])
    return max(found.noise or 0.0, spread) if found is not None else spread
