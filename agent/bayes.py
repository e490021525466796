"""The Bayesian sampler: a few spread points, then the highest expected improvement among what should not fail.

Modelled are the objective (a scalarization when there are several), the chance to fail, and each constraint. Knows no
database, no LLM and no clock; it turns a view into arrays, asks `surrogate/`, and turns the answer back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tunesmith.agent.cores import one_core
from tunesmith.agent.past import Past, past_of
from tunesmith.agent.sources import Suggestion
from tunesmith.agent.surrogate import gp, search
from tunesmith.agent.surrogate.axes import Array, Axes
from tunesmith.agent.surrogate.mixture import Index, Mixture, learn, learn_mode, lowest_and_spread
from tunesmith.agent.surrogate.targets import Warp, scalarize, squash, warp_for
from tunesmith.agent.untried import draw_untried, identity, known, random_params
from tunesmith.study.condition import Value
from tunesmith.study.trial import Prediction
from tunesmith.study.view import Objective, StudyView, derived_seed

MODEL_ROWS = 400
"""Models are conditioned on at most so many trials, the best and a spread of the rest; more would cost seconds."""

NEAR = 1e-3
"""Configurations are near duplicates when no smooth coordinate differs by more and all others are equal."""

NEAR_PENDING = 0.02
"""The same towards what is still running: two answers at once should teach two things."""

_ATTEMPTS = 200
_SAME = 1e-9
_HOPELESS = math.log(0.25)
"""Points with a lower chance to run through are passed over as long as there are others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the measurements decided; docs/decisions/002 has them.

    Attributes:
        first: how many trials are spread before a model is asked.
        centre_first: whether the middle of the space is the first of them where the user gave no default.
        priors: the objective's priors. Proposals take them in turn, so that a model that is too rough or too smooth
            for a problem cannot stall the whole search.
        softness: see `warp_for`.
        failures: whether the chance to fail weighs in.
        caution: the power to which the chance not to fail is raised; at 1 a point that is twice as good may fail twice
            as often.
        averaging: whether few points are met with draws of the hyperparameters instead of their mode.
        local_every: every so many proposals stay in a box about the best points, so that good points are refined
            while the others explore; 0 for never.
        local_points: how many of the best span that box.
    """

    first: int = 5
    centre_first: bool = True
    priors: tuple[gp.Prior, ...] = (gp.Prior(),) * 3 + (gp.Prior(length_centre=1.2),)
    softness: float = 0.5
    failures: bool = True
    averaging: bool = True
    local_every: int = 3
    local_points: int = 5
    caution: float = 2.0


@dataclass(frozen=True, slots=True)
class _Belief:
    """The models that weigh in on a point.

    Attributes:
        success: of 1 for failed and -1 for not; None when nothing failed.
        constraints: of the violation, each; only those that were broken at least once.
        best: (k, c) features of the allowed trials, the best of which is to be improved on.
    """

    axes: Axes
    objective: Mixture
    success: Mixture | None
    constraints: tuple[Mixture, ...]
    best: Array
    caution: float = 1.0

    def log_chance(self, z: Array) -> Array:
        """(m, c) -> (m,) log probability to run through and to keep every constraint."""
        bounded = [*self.constraints, *([] if self.success is None else [self.success])]
        return np.sum([model.log_below(z, 0.0) for model in bounded], axis=0) if bounded else np.zeros(len(z))

    def score(self, units: Array) -> Array:
        """(m, d) -> (m,) log expected improvement weighed by the chance; the chance alone while nothing is allowed."""
        z = self.axes.features(units)
        if not len(self.best):
            return self.log_chance(z)
        chance = self.log_chance(z)
        hopeless = np.maximum(_HOPELESS - chance, 0.0)
        return self.objective.log_improvement(z, self.best) + self.caution * chance - 30.0 * hopeless


class BayesSampler:
    """Our own sampler. A suggestion is a pure function of the view; nothing is kept between calls."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()

    def suggest(self, view: StudyView) -> Suggestion:
        """Return a configuration that is valid, new, and no near duplicate as long as there is such a one.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        with one_core():
            return self._suggest(view)

    def _suggest(self, view: StudyView) -> Suggestion:
        rng = np.random.default_rng(derived_seed(view.seed, "bayes", view.number))
        axes, past = Axes(view.space), past_of(view)
        if past.count < self._settings.first:
            return self._opening(view, axes, past, rng)
        if not past.complete.any():
            return _far_from_failures(view, axes, past, rng)
        return self._improvement(view, axes, past, rng)

    def _opening(self, view: StudyView, axes: Axes, past: Past, rng: np.random.Generator) -> Suggestion:
        """Propose the next of the first points: about the user's default, or all over the space without one."""
        first = self._settings.first
        design_rng = np.random.default_rng(derived_seed(view.seed, "bayes", "first"))
        design = search.latin_hypercube(first, len(axes), design_rng)
        default = view.space.default
        points = axes.settle(design) if default is None else search.scatter(design, axes.rest, axes)
        if self._settings.centre_first or default is not None:
            points[0] = axes.settle(axes.rest[None, :])[0]
        spare = axes.settle(rng.random((64, len(axes))))
        chosen = _new(view, axes, past, np.concatenate([points[past.count :], points, spare]), rng)
        where = "all over the space" if default is None else "about the default"
        return Suggestion(params=chosen, rationale=f"first points {where}: {past.count + 1} of {first}")

    def _improvement(self, view: StudyView, axes: Axes, past: Past, rng: np.random.Generator) -> Suggestion:
        single = len(view.objectives) == 1
        values = past.values[:, 0] if single else scalarize(past.values, past.complete, rng)
        warp = warp_for(values[past.complete], softness=self._settings.softness)
        targets = _targets(values, past, warp)
        belief = self._learn(view, axes, past, targets, rng)
        good = np.argsort(np.where(past.allowed, targets, targets + 1e3), kind="stable")[:8]
        local = self._settings.local_every and view.number % self._settings.local_every == 0
        near = search.around_the_best(past.units[good[: self._settings.local_points]], axes)
        region = near if local else search.everywhere(axes)
        pool, _ = search.climb(belief.score, axes, past.units[good], rng, region=region)
        chosen = _new(view, axes, past, pool, rng)
        z = axes.features(np.array([view.space.to_unit(chosen)]))
        prediction = _prediction(warp, belief.objective, z, view.objectives[0]) if single else None
        chance = float(np.exp(belief.log_chance(z)[0]))
        return Suggestion(params=chosen, prediction=prediction, rationale=_rationale(prediction, chance))

    def _learn(self, view: StudyView, axes: Axes, past: Past, targets: Array, rng: np.random.Generator) -> _Belief:
        rows = lowest_and_spread(targets, MODEL_ROWS)
        z, group = axes.features(past.units[rows]), axes.group
        prior = self._settings.priors[view.number % len(self._settings.priors)]
        if self._settings.averaging:
            objective = learn(z, targets[rows], group, prior, rng)
        else:
            objective = learn_mode(z, targets[rows], group, prior)
        failed, success = past.failed[rows], None
        if failed.any() and self._settings.failures:
            success = learn_mode(z, np.where(failed, 1.0, -1.0), group, gp.Prior())
        return _Belief(
            axes=axes,
            objective=objective.believing(axes.features(past.pending), group),
            success=success,
            constraints=_constraints(z, past.violations[rows], group),
            best=z[past.allowed[rows]],
            caution=self._settings.caution,
        )


def _targets(values: Array, past: Past, warp: Warp) -> Array:
    """Return (n,) targets: complete trials warped, failures at the worst success, stops at best at the median."""
    targets = np.full(len(values), -np.inf)
    targets[past.complete] = warp.apply(values[past.complete])
    worst, middle = targets[past.complete].max(), float(np.median(targets[past.complete]))
    stopped = ~past.complete & ~past.failed
    # A stopped trial might have become better than it was, but it was stopped for being unlikely to become good.
    at_stop = np.where(np.isfinite(values), values, np.inf)
    targets[stopped] = np.maximum(warp.apply(at_stop[stopped]), middle)
    targets[past.failed] = worst
    return targets


def _constraints(z: Array, violations: Array, group: Index) -> tuple[Mixture, ...]:
    models = []
    for column in violations.T:
        seen = np.isfinite(column)
        if (column[seen] > 0.0).any():
            models.append(learn_mode(z[seen], squash(column[seen]), group, gp.Prior()))
    return tuple(models)


def _far_from_failures(view: StudyView, axes: Axes, past: Past, rng: np.random.Generator) -> Suggestion:
    """Propose the point least like all that is known: nothing has succeeded yet, so there is nothing to improve on."""
    points = axes.settle(rng.random((256, len(axes))))
    order = search.farthest(axes.features(points), axes.features(np.concatenate([past.units, past.pending])))
    chosen = _new(view, axes, past, points[order], rng)
    return Suggestion(params=chosen, rationale="nothing has succeeded yet: as far as possible from what was tried")


def _new(view: StudyView, axes: Axes, past: Past, pool: Array, rng: np.random.Generator) -> dict[str, Value]:
    """Return the first configuration of the pool (m, d) that is new and no near duplicate.

    When there is none: the first that is new, then a random one that is new, then any one that is new.

    Raises:
        SpaceExhausted: none is new.
    """
    tried = known(view)
    under_way = np.where(axes.smooth, NEAR_PENDING, _SAME)
    close = np.abs(pool[:, None, :] - past.pending[None, :, :]) <= under_way
    crowded = np.any(np.all(close, axis=2), axis=1)
    reach = np.where(axes.smooth, NEAR, _SAME)
    new = []
    for point in np.concatenate([pool[~crowded][:_ATTEMPTS], pool[crowded][:_ATTEMPTS]]):
        params = view.space.from_unit(point.tolist())
        if identity(params) not in tried:
            if not (np.abs(past.units - point) <= reach).all(axis=1).any():
                return params
            new.append(params)
    if new:
        return new[0]
    return dict(draw_untried(view, lambda: random_params(view.space, rng), rng))


def _prediction(warp: Warp, objective: Mixture, z: Array, first: Objective) -> Prediction:
    """Return what is expected at (1, c), in the objective's own units and direction."""
    mean, std = objective.predict(z)
    middle, low, high = warp.invert(np.array([mean[0], mean[0] - std[0], mean[0] + std[0]]))
    return Prediction(mean=first.sign * float(middle), std=float(high - low) / 2.0)


def _rationale(prediction: Prediction | None, chance: float) -> str:
    expected = "" if prediction is None else f"expected {prediction.mean:.4g} ± {prediction.std:.2g}, "
    risk = f" ({1.0 - chance:.0%} risk to fail)" if chance < 0.995 else ""
    return f"{expected}the most promising{risk}"
