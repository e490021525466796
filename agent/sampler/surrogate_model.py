"""What the sampler believes after what it has seen: models of objectives, failures, constraints and seconds.

Arrays of a study go in (past.py), a score for any configuration comes out. Draws no points and knows no database.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.agent.sampler.priors import Priors
from tunesmith.agent.sampler.surrogate import gp
from tunesmith.agent.sampler.surrogate.encoding import Array, Axes, Mask
from tunesmith.agent.sampler.surrogate.failure_classifier import FailureModel, learn_failures
from tunesmith.agent.sampler.surrogate.gp_ensemble import (
    Index,
    Mixture,
    learn,
    learn_mode,
    lowest_and_spread,
    promising_and_spread,
)
from tunesmith.agent.sampler.surrogate.hypervolume import free_boxes, log_expected_gain, nondominated
from tunesmith.agent.sampler.surrogate.output_transform import Warp, squash, warp_for
from tunesmith.agent.sampler.surrogate.transfer import Lore
from tunesmith.agent.sampler.training_data import Past

MODEL_ROWS = 400
"""Models are conditioned on at most so many trials, the best and a spread of the rest; more would cost seconds."""

EARLIER_ROWS = 100
"""The same for each earlier study, whose model is fitted anew for every suggestion."""

_FRONT = {2: 24, 3: 10}
"""At most so many points of a front are told apart: with three objectives the boxes grow with their square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the measurements decided; docs/decisions/002 has them.

    Attributes:
        first: how many trials are spread before a model is asked.
        centre_first: whether the middle of the space (or what the names of parameters make likely) is the first of them
            where the user gave no default.
        smoothness: the objective's priors. Proposals take them in turn, so that a model that is too rough or too smooth
            for a problem cannot stall the whole search.
        softness: see `warp_for`.
        softness_of_earlier: the same for earlier studies, of which the shape of the whole is wanted, not the fine
            differences near a best that may lie elsewhere now.
        softness_of_several: the same with several objectives, where the middle of a front counts as its ends do.
        averaging: whether few points are met with draws of the hyperparameters instead of their mode.
        failures: whether the chance to fail weighs in.
        caution: the power to which the chance not to fail is raised; at 1 a point that is twice as good may fail twice
            as often.
        bar: points with a lower chance to run through are passed over as long as there are others.
        knowledge: how much what parameters' names say weighs: the power to which plausibility is raised, times the
            number of known configurations. 0 for not at all.
        local_every: every so many proposals stay in a box about the best points, so that good points are refined
            while the others explore; 0 for never.
        local_points: how many of the best span that box.
    """

    first: int = 5
    centre_first: bool = True
    smoothness: tuple[gp.Prior, ...] = (gp.Prior(),) * 3 + (gp.Prior(length_centre=1.2),)
    softness: float = 0.5
    softness_of_earlier: float = 3.0
    softness_of_several: float = 3.0
    averaging: bool = True
    failures: bool = True
    caution: float = 4.0
    bar: float = 0.5
    knowledge: float = 4.0
    local_every: int = 3
    local_points: int = 5


@dataclass(frozen=True, slots=True)
class Several:
    """Models of several objectives, whose joint worth is the hypervolume that their front dominates."""

    each: tuple[Mixture, ...]

    def log_improvement(self, z: Array, at: Array) -> Array:
        """(m, c) -> (m,) log expected gain in hypervolume over the front of the predicted means at (k, c)."""
        known = np.stack([model.predict(at)[0] for model in self.each], axis=1)
        front = known[nondominated(known)]
        kept = _FRONT.get(len(self.each), 5)
        if len(front) > kept:
            order = np.argsort(front[:, 0], kind="stable")
            front = front[order[np.linspace(0, len(front) - 1, kept).round().astype(np.intp)]]
        top = front.max(axis=0)
        reference = np.maximum(top + 0.3 * (top - front.min(axis=0)) + 1e-3, np.median(known, axis=0))
        answers = [model.predict(z) for model in self.each]
        means, stds = np.stack([a for a, _ in answers], axis=1), np.stack([b for _, b in answers], axis=1)
        return log_expected_gain(means, stds, free_boxes(front, reference))

    def believing(self, z: Array, group: Index) -> Several:
        """Return the models as if their own means had been measured at (p, c)."""
        return Several(tuple(model.believing(z, group) for model in self.each))


@dataclass(frozen=True, slots=True)
class Inputs:
    """How configurations become features; with a column for the fidelity when trials ran at several."""

    axes: Axes
    graded: bool

    def of(self, units: Array, fidelity: Array | None = None) -> Array:
        """(m, d), (m,) or all at full fidelity -> (m, c)."""
        z = self.axes.features(units)
        if not self.graded:
            return z
        return np.concatenate([z, (np.ones(len(z)) if fidelity is None else fidelity)[:, None]], axis=1)

    @property
    def group(self) -> Index:
        """(c,) the parameter of each feature; the fidelity is one more."""
        group = self.axes.group
        return np.append(group, group[-1] + 1) if self.graded else group


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """The models that weigh in on a point.

    Attributes:
        objective: of the only objective, or of several.
        warps: the way from each objective's values to targets.
        failures: how likely a point is to fail; None when nothing failed.
        constraints: of the violation, each; only those that were broken at least once.
        seconds: of the log of how long a trial takes; None where that does not matter.
        best: (k, c) features of the allowed trials, at full fidelity, whose best is to be improved on.
        priors: what the names of parameters say.
        lore: what earlier studies say.
        faith: the power to which both are raised.
    """

    inputs: Inputs
    objective: Mixture | Several
    warps: tuple[Warp, ...]
    failures: FailureModel | None
    constraints: tuple[Mixture, ...]
    seconds: Mixture | None
    thrift: float
    best: Array
    priors: Priors
    lore: Lore | None
    faith: float
    caution: float
    bar: float

    @property
    def first(self) -> Mixture:
        """The model of the first objective."""
        return self.objective.each[0] if isinstance(self.objective, Several) else self.objective

    def log_chance(self, z: Array) -> Array:
        """(m, c) -> (m,) log probability to run through and to keep every constraint."""
        chance = np.zeros(len(z)) if self.failures is None else self.failures.log_success(z)
        for model in self.constraints:
            chance = chance + model.log_below(z, 0.0)
        return chance

    def score(self, units: Array) -> Array:
        """(m, d) -> (m,) log expected gain weighed by the chance; the chance alone while nothing is allowed."""
        z = self.inputs.of(units)
        chance = self.log_chance(z)
        if not len(self.best):
            return chance
        hopeless = np.maximum(math.log(self.bar) - chance, 0.0)
        promise = self.objective.log_improvement(z, self.best) + self.caution * chance - 30.0 * hopeless
        if self.seconds is not None:
            promise = promise - self.thrift * self.seconds.predict(z)[0]
        # Hvarfner et al. 2022 (piBO): what was known beforehand loses weight as one over the number of trials.
        beforehand = self.priors.log_plausibility(units)
        if self.lore is not None:
            beforehand = beforehand + self.lore.log_plausibility(z)
        return promise + self.faith * beforehand


def learn_belief(
    past: Past, lore: Lore | None, inputs: Inputs, turn: int, thrift: float, settings: Settings,
    rng: np.random.Generator,
) -> Belief:  # fmt: skip
    """Fit all models to what was seen; at least one trial must be complete.

    Args:
        past: the study.
        lore: what earlier studies say of a single objective.
        inputs: how configurations become features.
        turn: the number of the proposal, which decides on the prior of smoothness.
        thrift: how much seconds weigh in.
        settings: what the measurements decided.
        rng: the source of chance.
    """
    softness = settings.softness if past.values.shape[1] == 1 else settings.softness_of_several
    warps = tuple(warp_for(_fully(past, column), softness=softness) for column in past.values.T)
    targets = [told_targets(column, past, warp) for column, warp in zip(past.values.T, warps, strict=True)]
    z, group = inputs.of(past.units, past.fidelity), inputs.group
    if len(targets) == 1:
        rows = promising_and_spread(z, targets[0], MODEL_ROWS)
    else:
        rows = lowest_and_spread(_depth(np.stack(targets, axis=1)), MODEL_ROWS)
    z = z[rows]
    prior = settings.smoothness[turn % len(settings.smoothness)]
    objective: Mixture | Several
    if len(targets) > 1:
        objective = Several(tuple(learn_mode(z, target[rows], group, prior) for target in targets))
    else:
        prior = prior.knowing_noise(measured_noise(past, warps[0]), float(targets[0][rows].std()))
        objective = learn(z, targets[0][rows], group, prior, rng, averaging=settings.averaging)
    failed = past.failed[rows]
    allowed = past.allowed[rows]
    return Belief(
        inputs=inputs,
        objective=objective.believing(inputs.of(past.pending), group),
        warps=warps,
        failures=learn_failures(z, failed) if failed.any() and settings.failures else None,
        constraints=_constraints(z, past.violations[rows], group),
        seconds=_seconds(z, past.seconds[rows], group) if thrift else None,
        thrift=thrift,
        best=inputs.of(past.units[rows][allowed]),
        priors=Priors(inputs.axes),
        lore=lore,
        faith=settings.knowledge / max(past.count, 1),
        caution=settings.caution,
        bar=settings.bar,
    )


def measured_noise(past: Past, warp: Warp) -> float | None:
    """Return the variance of a target between runs of one configuration; None when none ran twice.

    It is measured on values and put into targets where most trials lie. The targets of what ran twice say little: of a
    bad default, whose values the warp presses together, they hardly differ however large the noise is elsewhere.
    """
    values, squares, freedom = past.values[:, 0], 0.0, 0
    for unit in np.unique(past.units[len(past.units) - past.repeats :], axis=0):
        same = past.complete & (past.fidelity >= 1.0) & (past.units == unit).all(axis=1)
        squares += float(((values[same] - values[same].mean()) ** 2).sum())
        freedom += int(same.sum()) - 1
    if not freedom:
        return None
    return squares / freedom * float((warp.slope(_fully(past, values)) ** 2).mean())


def earlier_models(earlier: Sequence[Past], inputs: Inputs, settings: Settings) -> list[Mixture]:
    """Return a model of the targets of each earlier study of which at least two trials are complete."""
    models = []
    for past in earlier:
        if past.complete.sum() >= 2:  # noqa: PLR2004  # one value has no ranks
            warp = warp_for(_fully(past, past.values[:, 0]), softness=settings.softness_of_earlier)
            targets = told_targets(past.values[:, 0], past, warp)
            rows = lowest_and_spread(targets, EARLIER_ROWS)
            z = inputs.of(past.units[rows], past.fidelity[rows])
            models.append(learn_mode(z, targets[rows], inputs.group, settings.smoothness[0]))
    return models


def told_targets(values: Array, past: Past, warp: Warp) -> Array:
    """Return (n,) targets: complete trials warped, failures at the worst success, other stops at the median at best.

    Those were stopped for being unlikely to become good.
    """
    targets = np.full(len(values), -np.inf)
    targets[past.complete] = warp.apply(values[past.complete])
    worst, middle = targets[past.complete].max(), float(np.median(targets[past.complete]))
    stopped = ~past.complete & ~past.failed
    at_stop = warp.apply(np.where(np.isfinite(values), values, np.inf)[stopped])
    targets[stopped] = np.maximum(at_stop, middle)
    targets[past.failed] = worst
    return targets


def _fully(past: Past, values: Array) -> Array:
    """Return what was measured at full fidelity, or all that was measured where that is too little to judge by."""
    full = values[past.complete & (past.fidelity >= 1.0)]
    return full if len(full) > 2 else values[past.complete]  # noqa: PLR2004  # a median needs three


def _depth(targets: Array) -> Array:
    """(n, k) -> (n,) how many others beat each in every objective, ties broken by their sum: the front first."""
    dominated = (targets[:, None, :] <= targets[None, :, :]).all(axis=2).sum(axis=0)
    return np.asarray(dominated + 1e-6 * np.tanh(targets.sum(axis=1)))


def _constraints(z: Array, violations: Array, group: Index) -> tuple[Mixture, ...]:
    models = []
    for column in violations.T:
        seen = np.isfinite(column)
        if (column[seen] > 0.0).any():
            models.append(learn_mode(z[seen], squash(column[seen]), group, gp.Prior()))
    return tuple(models)


def _seconds(z: Array, seconds: Array, group: Index) -> Mixture | None:
    seen: Mask = np.isfinite(seconds)
    return learn_mode(z[seen], np.log(seconds[seen]), group, gp.Prior()) if seen.sum() > 2 else None  # noqa: PLR2004
