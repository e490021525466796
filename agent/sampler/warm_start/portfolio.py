"""Selects points of earlier studies that complement each other: where one is bad, another is good.

Greedy, as the portfolios of auto-sklearn 2.0 (Feurer et al. 2022). The value of a point in a study where it did not run
is predicted by that study's model. Knows no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.agent.sampler.surrogate_model import FeatureMap, fit_earlier_models
from tunesmith.agent.sampler.training_data import TrainingData
from tunesmith.agent.sampler.warm_start.scale_transfer import earlier_data_at_scale, format_scale, is_other_scale
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number
from tunesmith.tools.surrogate.blas_threads import single_threaded_blas
from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding

CANDIDATES = 20
"""Number of best points of each study that may be selected."""

_MIN_GAIN = 0.05
"""Smallest reduction of the mean loss, in standard deviations of the studies' targets, for which a point is added."""


@dataclass(frozen=True, slots=True)
class PortfolioPoint:
    """A configuration of an earlier study, and the reason for its selection."""

    params: Mapping[str, Value]
    reason: str


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Points that may be selected.

    Attributes:
        units: (m, d) coordinates.
        study: (m,) index of the study that ran each.
        value: (m,) the value there.
        losses: (m, q) predicted loss in each study: how far above the best candidate, in standard deviations.
    """

    units: Array
    study: Array
    value: Array
    losses: Array


def select_portfolio(view: StudyView, count: int) -> list[PortfolioPoint]:
    """Return at most `count` configurations of the view's earlier studies; fewer when more would add nothing.

    The first has the lowest mean loss over all studies. Each next one reduces the mean most, so it is good where those
    before it are bad.
    """
    if count < 1 or len(view.objectives) > 1:
        return []
    with single_threaded_blas():
        return _select(view, count)


def _select(view: StudyView, count: int) -> list[PortfolioPoint]:
    pairs = [(s, d) for s, d in zip(view.earlier, earlier_data_at_scale(view), strict=True) if d.complete.sum() > 1]
    if not pairs:
        return []
    studies = [study for study, _ in pairs]
    candidates = _candidates(SpaceEncoding(view.space), [data for _, data in pairs])
    chosen: list[PortfolioPoint] = []
    reached = np.full(len(studies), np.inf)
    for _ in range(count):
        losses = np.minimum(candidates.losses, reached).mean(axis=1)
        best = int(losses.argmin())
        if chosen and reached.mean() - losses[best] < _MIN_GAIN:
            break
        gains = reached - candidates.losses[best]
        helped = [study.name for study, gain in zip(studies, gains, strict=True) if gain > _MIN_GAIN]
        reason = _reason(view, studies[int(candidates.study[best])], float(candidates.value[best]))
        if chosen and helped != [studies[int(candidates.study[best])].name]:
            reason += f", for {', '.join(helped)}"
        chosen.append(PortfolioPoint(view.space.from_unit(candidates.units[best].tolist()), reason))
        reached = np.minimum(reached, candidates.losses[best])
    return chosen


def _reason(view: StudyView, study: EarlierStudy, value: float) -> str:
    objective = view.objectives[0]
    shift = f", shifted to {format_scale(view.scale)}" if is_other_scale(view, study) else ""
    return f"from {study.name}, where it had {objective.metric} {short_number(objective.sign * value)}{shift}"


def _candidates(encoding: SpaceEncoding, earlier: Sequence[TrainingData]) -> _Candidates:
    feature_map = FeatureMap(encoding, any((data.fidelity < 1.0).any() for data in earlier))
    units, study, value = [], [], []
    for index, data in enumerate(earlier):
        values = data.values[data.complete, 0]
        order = np.argsort(values, kind="stable")[:CANDIDATES]
        units.append(encoding.project_to_valid(data.units[data.complete])[order])
        study.append(np.full(len(order), index))
        value.append(values[order])
    points = np.concatenate(units)
    models = fit_earlier_models(earlier, feature_map, SamplerSettings())
    losses = np.stack([model.predict(feature_map.features(points))[0] for model in models], axis=1)
    return _Candidates(points, np.concatenate(study), np.concatenate(value), losses - losses.min(axis=0))
