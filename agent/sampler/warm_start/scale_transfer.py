"""What studies at other scales say at the present one: their trials moved there, and where the optimum should lie.

The numerics are surrogate/scaling.py. Knows no database and no model of the present study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tunesmith.agent.sampler.surrogate.blas_threads import one_core
from tunesmith.agent.sampler.surrogate.encoding import Array, Axes
from tunesmith.agent.sampler.surrogate.gp_ensemble import lowest_and_spread
from tunesmith.agent.sampler.surrogate.output_transform import warp_for
from tunesmith.agent.sampler.surrogate.scaling_law import Rows, draw_moves, draw_optima, likeliest_move
from tunesmith.agent.sampler.training_data import Past, earlier_past, past_of
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Choice, Parameter
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.seeds import derived_seed
from tunesmith.study.trials.view import StudyView

ROWS = 80
"""At most so many trials of all scales tell how the optimum moves."""

OPTIMA = 40
_SOFTNESS = 3.0
_ENOUGH = 4
"""From so many complete trials on, the present study has a say in how the optimum moves."""

_FACTOR = 1.5
"""Ordered choices that grow at least by so much each lie on a log scale."""

_OUTER = (0.1, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimumAtScale:
    """Where studies at other scales lead to expect the optimum of this one.

    Attributes:
        studies: their names.
        params: the likeliest configuration: of several drawn, the one in their midst.
        ranges: for each ordered parameter of that configuration, between which values it lies with 80%.
    """

    studies: tuple[str, ...]
    params: Mapping[str, Value]
    ranges: Mapping[str, tuple[Value, Value]]


def scale_words(scale: Mapping[str, float]) -> str:
    """Return a scale in words, for example "width 1024"."""
    return ", ".join(f"{name} {value:g}" for name, value in scale.items())


def is_elsewhere(view: StudyView, study: EarlierStudy) -> bool:
    """Tell whether an earlier study is known to have run at another scale than the present one."""
    return _apart(view, study) is not None


def earlier_pasts(view: StudyView) -> list[Past]:
    """Return the arrays of every earlier study, those of another scale moved to the present one, beyond [0, 1], too."""
    pasts = [earlier_past(view, study) for study in view.earlier]
    scaled = [i for i, study in enumerate(view.earlier) if _apart(view, study) is not None]
    if not scaled:
        return pasts
    axes = Axes(view.space)
    rows = _rows(view, [(view.earlier[i], pasts[i]) for i in scaled])
    if rows is None:
        return pasts
    drift = likeliest_move(rows, axes).drift
    for i in scaled:
        apart = _apart(view, view.earlier[i])
        assert apart is not None  # noqa: S101  # it was selected for having one
        pasts[i] = replace(pasts[i], units=pasts[i].units + apart @ drift)
    return pasts


def optimum_at_scale(view: StudyView) -> OptimumAtScale | None:
    """Return where the optimum should lie; None when no earlier study ran at another scale."""
    if not view.scale or len(view.objectives) > 1:
        return None
    with one_core():
        return _optimum(view)


def _optimum(view: StudyView) -> OptimumAtScale | None:
    pairs = [(study, earlier_past(view, study)) for study in view.earlier if _apart(view, study) is not None]
    rows = _rows(view, pairs)
    if rows is None:
        return None
    axes = Axes(view.space)
    rng = np.random.default_rng(derived_seed(view.seed, "scale", view.number))
    optima = draw_optima(rows, draw_moves(rows, axes, rng, count=OPTIMA), axes, rng)
    params = view.space.from_unit(optima[_middlemost(axes.features(optima))].tolist())
    active = axes.active(optima)
    ranges = {}
    for column, (name, parameter) in enumerate(view.space.parameters.items()):
        if name in params and axes.count[column] > 2 and not axes.unordered[column]:  # noqa: PLR2004  # two have no range
            low, high = np.quantile(optima[active[:, column], column], _OUTER)
            ranges[name] = (parameter.from_unit(float(low)), parameter.from_unit(float(high)))
    return OptimumAtScale(studies=tuple(study.name for study, _ in pairs), params=params, ranges=ranges)


def _apart(view: StudyView, study: EarlierStudy) -> Array | None:
    """Return (s,) the log of the present scale over the study's; None when it does not say it, or has the same."""
    if not view.scale or any(name not in study.scale for name in view.scale):
        return None
    apart = np.array([math.log(value / study.scale[name]) for name, value in view.scale.items()])
    return apart if apart.any() else None


def _rows(view: StudyView, pairs: Sequence[tuple[EarlierStudy, Past]]) -> Rows | None:
    """Return what ran at other scales and, once that is enough to rank, at the present one; None for nothing."""
    here = past_of(view)
    told = [(past, _apart(view, study)) for study, past in pairs if past.complete.sum() >= _ENOUGH]
    if not told:
        return None
    if here.complete.sum() >= _ENOUGH:
        told.append((here, np.zeros(len(view.scale))))
    units, apart, study, y = [], [], [], []
    for number, (past, distance) in enumerate(told):
        values = past.values[past.complete, 0]
        targets = warp_for(values, softness=_SOFTNESS).apply(values)
        kept = lowest_and_spread(targets, max(ROWS // len(told), _ENOUGH))
        units.append(past.units[past.complete][kept])
        apart.append(np.tile(np.asarray(distance), (len(kept), 1)))
        study.append(np.full(len(kept), number))
        y.append(targets[kept])
    drifts = np.array([_is_geometric(parameter) for parameter in view.space.parameters.values()])
    return Rows(drifts, np.concatenate(units), np.concatenate(apart), np.concatenate(study), np.concatenate(y))


def _is_geometric(parameter: Parameter) -> bool:
    """Tell whether equal steps of the coordinate are equal factors: a log scale, or choices such as 16, 32, 64."""
    if not isinstance(parameter, Choice):
        return bool(getattr(parameter, "log", False))
    numbers = [float(c) for c in parameter.choices if isinstance(c, int | float) and c > 0]
    factors = [b / a for a, b in pairwise(numbers)]
    return parameter.ordered and len(numbers) == len(parameter.choices) and len(numbers) > 2 and min(factors) >= _FACTOR  # noqa: PLR2004


def _middlemost(points: Array) -> int:
    """(k, c) -> the index of the point with the least summed distance to the others."""
    return int(np.abs(points[:, None, :] - points[None, :, :]).sum(axis=(1, 2)).argmin())
