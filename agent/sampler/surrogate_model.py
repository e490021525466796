"""Surrogate models of objectives, failures, constraints and cost, and the acquisition that combines them.

A study's arrays (training_data.py) go in, a score for any configuration comes out. Proposes no points and knows no
database.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.agent.sampler.priors import NamePriors, name_priors_of
from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.agent.sampler.surrogate.failure_classifier import FailureModel, fit_failure_model
from tunesmith.agent.sampler.surrogate.hypervolume import log_ehvi, nondominated, nondominated_boxes
from tunesmith.agent.sampler.surrogate.transfer import TransferPrior
from tunesmith.agent.sampler.training_data import TrainingData
from tunesmith.study.trials.replicates.seed_noise import Measured, scatter
from tunesmith.tools.surrogate import gp
from tunesmith.tools.surrogate.encoding import Array, Mask, SpaceEncoding
from tunesmith.tools.surrogate.gp_ensemble import (
    GPEnsemble,
    Index,
    fit_ensemble,
    fit_single,
    subsample_by_local_mean,
    subsample_by_value,
)
from tunesmith.tools.surrogate.output_transform import Warp, fit_warp, scale_violations

MODEL_ROWS = 400
"""Largest number of trials that models are conditioned on; more would take seconds."""

EARLIER_ROWS = 100
"""Largest number of trials of an earlier study's model, which is fitted anew for every suggestion."""

_MAX_FRONT = {2: 24, 3: 10}
"""Largest number of points of a front, by number of objectives; with three, boxes grow with its square."""

_MAX_FRONT_OF_MANY = 5
_ACCEPTED_MARGIN = 0.1
"""How much worse than the default a point may be, as a part of the front's range."""
_INFEASIBLE_PENALTY = 30.0
"""Factor of the log feasibility that a point lacks to `min_feasibility`; it outweighs any expected improvement."""


@dataclass(frozen=True, slots=True)
class MultiObjectiveModel:
    """One model per objective; the acquisition is the expected hypervolume improvement.

    Attributes:
        each: the models.
        accepted: the target of the first objective above which a point is of no interest at any cost.
    """

    each: tuple[GPEnsemble, ...]
    accepted: float = math.inf

    def log_improvement(self, z: Array, incumbents: Array) -> Array:
        """(m, c), (k, c) -> (m,) log expected hypervolume improvement over the front of the incumbents' means."""
        known = np.stack([model.predict(incumbents)[0] for model in self.each], axis=1)
        front = known[nondominated(known)]
        limit = _MAX_FRONT.get(len(self.each), _MAX_FRONT_OF_MANY)
        if len(front) > limit:
            order = np.argsort(front[:, 0], kind="stable")
            front = front[order[np.linspace(0, len(front) - 1, limit).round().astype(np.intp)]]
        top = front.max(axis=0)
        reference = np.maximum(top + 0.3 * (top - front.min(axis=0)) + 1e-3, np.median(known, axis=0))
        if self.accepted < math.inf:
            best = float(front[:, 0].min())
            margin = _ACCEPTED_MARGIN * float(top[0] - best)
            reference[0] = min(float(reference[0]), max(self.accepted, best + 1e-3) + margin)
        predictions = [model.predict(z) for model in self.each]
        means = np.stack([mean for mean, _ in predictions], axis=1)
        stds = np.stack([std for _, std in predictions], axis=1)
        return log_ehvi(means, stds, nondominated_boxes(front, reference))

    def fantasize(self, z: Array, group: Index) -> MultiObjectiveModel:
        """Condition each model on its own means at the pending points (p, c)."""
        return replace(self, each=tuple(model.fantasize(z, group) for model in self.each))


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """Maps coordinates to model features; with a column for the fidelity when trials ran at several.

    Attributes:
        columns: the features that are used; None for all.
    """

    encoding: SpaceEncoding
    with_fidelity: bool
    columns: Index | None = None

    def features(self, units: Array, fidelity: Array | None = None) -> Array:
        """(m, d) coordinates, (m,) fidelities or None for all at full fidelity -> (m, c)."""
        z = self.encoding.features(units)
        z = z if self.columns is None else z[:, self.columns]
        if not self.with_fidelity:
            return z
        return np.concatenate([z, (np.ones(len(z)) if fidelity is None else fidelity)[:, None]], axis=1)

    @property
    def group(self) -> Index:
        """(c,) index of the parameter of each feature; the fidelity counts as one more parameter."""
        group = self.encoding.group
        group = group if self.columns is None else np.unique(group[self.columns], return_inverse=True)[1]
        return np.append(group, group[-1] + 1) if self.with_fidelity else group


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateModel:
    """The models that enter the acquisition.

    Attributes:
        objective: model of one or several objectives.
        warps: transform of each objective's values to targets.
        failures: probability of failure; None when nothing failed.
        constraints: models of the violations of those constraints that were violated at least once.
        log_seconds: model of the log of a trial's wall time; None where time does not matter.
        cost_exponent: exponent on one over the predicted seconds.
        incumbents: (k, c) features of the feasible trials at full fidelity; their best is to be improved on.
        name_priors: plausibility by the names of parameters.
        transfer_prior: plausibility by earlier studies.
        prior_weight: exponent on both plausibilities.
        feasibility_exponent: exponent on P(feasible).
        min_feasibility: points with a lower P(feasible) are penalized.
        margin: how far below the best mean improvement begins, with one objective.
    """

    feature_map: FeatureMap
    objective: GPEnsemble | MultiObjectiveModel
    warps: tuple[Warp, ...]
    failures: FailureModel | None
    constraints: tuple[GPEnsemble, ...]
    log_seconds: GPEnsemble | None
    cost_exponent: float
    incumbents: Array
    name_priors: NamePriors
    transfer_prior: TransferPrior | None
    prior_weight: float
    feasibility_exponent: float
    min_feasibility: float
    margin: float = 0.0

    @property
    def first(self) -> GPEnsemble:
        """The model of the first objective."""
        return self.objective.each[0] if isinstance(self.objective, MultiObjectiveModel) else self.objective

    def log_p_feasible(self, z: Array) -> Array:
        """(m, c) -> (m,) log probability to succeed and to satisfy every constraint."""
        log_p = np.zeros(len(z)) if self.failures is None else self.failures.log_p_success(z)
        for model in self.constraints:
            log_p = log_p + model.log_below(z, 0.0)
        return log_p

    def score(self, units: Array) -> Array:
        """(m, d) -> (m,) the log acquisition; log P(feasible) while no trial is feasible."""
        z = self.feature_map.features(units)
        log_p = self.log_p_feasible(z)
        if not len(self.incumbents):
            return log_p
        lacking = np.maximum(math.log(self.min_feasibility) - log_p, 0.0)
        if isinstance(self.objective, MultiObjectiveModel):
            improvement = self.objective.log_improvement(z, self.incumbents)
        else:
            improvement = self.objective.log_improvement(z, self.incumbents, self.margin)
        score = improvement + self.feasibility_exponent * log_p - _INFEASIBLE_PENALTY * lacking
        if self.log_seconds is not None:
            score = score - self.cost_exponent * self.log_seconds.predict(z)[0]
        # A prior loses weight as one over the number of trials (piBO, Hvarfner et al. 2022).
        log_prior = self.name_priors.log_plausibility(units)
        if self.transfer_prior is not None:
            log_prior = log_prior + self.transfer_prior.log_plausibility(z)
        return score + self.prior_weight * log_prior


@dataclass(frozen=True, slots=True)
class _TrainingRows:
    """The rows that models are conditioned on, selected from all by their targets.

    Attributes:
        targets: (n,) targets of all rows, for each objective.
        rows: indices of the selected rows.
        z: (len(rows), c) features of the selected rows.
        runs: (len(rows),) number of runs behind each selected row; None where each is one.
    """

    targets: tuple[Array, ...]
    rows: Index
    z: Array
    runs: Array | None


def fit_surrogate(
    data: TrainingData, transfer_prior: TransferPrior | None, feature_map: FeatureMap, number: int | None,
    cost_exponent: float, settings: SamplerSettings, rng: np.random.Generator,
) -> SurrogateModel:  # fmt: skip
    """Fit all models; at least one trial must be complete.

    Args:
        data: arrays of the study.
        transfer_prior: from earlier studies, for a single objective.
        feature_map: maps coordinates to features.
        number: number of the proposal; it selects the prior of the hyperparameters. None to judge points of others,
            which takes the first one at every turn.
        cost_exponent: exponent on one over the predicted seconds; 0 ignores them.
        settings: of the sampler.
        rng: the source of randomness.
    """
    softness = settings.softness if data.values.shape[1] == 1 else settings.softness_of_several
    warps = tuple(fit_warp(_full_fidelity_values(data, column), softness=softness) for column in data.values.T)
    selected = _select_rows(data, warps, feature_map)
    rows, z, group = selected.rows, selected.z, feature_map.group
    prior = settings.hyperpriors[0 if number is None else number % len(settings.hyperpriors)]
    noise = measured_noise(data, warps[0]) if len(warps) == 1 else None
    objective = _fit_objective(selected, noise, group, prior, settings, rng)
    if isinstance(objective, MultiObjectiveModel) and data.has_cost:
        objective = _no_worse_than_default(objective, feature_map)
    failed = data.failed[rows]
    return SurrogateModel(
        feature_map=feature_map,
        objective=objective.fantasize(feature_map.features(data.pending), group),
        warps=warps,
        failures=fit_failure_model(z, failed) if failed.any() and settings.model_failures else None,
        constraints=_fit_constraints(z, data.violations[rows], group),
        log_seconds=_fit_log_seconds(z, data.seconds[rows], group) if cost_exponent else None,
        cost_exponent=cost_exponent,
        incumbents=feature_map.features(data.units[rows][data.feasible[rows]]),
        name_priors=name_priors_of(feature_map.encoding),
        transfer_prior=transfer_prior,
        prior_weight=settings.name_prior_strength / max(data.count, 1),
        feasibility_exponent=settings.feasibility_exponent,
        min_feasibility=settings.min_feasibility,
        margin=0.0 if number is None else _margin(data, feature_map.encoding, settings),
    )


def _margin(data: TrainingData, encoding: SpaceEncoding, settings: SamplerSettings) -> float:
    has_margin = encoding.space.default is not None and data.count >= settings.margin_from
    return settings.margin_with_default if has_margin else 0.0


def _select_rows(data: TrainingData, warps: Sequence[Warp], feature_map: FeatureMap) -> _TrainingRows:
    targets = tuple(to_targets(column, data, warp) for column, warp in zip(data.values.T, warps, strict=True))
    z = feature_map.features(data.units, data.fidelity)
    if len(targets) == 1:
        rows = subsample_by_local_mean(z, targets[0], MODEL_ROWS)
    else:
        rows = subsample_by_value(_dominance_depth(np.stack(targets, axis=1)), MODEL_ROWS)
    return _TrainingRows(targets, rows, z[rows], data.runs[rows] if (data.runs > 1.0).any() else None)


def _fit_objective(  # noqa: PLR0913  # the data, and how the model is fitted to it
    selected: _TrainingRows, noise: float | None, group: Index, prior: gp.HyperPrior, settings: SamplerSettings,
    rng: np.random.Generator,
) -> GPEnsemble | MultiObjectiveModel:  # fmt: skip
    z, targets = selected.z, [target[selected.rows] for target in selected.targets]
    if len(targets) > 1:
        return MultiObjectiveModel(tuple(fit_single(z, target, group, prior, selected.runs) for target in targets))
    prior = prior.with_measured_noise(noise, float(targets[0].std()))
    if settings.average_hyperparameters:
        return fit_ensemble(z, targets[0], group, prior, rng, selected.runs)
    return fit_single(z, targets[0], group, prior, selected.runs)


def _no_worse_than_default(model: MultiObjectiveModel, feature_map: FeatureMap) -> MultiObjectiveModel:
    """Return the model of quality and cost that looks for what is at least as good as the default, where there is one.

    A front of quality and cost reaches down to trials that cost and do nothing. Without a bound, half of the proposals
    go there.
    """
    space = feature_map.encoding.space
    if space.default is None:
        return model
    z = feature_map.features(np.array([space.to_unit(space.default)]))
    return replace(model, accepted=float(model.each[0].predict(z)[0][0]))


def measured_noise(data: TrainingData, warp: Warp) -> float | None:
    """Return the variance of the first target between runs of one configuration; None when no noise is known.

    Where no configuration ran twice, it is what no function of the parameters explains, if that is evident.

    On instances, of one run about its configuration and its instance.

    The variance is measured in values and converted to targets with the mean slope of the warp over all trials. Targets
    of the repeated runs themselves would mislead: the warp compresses the values of a bad default, so its targets
    hardly differ however large the noise is elsewhere.
    """
    values, squares, degrees_of_freedom = data.values[:, 0], 0.0, 0
    for unit in np.unique(data.units[len(data.units) - data.replicate_count :], axis=0):
        same = data.full & (data.units == unit).all(axis=1)
        if same.any():
            squares += float(((values[same] - values[same].mean()) ** 2).sum())
            degrees_of_freedom += int(same.sum()) - 1
    if data.noise is not None:
        squares, degrees_of_freedom = data.noise**2, 1
    if not degrees_of_freedom:
        rows = np.flatnonzero(data.full[: data.own_count])
        unexplained = scatter([Measured(tuple(data.units[row].tolist()), "", (float(values[row]),)) for row in rows])
        squares, degrees_of_freedom = (unexplained or 0.0) ** 2, 1 if unexplained else 0
    # A judge knows how much it varies; other noise comes on top of that and is seen in repeats only.
    judged = (data.judge_noise or 0.0) ** 2
    if not degrees_of_freedom and not judged:
        return None
    variance = max(squares / max(degrees_of_freedom, 1), judged)
    return variance * float((warp.slope(_full_fidelity_values(data, values)) ** 2).mean())


def fit_earlier_models(
    earlier: Sequence[TrainingData], feature_map: FeatureMap, settings: SamplerSettings
) -> list[GPEnsemble]:
    """Return a model of the targets of each earlier study that has at least two complete trials."""
    models = []
    for data in earlier:
        if data.complete.sum() >= 2:  # noqa: PLR2004  # one value has no ranks
            warp = fit_warp(_full_fidelity_values(data, data.values[:, 0]), softness=settings.softness_of_earlier)
            targets = to_targets(data.values[:, 0], data, warp)
            rows = subsample_by_value(targets, EARLIER_ROWS)
            z = feature_map.features(data.units[rows], data.fidelity[rows])
            models.append(fit_single(z, targets[rows], feature_map.group, settings.hyperpriors[0]))
    return models


def to_targets(values: Array, data: TrainingData, warp: Warp) -> Array:
    """Return (n,) targets of one objective.

    Complete trials have their warped values, failed trials the worst target of a complete one. Trials that were stopped
    without a forecast have at least the median, because they were stopped for being unlikely to become good.
    """
    targets = np.full(len(values), -np.inf)
    targets[data.complete] = warp.apply(values[data.complete])
    worst, median = targets[data.complete].max(), float(np.median(targets[data.complete]))
    stopped = ~data.complete & ~data.failed
    at_stop = warp.apply(np.where(np.isfinite(values), values, np.inf)[stopped])
    targets[stopped] = np.maximum(at_stop, median)
    targets[data.failed] = worst
    return targets


def _full_fidelity_values(data: TrainingData, values: Array) -> Array:
    """Return the values at full fidelity; with fewer than three of them, all complete values."""
    full = values[data.full]
    return full if len(full) > 2 else values[data.complete]  # noqa: PLR2004  # a median needs three


def _dominance_depth(targets: Array) -> Array:
    """(n, k) -> (n,) number of points that dominate each, so that the front comes first; ties broken by the sum."""
    dominating = (targets[:, None, :] <= targets[None, :, :]).all(axis=2).sum(axis=0)
    return np.asarray(dominating + 1e-6 * np.tanh(targets.sum(axis=1)))


def _fit_constraints(z: Array, violations: Array, group: Index) -> tuple[GPEnsemble, ...]:
    models = []
    for column in violations.T:
        measured = np.isfinite(column)
        if (column[measured] > 0.0).any():
            models.append(fit_single(z[measured], scale_violations(column[measured]), group, gp.HyperPrior()))
    return tuple(models)


def _fit_log_seconds(z: Array, seconds: Array, group: Index) -> GPEnsemble | None:
    measured: Mask = np.isfinite(seconds)
    if measured.sum() <= 2:  # noqa: PLR2004  # too few to learn from
        return None
    return fit_single(z[measured], np.log(seconds[measured]), group, gp.HyperPrior())
