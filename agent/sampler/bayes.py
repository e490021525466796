"""The Bayesian sampler: an initial design, then the point with the highest acquisition.

Its models are in surrogate_model.py. Turns a view into arrays, searches for the best points and turns one of them into
a configuration. Knows no database, no LLM and no clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.agent.sampler.base import Suggestion
from tunesmith.agent.sampler.candidates.deduplication import draw_new_params, random_params, tried_keys
from tunesmith.agent.sampler.candidates.opening import is_open, least_likely_to_fail, next_opening
from tunesmith.agent.sampler.candidates.regions import region_of, region_of_untried_value, with_all_mixtures
from tunesmith.agent.sampler.inputs import StudyInputs, study_inputs
from tunesmith.agent.sampler.interactions import describe_interactions
from tunesmith.agent.sampler.overconfidence import Misses, recent_misses
from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.agent.sampler.surrogate import acquisition_optimizer
from tunesmith.agent.sampler.surrogate.hypervolume import nondominated
from tunesmith.agent.sampler.surrogate.transfer import TransferPrior
from tunesmith.agent.sampler.surrogate_model import (
    FeatureMap,
    MultiObjectiveModel,
    SurrogateModel,
    fit_surrogate,
    to_targets,
)
from tunesmith.agent.sampler.training_data import TrainingData
from tunesmith.agent.sampler.warm_start.scale_transfer import format_scale, optimum_at_scale
from tunesmith.study.space.condition import Value
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.trial import Prediction, Source, Trial
from tunesmith.study.trials.view import Objective, StudyView
from tunesmith.tools.surrogate.blas_threads import single_threaded_blas
from tunesmith.tools.surrogate.encoding import Array
from tunesmith.tools.surrogate.gp_ensemble import Index

NEAR = 1e-3
"""Largest difference of near duplicates in any smooth coordinate; their other coordinates are equal."""

NEAR_PENDING = 0.02
"""The same for pending trials, so that trials that run at once explore different points."""

_SAME = 1e-9
_MAX_CHECKED = 200
"""Number of points of a pool that are checked for being new."""

_MIN_TRIALS_TO_SCORE = 4
_MIN_TRIALS_FOR_INTERACTIONS = 12
_MAX_TRANSFERRED = 4
"""Largest number of first trials that are taken from earlier studies."""

_RANKED = 400
"""Largest number of trials that are ranked by posterior mean."""

_ANCHORS = 8
"""Number of good trials near which the local search draws candidates."""


@dataclass(frozen=True, slots=True)
class CandidateScore:
    """The model's score of a configuration.

    Attributes:
        log_ei_gap: the log acquisition of the sampler's own best point minus that of the configuration.
        p_feasible: the probability that it succeeds and satisfies every constraint.
        prediction: the predicted first objective.
        rival: the predicted first objective at the sampler's own best point.
    """

    log_ei_gap: float
    p_feasible: float
    prediction: Prediction
    rival: Prediction | None = None


@dataclass(frozen=True, slots=True)
class _Search:
    """The models, and every point that they scored.

    Attributes:
        pool: (m, d) coordinates, the highest score first.
        scores: (m,) log acquisition.
    """

    model: SurrogateModel
    pool: Array
    scores: Array
    misses: Misses


class BayesSampler:
    """Our Bayesian sampler. A suggestion is a pure function of the view; nothing is kept between calls."""

    def __init__(self, settings: SamplerSettings | None = None) -> None:
        self._settings = settings or SamplerSettings()

    def suggest(self, view: StudyView) -> Suggestion:
        """Return a valid configuration that was not tried, and is not a near duplicate while there are others.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        with single_threaded_blas():
            return self._suggest(view)

    def score(self, view: StudyView, configurations: Sequence[Mapping[str, Value]]) -> list[CandidateScore] | None:
        """Return the model's scores of configurations from another source; None with fewer than 4 complete trials.

        Args:
            view: the study.
            configurations: valid ones.
        """
        with single_threaded_blas():
            inputs = study_inputs(view, self._settings)
            if inputs.data.complete.sum() < _MIN_TRIALS_TO_SCORE:
                return None
            found = self._judge(view, inputs)
            return _score_candidates(view, inputs, found, configurations)

    def rank(self, view: StudyView, trials: Sequence[Trial]) -> list[Trial]:
        """Return trials of the view by their predicted first objective, best first; unchanged without a model.

        The prediction also depends on the trials nearby, so a value that is good only by luck ranks lower than its own
        measurement suggests.
        """
        with single_threaded_blas():
            inputs = study_inputs(view, self._settings)
            if inputs.data.complete.sum() < _MIN_TRIALS_TO_SCORE or not trials:
                return list(trials)
            model = self._judge(view, inputs).model
            units = np.array([view.space.to_unit(trial.params) for trial in trials])
            means, _ = model.first.predict(inputs.feature_map.features(units))
            return [trials[index] for index in np.argsort(means, kind="stable")]

    def interactions(self, view: StudyView, names: Sequence[str]) -> tuple[str, ...]:
        """Return sentences on how pairs of the named parameters interact; none with fewer than 12 complete trials."""
        with single_threaded_blas():
            inputs = study_inputs(view, self._settings)
            if inputs.data.complete.sum() < _MIN_TRIALS_FOR_INTERACTIONS:
                return ()
            model = self._judge(view, inputs).model

            def surface(units: Array) -> Array:
                return model.first.predict(inputs.feature_map.features(units))[0]

            return describe_interactions(surface, inputs.encoding, names, inputs.rng)

    def _suggest(self, view: StudyView) -> Suggestion:
        inputs = study_inputs(view, self._settings)
        data, prior = inputs.data, inputs.transfer_prior
        n_initial = self._settings.n_initial
        if prior is not None:
            defaults = sum(t.proposal.source is Source.DEFAULT for t in view.trials[:1])
            transferred = 1 if len(prior.models) == 1 else min(len(prior.models) + 1, _MAX_TRANSFERRED)
            if data.exploratory_count < defaults + transferred:
                return _suggest_from_earlier(view, inputs, prior, data.exploratory_count - defaults)
            # One more point of the initial design shows whether earlier studies rank as this one does.
            n_initial = min(n_initial, transferred + 1) if data.complete.any() else n_initial
        elif len(inputs.earlier_units):
            # The first trial came from a study that proved misleading and says little about the space.
            n_initial += 1
        arms = inputs.arms
        untried = arms.first_untried() if arms is not None and data.count else None
        if arms is not None and untried is not None:
            params = _first_new(view, inputs, untried[None, :])
            return Suggestion(params=params, rationale=f"the first trial with {arms.name} = {params.get(arms.name)}")
        if is_open(view, data, n_initial, inputs.arm_count):
            return self._suggest_initial(view, inputs)
        if data.complete.any():
            arm = None
            if arms is not None:
                arm = arms.only if arms.only is not None else arms.by_bound(view.number)
            return self._suggest_improvement(view, inputs, arm)
        return _suggest_far_from_failures(view, inputs)

    def _suggest_initial(self, view: StudyView, inputs: StudyInputs) -> Suggestion:
        encoding, data = inputs.encoding, inputs.data
        opening = next_opening(view, encoding, data, self._settings, inputs.rng, arms=inputs.arms)
        pool = inputs.within(opening.pool)
        return Suggestion(params=_first_new(view, inputs, pool), rationale=opening.rationale)

    def _suggest_improvement(self, view: StudyView, inputs: StudyInputs, arm: int | None) -> Suggestion:
        found = self._searched(view, inputs, _own_turn(view), inputs.rng, arm)
        params = _first_new(view, inputs, inputs.within(found.pool))
        z = found.model.feature_map.features(np.array([view.space.to_unit(params)]))
        middle, spread = _by_model(found, z)
        mean = view.objectives[0].sign * middle
        prediction = Prediction(mean=mean, std=math.hypot(spread, found.misses.rms))
        p_feasible = float(np.exp(found.model.log_p_feasible(z)[0]))
        rationale = _rationale(mean, math.hypot(spread, found.misses.typical), p_feasible)
        if inputs.arms is not None and arm is not None and inputs.arms.only is None:
            rationale = f"nothing better for a while, and {inputs.arms.values[arm]} may still rise: {rationale}"
        return Suggestion(params=params, prediction=prediction, rationale=rationale)

    def _judge(self, view: StudyView, inputs: StudyInputs) -> _Search:
        """Return the model and search by which points of others are judged: they change with the data only."""
        rng = np.random.default_rng(derived_seed(view.seed, "bayes", "judge", inputs.data.count))
        return self._searched(view, inputs, None, rng)

    def _searched(
        self, view: StudyView, inputs: StudyInputs, number: int | None, rng: np.random.Generator, arm: int | None = None
    ) -> _Search:
        if inputs.arms is not None and arm is not None:
            inputs = inputs.of_arm(inputs.arms, arm)
        settings, data, encoding = self._settings, inputs.data, inputs.encoding
        misses = recent_misses(view.trials, view.objectives[0])
        model = fit_surrogate(
            data, inputs.transfer_prior, inputs.feature_map, number, view.cost_exponent, settings, rng
        )
        # Without a default the means are of few points all over the space, and on a plateau mislead.
        rows = _good_rows(data, model, rng, inputs.feature_map if view.space.default is not None else None)
        good = data.units[rows]
        if inputs.arms is not None and arm is not None:
            good = inputs.arms.of_arm(good, arm)
        region = self._region(view, inputs, good, number)
        if inputs.arms is not None and arm is not None:
            region = inputs.arms.confined(region, arm, good)
        pool, scores = acquisition_optimizer.local_search(model.score, encoding, good[:_ANCHORS], rng, region=region)
        return _Search(model, pool, scores, misses)

    def _region(
        self, view: StudyView, inputs: StudyInputs, good: Array, number: int | None
    ) -> acquisition_optimizer.Region:
        """Return where this turn's proposal is sought; points of others are judged against the whole space."""
        settings, encoding = self._settings, inputs.encoding
        if number is None:
            return acquisition_optimizer.whole_space(encoding)
        if view.space.default is None:
            return region_of(settings.turns[number % len(settings.turns)], encoding, good)
        untried = (
            region_of_untried_value(encoding, inputs.data, good[0]) if number % settings.untried_every == 0 else None
        )
        turn = settings.turns_with_default[number % len(settings.turns_with_default)]
        return untried or with_all_mixtures(region_of(turn, encoding, good), encoding, number)


def _own_turn(view: StudyView) -> int:
    """Return how many trials the sampler proposed, the default included.

    What happens at every n-th proposal must not wait for a multiple of n that happens to be the sampler's turn.
    """
    own = (Source.DEFAULT, Source.SAMPLER, Source.FALLBACK)
    return sum(trial.proposal.source in own and not trial.is_replicate for trial in view.trials)


def _score_candidates(
    view: StudyView, inputs: StudyInputs, found: _Search, configurations: Sequence[Mapping[str, Value]]
) -> list[CandidateScore]:
    units = np.array([view.space.to_unit(params) for params in configurations])
    z = inputs.feature_map.features(units)
    gaps = found.scores[0] - found.model.score(units)
    probabilities = np.exp(found.model.log_p_feasible(z))
    first = view.objectives[0]
    rival = _predict(found, inputs.feature_map.features(found.pool[:1]), first)
    return [
        CandidateScore(float(gap), float(p), _predict(found, z[index : index + 1], first), rival)
        for index, (gap, p) in enumerate(zip(gaps, probabilities, strict=True))
    ]


def _good_rows(
    data: TrainingData, model: SurrogateModel, rng: np.random.Generator, feature_map: FeatureMap | None
) -> Index:
    """Return row indices, best first: by posterior mean, so that a lucky value does not lead.

    By target where no feature map is given; with several objectives by the distance to a random point of the front.
    """
    columns = zip(data.values.T, model.warps, strict=True)
    targets = np.stack([to_targets(column, data, warp) for column, warp in columns], axis=1)
    targets = np.where(data.feasible[:, None], targets, targets + 1e3)
    if not isinstance(model.objective, MultiObjectiveModel):
        rows = np.argsort(targets[:, 0], kind="stable")[:_RANKED]
        if feature_map is None:
            return rows
        means = model.first.predict(feature_map.features(data.units[rows], data.fidelity[rows]))[0]
        return rows[np.argsort(np.where(data.feasible[rows], means, means + 1e3), kind="stable")]
    front = np.flatnonzero(nondominated(targets))
    centre = front[rng.integers(len(front))]
    return np.argsort(np.linalg.norm(targets - targets[centre], axis=1), kind="stable")


def _suggest_from_earlier(view: StudyView, inputs: StudyInputs, prior: TransferPrior, turn: int) -> Suggestion:
    """Suggest the point that earlier studies' models predict to be best, among the points that ran there.

    The first turn uses the weighted mean of the models, each later turn one model. When earlier studies ran at another
    scale, the first turn suggests the predicted optimum at the present one.
    """
    z = inputs.feature_map.features(inputs.earlier_units)
    means = prior.models[turn - 1].predict(z)[0] if turn else prior.mean(z)
    pool = inputs.earlier_units[np.argsort(means, kind="stable")]
    optimum = optimum_at_scale(view) if turn == 0 else None
    if optimum is not None:
        pool = np.concatenate([[view.space.to_unit(optimum.params)], pool])
    params = _first_new(view, inputs, inputs.within(pool))
    if optimum is not None and params == optimum.params:
        studies = " and ".join(optimum.studies)
        rationale = f"the optimum at {format_scale(view.scale)} predicted from {studies}"
    else:
        nearest = np.abs(inputs.earlier_units - np.array(view.space.to_unit(params))).sum(axis=1).argmin()
        rationale = f"among the best of {inputs.earlier_names[int(nearest)]}"
    return Suggestion(params=params, rationale=rationale)


def _suggest_far_from_failures(view: StudyView, inputs: StudyInputs) -> Suggestion:
    """Suggest a point that is unlikely to fail and far from every trial, because no trial has succeeded yet."""
    encoding, data, rng = inputs.encoding, inputs.data, inputs.rng
    points = encoding.project_to_valid(rng.random((256, len(encoding))))
    params = _first_new(view, inputs, inputs.within(least_likely_to_fail(encoding, data, points)))
    return Suggestion(params=params, rationale="nothing has succeeded yet: as far as possible from what was tried")


def _first_new(view: StudyView, inputs: StudyInputs, pool: Array) -> dict[str, Value]:
    """Return the first configuration of the pool (m, d) that is new and no near duplicate.

    When there is none: the first that is new, else a random new one, else any new one.

    Raises:
        SpaceExhausted: every configuration was tried.
    """
    encoding, data, tried = inputs.encoding, inputs.data, tried_keys(view)
    reach_of_pending = np.where(encoding.smooth, NEAR_PENDING, _SAME)
    close = np.abs(pool[:, None, :] - data.pending[None, :, :]) <= reach_of_pending
    near_pending = np.any(np.all(close, axis=2), axis=1)
    reach = np.where(encoding.smooth, NEAR, _SAME)
    known = data.units if view.fidelity_rises else data.units[data.fidelity >= 1.0]
    near_duplicates = []
    for point in np.concatenate([pool[~near_pending][:_MAX_CHECKED], pool[near_pending][:_MAX_CHECKED]]):
        params = view.space.from_unit(point.tolist())
        if config_key(params) not in tried:
            if not (np.abs(known - point) <= reach).all(axis=1).any():
                return params
            near_duplicates.append(params)
    if near_duplicates:
        return near_duplicates[0]
    return dict(draw_new_params(view, lambda: _random_within(view, inputs), inputs.rng))


def _random_within(view: StudyView, inputs: StudyInputs) -> Mapping[str, Value]:
    """Return a random configuration, of an arm that pins and vetoes allow."""
    if inputs.arms is None or not inputs.arms.is_restricted:
        return random_params(view.space, inputs.rng)
    return view.space.from_unit(inputs.arms.random(inputs.rng).tolist())


def _predict(found: _Search, z: Array, first: Objective) -> Prediction:
    """Return the prediction at (1, c), in the first objective's own units and direction."""
    middle, spread = _by_model(found, z)
    return Prediction(mean=first.sign * middle, std=math.hypot(spread, found.misses.rms))


def _by_model(found: _Search, z: Array) -> tuple[float, float]:
    """Return the model's mean and spread at (1, c), in the objective's unit; the spread has a run's noise."""
    mean, std = found.model.first.predict(z)
    std = np.sqrt(std**2 + found.model.first.noise)
    middle, low, high = found.model.warps[0].invert(np.array([mean[0], mean[0] - std[0], mean[0] + std[0]]))
    return float(middle), float(high - low) / 2.0


def _rationale(mean: float, spread: float, p_feasible: float) -> str:
    """Return what is expected; about two thirds of the outcomes lie within the spread."""
    risk = f" ({1.0 - p_feasible:.0%} risk to fail)" if p_feasible < 0.995 else ""
    return f"expected {mean:.4g} ± {spread:.2g}, the most promising{risk}"
