"""Transfers what studies at other scales learned: their trials shifted to the present scale, and a predicted optimum.

The numerics are in surrogate/scaling_law.py. Knows no database and no model of the present study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tunesmith.agent.sampler.surrogate.scaling_law import (
    ScaledTrials,
    most_likely_shift,
    sample_optima,
    sample_shifts,
)
from tunesmith.agent.sampler.training_data import TrainingData, build_earlier_data, build_training_data
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Choice, Parameter
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.surrogate.blas_threads import single_threaded_blas
from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding
from tunesmith.tools.surrogate.gp_ensemble import subsample_by_value
from tunesmith.tools.surrogate.output_transform import fit_warp

MAX_TRIALS = 80
"""Largest number of trials of all scales from which the shift is inferred."""

SAMPLED_OPTIMA = 40
_SOFTNESS = 3.0
_MIN_TRIALS = 4
"""Number of complete trials from which a study takes part in inferring the shift."""

_MIN_FACTOR = 1.5
"""Smallest factor between neighbouring ordered choices that count as a log scale."""

_RANGE = (0.1, 0.9)
"""Quantiles of the sampled optima that bound a parameter's range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimumAtScale:
    """The optimum that studies at other scales predict for this one.

    Attributes:
        studies: names of those studies.
        params: the sampled optimum with the least summed distance to the other samples.
        ranges: the 80% interval of each ordered parameter of `params`.
    """

    studies: tuple[str, ...]
    params: Mapping[str, Value]
    ranges: Mapping[str, tuple[Value, Value]]


def format_scale(scale: Mapping[str, float]) -> str:
    """Return a scale as text, for example "width 1024"."""
    return ", ".join(f"{name} {value:g}" for name, value in scale.items())


def is_other_scale(view: StudyView, study: EarlierStudy) -> bool:
    """Tell whether an earlier study is known to have run at another scale than the present one."""
    return _log_ratio(view, study) is not None


def earlier_data_at_scale(view: StudyView) -> list[TrainingData]:
    """Return the arrays of every earlier study; coordinates of another scale are shifted and may leave [0, 1]."""
    datasets = [build_earlier_data(view, study) for study in view.earlier]
    ratios = {i: r for i, study in enumerate(view.earlier) if (r := _log_ratio(view, study)) is not None}
    if not ratios:
        return datasets
    encoding = SpaceEncoding(view.space)
    trials = _scaled_trials(view, [(view.earlier[i], datasets[i]) for i in ratios])
    if trials is None:
        return datasets
    drift = most_likely_shift(trials, encoding).drift
    for i, log_ratio in ratios.items():
        datasets[i] = replace(datasets[i], units=datasets[i].units + log_ratio @ drift)
    return datasets


def optimum_at_scale(view: StudyView) -> OptimumAtScale | None:
    """Return the predicted optimum; None when no earlier study ran at another scale."""
    if not view.scale or len(view.objectives) > 1:
        return None
    with single_threaded_blas():
        return _predict_optimum(view)


def _predict_optimum(view: StudyView) -> OptimumAtScale | None:
    pairs = [(study, build_earlier_data(view, study)) for study in view.earlier if is_other_scale(view, study)]
    trials = _scaled_trials(view, pairs)
    if trials is None:
        return None
    encoding = SpaceEncoding(view.space)
    rng = np.random.default_rng(derived_seed(view.seed, "scale", view.number))
    shifts = sample_shifts(trials, encoding, rng, count=SAMPLED_OPTIMA)
    optima = sample_optima(trials, shifts, encoding, rng)
    params = view.space.from_unit(optima[_medoid(encoding.features(optima))].tolist())
    studies = tuple(study.name for study, _ in pairs)
    return OptimumAtScale(studies=studies, params=params, ranges=_ranges(optima, encoding, params))


def _ranges(optima: Array, encoding: SpaceEncoding, params: Mapping[str, Value]) -> dict[str, tuple[Value, Value]]:
    active = encoding.active(optima)
    ranges = {}
    for column, (name, parameter) in enumerate(encoding.space.parameters.items()):
        if name in params and encoding.count[column] > 2 and not encoding.unordered[column]:  # noqa: PLR2004  # two values have no range
            low, high = np.quantile(optima[active[:, column], column], _RANGE)
            ranges[name] = (parameter.from_unit(float(low)), parameter.from_unit(float(high)))
    return ranges


def _log_ratio(view: StudyView, study: EarlierStudy) -> Array | None:
    """Return (s,) the log of the present scale over the study's; None when that is unknown or the same."""
    if not view.scale or any(name not in study.scale for name in view.scale):
        return None
    log_ratio = np.array([math.log(value / study.scale[name]) for name, value in view.scale.items()])
    return log_ratio if log_ratio.any() else None


def _scaled_trials(view: StudyView, pairs: Sequence[tuple[EarlierStudy, TrainingData]]) -> ScaledTrials | None:
    """Return the trials of earlier studies, and the present ones once there are enough; None without earlier ones."""
    present = build_training_data(view)
    studies = [(data, _log_ratio(view, study)) for study, data in pairs if data.complete.sum() >= _MIN_TRIALS]
    if not studies:
        return None
    if present.complete.sum() >= _MIN_TRIALS:
        studies.append((present, np.zeros(len(view.scale))))
    units, log_ratios, study_index, y = [], [], [], []
    for index, (data, log_ratio) in enumerate(studies):
        values = data.values[data.complete, 0]
        targets = fit_warp(values, softness=_SOFTNESS).apply(values)
        kept = subsample_by_value(targets, max(MAX_TRIALS // len(studies), _MIN_TRIALS))
        units.append(data.units[data.complete][kept])
        log_ratios.append(np.tile(np.asarray(log_ratio), (len(kept), 1)))
        study_index.append(np.full(len(kept), index))
        y.append(targets[kept])
    return ScaledTrials(
        drifting=np.array([_is_geometric(parameter) for parameter in view.space.parameters.values()]),
        units=np.concatenate(units),
        log_ratio=np.concatenate(log_ratios),
        study=np.concatenate(study_index),
        y=np.concatenate(y),
    )


def _is_geometric(parameter: Parameter) -> bool:
    """Tell whether equal steps of the coordinate are equal factors: a log scale, or choices such as 16, 32, 64."""
    if not isinstance(parameter, Choice):
        return bool(getattr(parameter, "log", False))
    numbers = [float(c) for c in parameter.choices if isinstance(c, int | float) and c > 0]
    if not parameter.ordered or len(numbers) < max(len(parameter.choices), 3):
        return False
    return min(b / a for a, b in pairwise(numbers)) >= _MIN_FACTOR


def _medoid(points: Array) -> int:
    """(k, c) -> the index of the point with the least summed distance to the others."""
    return int(np.abs(points[:, None, :] - points[None, :, :]).sum(axis=(1, 2)).argmin())
