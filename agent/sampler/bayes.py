"""The Bayesian sampler: a few spread points, then the highest expected gain among what should not fail.

What it believes of a point is belief.py. Knows no database, no LLM and no clock; it turns a view into arrays, asks for
the best points, and turns one of them back into a configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.deduplication import draw_untried, identity, known, random_params
from tunesmith.agent.sampler.interactions import interactions_of
from tunesmith.agent.sampler.priors import Priors
from tunesmith.agent.sampler.surrogate import acquisition_optimizer
from tunesmith.agent.sampler.surrogate.blas_threads import one_core
from tunesmith.agent.sampler.surrogate.encoding import Array, Axes
from tunesmith.agent.sampler.surrogate.failure_classifier import learn_failures
from tunesmith.agent.sampler.surrogate.gp_ensemble import Index
from tunesmith.agent.sampler.surrogate.hypervolume import nondominated
from tunesmith.agent.sampler.surrogate.transfer import Lore, lore_of
from tunesmith.agent.sampler.surrogate_model import (
    Belief,
    Inputs,
    Settings,
    Several,
    earlier_models,
    learn_belief,
    told_targets,
)
from tunesmith.agent.sampler.training_data import Past, past_of
from tunesmith.agent.sampler.warm_start.scale_transfer import earlier_pasts, optimum_at_scale, scale_words
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.seeds import derived_seed
from tunesmith.study.trials.trial import Prediction, Source, Trial
from tunesmith.study.trials.view import Objective, StudyView

NEAR = 1e-3
"""Configurations are near duplicates when no smooth coordinate differs by more and all others are equal."""

NEAR_PENDING = 0.02
"""The same towards what is still running: two answers at once should teach two things."""

_ATTEMPTS = 200
_SPARE = 64
_ENOUGH_TO_JUDGE = 4
_ENOUGH_FOR_PAIRS = 12
_MOST_AS_BEFORE = 4
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the sampler's model thinks of a configuration.

    Attributes:
        lag: by how much its log expected gain lies below that of the sampler's own best point.
        chance: the probability that it runs through and keeps every constraint.
        rival: what is expected of the sampler's own best point.
    """

    lag: float
    chance: float
    prediction: Prediction
    rival: Prediction | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """A view as arrays, what earlier studies ran (r, d), under which names, and say, and the source of chance."""

    inputs: Inputs
    past: Past
    ran: Array
    origins: Sequence[str]
    lore: Lore | None
    rng: np.random.Generator


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

    def judge(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[Judgement] | None:
        """Return what the model thinks of somebody else's configurations; None while there is no model.

        Args:
            view: the study.
            configurations: valid ones.
        """
        with one_core():
            known = self._known(view)
            if known.past.complete.sum() < _ENOUGH_TO_JUDGE:
                return None
            belief, pool, scores = self._search(view, known)
            units = np.array([view.space.to_unit(params) for params in configurations])
            z = known.inputs.of(units)
            lags = scores[0] - belief.score(units)
            chances = np.exp(belief.log_chance(z))
            rival = _prediction(belief, known.inputs.of(pool[:1]), view.objectives[0])
            return [
                Judgement(float(lag), float(chance), _prediction(belief, z[i : i + 1], view.objectives[0]), rival)
                for i, (lag, chance) in enumerate(zip(lags, chances, strict=True))
            ]

    def ranked(self, view: StudyView, trials: Sequence[Trial]) -> list[Trial]:
        """Return trials of the view by what the model expects of them, the best first; as they come without a model.

        A value that only chance made good lies above what the model expects from all that is around it.
        """
        with one_core():
            known = self._known(view)
            if known.past.complete.sum() < _ENOUGH_TO_JUDGE or not trials:
                return list(trials)
            belief, _, _ = self._search(view, known)
            units = np.array([view.space.to_unit(trial.params) for trial in trials])
            means, _ = belief.first.predict(known.inputs.of(units))
            return [trials[index] for index in np.argsort(means, kind="stable")]

    def interactions(self, view: StudyView, names: Sequence[str]) -> tuple[str, ...]:
        """Return how some of the parameters act together, as the model sees it; nothing before it has seen enough."""
        with one_core():
            known = self._known(view)
            if known.past.complete.sum() < _ENOUGH_FOR_PAIRS:
                return ()
            belief, _, _ = self._search(view, known)

            def surface(units: Array) -> Array:
                return belief.first.predict(known.inputs.of(units))[0]

            return interactions_of(surface, known.inputs.axes, names, known.rng)

    def _suggest(self, view: StudyView) -> Suggestion:
        known = self._known(view)
        past = known.past
        first = self._settings.first
        if known.lore is not None:
            given = sum(t.proposal.source is Source.DEFAULT for t in view.trials[:1])
            before = 1 if len(known.lore.models) == 1 else min(len(known.lore.models) + 1, _MOST_AS_BEFORE)
            if past.spread < given + before:
                return _as_before(view, known, known.lore, past.spread - given)
            # One point that would have been tried anyway tells whether earlier studies rank as this one does.
            first = min(first, before + 1) if past.complete.any() else first
        elif len(known.ran):
            # What was tried on the word of a misleading study tells little of the space.
            first += 1
        if past.spread < first:
            return self._opening(view, known)
        if past.complete.any():
            return self._improvement(view, known)
        return _far_from_failures(view, known.inputs.axes, past, known.rng)

    def _known(self, view: StudyView) -> _Known:
        axes, past = Axes(view.space), past_of(view)
        earlier = earlier_pasts(view) if len(view.objectives) == 1 else []
        graded = any((study.fidelity < 1.0).any() for study in [past, *earlier])
        inputs, told = Inputs(axes, graded), past.complete
        models = earlier_models(earlier, inputs, self._settings)
        ran = np.concatenate([np.empty((0, len(axes))), *(study.units[study.complete] for study in earlier)])
        ran = axes.settle(ran)
        origins = [
            study.name for study, past in zip(view.earlier, earlier, strict=False) for _ in past.units[past.complete]
        ]
        seen = inputs.of(past.units[told], past.fidelity[told])
        lore = lore_of(models, inputs.of(ran), seen, past.values[told][:, 0]) if models else None
        rng = np.random.default_rng(derived_seed(view.seed, "bayes", view.number))
        return _Known(inputs, past, ran, origins, lore, rng)

    def _opening(self, view: StudyView, known: _Known) -> Suggestion:
        """Propose the next of the first points: about the user's default, or all over the space without one."""
        axes, past, rng = known.inputs.axes, known.past, known.rng
        first, default = self._settings.first, view.space.default
        where = "all over the space" if default is None else "about the default"
        rationale = f"first points {where}: {past.spread + 1} of {max(first, past.spread + 1)}"
        spread = self._spread(view, axes)
        design_rng = np.random.default_rng(derived_seed(view.seed, "bayes", "first"))
        points = spread(acquisition_optimizer.latin_hypercube(first, len(axes), design_rng))
        priors = Priors(axes) if self._settings.knowledge else None
        if default is not None or self._settings.centre_first:
            centre = priors.mode(axes.rest) if priors and default is None else axes.rest
            points[0] = axes.settle(centre[None, :])[0]
        spare = spread(rng.random((_SPARE, len(axes))))
        if past.failed.any() and self._settings.failures:
            pool = _safest(axes, past, np.concatenate([points, spare]))
            rationale += ", where least seems to fail"
        else:
            turn = max(past.spread - 1, 0) if view.earlier else past.spread
            pool = np.concatenate([points[turn:], points, spare])
        return Suggestion(params=_new(view, axes, past, pool, rng), rationale=rationale)

    def _spread(self, view: StudyView, axes: Axes) -> Callable[[Array], Array]:
        """Return the map from (m, d) levels in [0, 1] to settled first points."""
        if view.space.default is not None:
            return lambda levels: acquisition_optimizer.scatter(levels, axes.rest, axes)
        if self._settings.knowledge:
            priors = Priors(axes)
            return lambda levels: axes.settle(priors.drawn_at(levels))
        return axes.settle

    def _improvement(self, view: StudyView, known: _Known) -> Suggestion:
        belief, pool, _ = self._search(view, known)
        chosen = _new(view, known.inputs.axes, known.past, pool, known.rng)
        z = known.inputs.of(np.array([view.space.to_unit(chosen)]))
        prediction = _prediction(belief, z, view.objectives[0])
        return Suggestion(
            params=chosen,
            prediction=prediction,
            rationale=_rationale(prediction, float(np.exp(belief.log_chance(z)[0]))),
        )

    def _search(self, view: StudyView, known: _Known) -> tuple[Belief, Array, Array]:
        """Return the models, and the points (m, d) with their scores (m,), the most promising first."""
        settings, past, axes = self._settings, known.past, known.inputs.axes
        belief = learn_belief(past, known.lore, known.inputs, view.number, view.thrift, settings, known.rng)
        good = _good(past, belief, known.rng)
        local = settings.local_every and view.number % settings.local_every == 0
        near = acquisition_optimizer.around_the_best(past.units[good[: settings.local_points]], axes)
        region = near if local else acquisition_optimizer.everywhere(axes)
        return belief, *acquisition_optimizer.climb(belief.score, axes, past.units[good[:8]], known.rng, region=region)


def _good(past: Past, belief: Belief, rng: np.random.Generator) -> Index:
    """Return trials about which to look, the best first; of several objectives those nearest to one of the front."""
    columns = zip(past.values.T, belief.warps, strict=True)
    targets = np.stack([told_targets(column, past, warp) for column, warp in columns], axis=1)
    targets = np.where(past.allowed[:, None], targets, targets + 1e3)
    if not isinstance(belief.objective, Several):
        return np.argsort(targets[:, 0], kind="stable")
    front = np.flatnonzero(nondominated(targets))
    centre = front[rng.integers(len(front))]
    return np.argsort(np.linalg.norm(targets - targets[centre], axis=1), kind="stable")


def _as_before(view: StudyView, known: _Known, lore: Lore, turn: int) -> Suggestion:
    """Propose what did best in earlier studies, as their models see it: among what ran there, nothing extrapolated.

    Of studies at another scale, where they lead to expect the optimum at the present one.
    """
    z = known.inputs.of(known.ran)
    order = np.argsort(lore.models[turn - 1].predict(z)[0] if turn else lore.expected(z), kind="stable")
    pool = known.ran[order]
    forecast = optimum_at_scale(view) if turn == 0 else None
    if forecast is not None:
        pool = np.concatenate([[view.space.to_unit(forecast.params)], pool])
    chosen = _new(view, known.inputs.axes, known.past, pool, known.rng)
    if forecast is not None and chosen == forecast.params:
        found_in = " and ".join(forecast.studies)
        rationale = f"where {found_in} lead to expect the optimum at {scale_words(view.scale)}"
    else:
        nearest = np.abs(known.ran - np.array(view.space.to_unit(chosen))).sum(axis=1).argmin()
        rationale = f"among the best of {known.origins[int(nearest)]}"
    return Suggestion(params=chosen, rationale=rationale)


def _far_from_failures(view: StudyView, axes: Axes, past: Past, rng: np.random.Generator) -> Suggestion:
    """Propose a point that should not fail, unlike all that is known: there is nothing to improve on yet."""
    pool = _safest(axes, past, axes.settle(rng.random((256, len(axes)))))
    chosen = _new(view, axes, past, pool, rng)
    return Suggestion(params=chosen, rationale="nothing has succeeded yet: as far as possible from what was tried")


def _safest(axes: Axes, past: Past, points: Array) -> Array:
    """(m, d) -> the quarter of the points (k, d) least likely to fail, the one farthest from all known first."""
    seen, safe = axes.features(past.units), points
    if past.failed.any():
        chance = learn_failures(seen, past.failed).log_success(axes.features(points))
        safe = points[np.argsort(-chance, kind="stable")[: max(len(points) // 4, 1)]]
    return safe[
        acquisition_optimizer.farthest(axes.features(safe), np.concatenate([seen, axes.features(past.pending)]))
    ]


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
    seen = past.units if view.raised else past.units[past.fidelity >= 1.0]
    new = []
    for point in np.concatenate([pool[~crowded][:_ATTEMPTS], pool[crowded][:_ATTEMPTS]]):
        params = view.space.from_unit(point.tolist())
        if identity(params) not in tried:
            if not (np.abs(seen - point) <= reach).all(axis=1).any():
                return params
            new.append(params)
    if new:
        return new[0]
    return dict(draw_untried(view, lambda: random_params(view.space, rng), rng))


def _prediction(belief: Belief, z: Array, first: Objective) -> Prediction:
    """Return what is expected at (1, c), in the first objective's own units and direction."""
    mean, std = belief.first.predict(z)
    middle, low, high = belief.warps[0].invert(np.array([mean[0], mean[0] - std[0], mean[0] + std[0]]))
    return Prediction(mean=first.sign * float(middle), std=float(high - low) / 2.0)


def _rationale(prediction: Prediction, chance: float) -> str:
    expected = f"expected {prediction.mean:.4g} ± {prediction.std:.2g}, "
    risk = f" ({1.0 - chance:.0%} risk to fail)" if chance < 0.995 else ""
    return f"{expected}the most promising{risk}"
