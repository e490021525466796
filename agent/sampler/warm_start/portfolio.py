"""Points that did best in earlier studies, selected to complement each other: where one is bad, another is good.

Greedy, after the portfolios of auto-sklearn 2.0 (Feurer et al. 2022); what a point would have reached in a study where
it did not run is asked of that study's own model. Knows no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.agent.sampler.surrogate.blas_threads import one_core
from tunesmith.agent.sampler.surrogate.encoding import Array, Axes
from tunesmith.agent.sampler.surrogate_model import Inputs, Settings, earlier_models
from tunesmith.agent.sampler.warm_start.scale_transfer import earlier_pasts, is_elsewhere, scale_words
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number

CANDIDATES = 20
"""So many of the best of each study may be selected."""

_LEAST_GAIN = 0.05
"""A further point has to bring the studies closer to their best by so much on average, in their standard deviations."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A configuration of an earlier study, and why it is among the points."""

    params: Mapping[str, Value]
    why: str


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What may be selected: coordinates (m, d), the study (m,) and the value (m,) of each."""

    units: Array
    study: Array
    value: Array


def select_portfolio(view: StudyView, count: int) -> list[Selected]:
    """Return at most `count` configurations of the view's earlier studies; fewer when more would add nothing.

    The first does best over all studies, each next one most for those in which the ones before do worst.
    """
    if count < 1 or len(view.objectives) > 1:
        return []
    with one_core():
        return _select(view, count)


def _select(view: StudyView, count: int) -> list[Selected]:
    axes = Axes(view.space)
    pairs = [(s, p) for s, p in zip(view.earlier, earlier_pasts(view), strict=True) if p.complete.sum() > 1]
    if not pairs:
        return []
    pasts = [past for _, past in pairs]
    inputs = Inputs(axes, any((past.fidelity < 1.0).any() for past in pasts))
    found = _candidates([(axes.settle(past.units[past.complete]), past.values[past.complete, 0]) for past in pasts])
    losses = np.stack([m.predict(inputs.of(found.units))[0] for m in earlier_models(pasts, inputs, Settings())], axis=1)
    losses = losses - losses.min(axis=0)
    chosen: list[Selected] = []
    reached = np.full(len(pairs), np.inf)
    for _ in range(count):
        after = np.minimum(losses, reached).mean(axis=1)
        best = int(after.argmin())
        if chosen and reached.mean() - after[best] < _LEAST_GAIN:
            break
        params = view.space.from_unit(found.units[best].tolist())
        study, value = pairs[int(found.study[best])][0], view.objectives[0].sign * float(found.value[best])
        gains = [s.name for (s, _), gain in zip(pairs, reached - losses[best], strict=True) if gain > _LEAST_GAIN]
        helps = "" if not chosen or gains == [study.name] else f", for {', '.join(gains)}"
        at = f", moved to {scale_words(view.scale)}" if is_elsewhere(view, study) else ""
        why = f"from {study.name}, where it had {view.objectives[0].metric} {short_number(value)}{at}{helps}"
        chosen.append(Selected(params, why))
        reached = np.minimum(reached, losses[best])
    return chosen


def _candidates(ran: Sequence[tuple[Array, Array]]) -> _Candidates:
    orders = [np.argsort(values, kind="stable")[:CANDIDATES] for _, values in ran]
    return _Candidates(
        units=np.concatenate([units[order] for (units, _), order in zip(ran, orders, strict=True)]),
        study=np.concatenate([np.full(len(order), index) for index, order in enumerate(orders)]),
        value=np.concatenate([values[order] for (_, values), order in zip(ran, orders, strict=True)]),
    )
