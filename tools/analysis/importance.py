"""Importance of each parameter for the objective, by the sampler's model: over the whole space, and near the best.

A share is the part of the objective's variance that goes with a parameter (tools/surrogate/effects.py), with an
interval over the functions that fit the trials. Where the intervals tell no parameter from another, nothing is said.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Objective, objective_values

if TYPE_CHECKING:
    from tunesmith.tools.surrogate.encoding import Array

MIN_TRIALS = 8
"""Minimum number of complete trials."""

_MIN_OF_VERSION = 3
"""Trials of one version of the code from which they are compared with each other."""

_MAX_ROWS = 150
"""Largest number of trials that the model is conditioned on."""

_SAMPLES, _THINNING = 8, 15
"""Number of samples of the hyperparameters, and steps for each: with fewer steps intervals are too narrow in noise."""

_SOFTNESS = 3.0
"""How close to linear the model's targets are: a parameter that tells bad values from good ones matters."""

_NOISE_CENTRE, _NOISE_SPREAD = 0.1, 1.5
"""Prior of the noise, relative to the variance: noise that is taken for shape makes every parameter matter."""

_MIN_EXPLAINED = 0.25
"""Part of the variance that the model must predict of trials that it has not seen."""

_LISTED = 6
"""Number of parameters that a line names."""

_LEAST = 0.005
"""Lower end of a share's interval from which on it is named: below, it is written as 0."""

_INTERVAL = (0.05, 0.95)
_NARROW = 0.3
"""Width of the widest interval up to which equal shares are a finding, and not a lack of one."""


@dataclass(frozen=True, slots=True)
class Share:
    """A parameter's part of the variance: the mean over functions that fit the trials, and a 90% interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Importance:
    """Shares of variance by parameter, largest first; empty where nothing can be said.

    Attributes:
        whole: over the whole space, as if every value were equally likely.
        near_best: among configurations near the best one.
        complete: number of trials that this is said from.
    """

    whole: Mapping[str, Share] = field(default_factory=dict)
    near_best: Mapping[str, Share] = field(default_factory=dict)
    complete: int = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """What can be said, a line for each region; one line where nothing can."""
        return self.worded() or (f"too few trials to say what matters ({self.complete} complete)",)

    def worded(self, count: int = _LISTED) -> tuple[str, ...]:
        """Return a line for each region of which something can be said, with its `count` most important parameters."""
        parts = (("over the whole space", self.whole), ("near the best", self.near_best))
        worded = ((region, _worded(shares, count)) for region, shares in parts)
        return tuple(f"{region}: {', '.join(found)}" for region, found in worded if found)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, the most important first; empty where nothing can be said."""
        return tuple(self.whole or self.near_best)

    def largest(self, name: str) -> Share | None:
        """Return the larger of a parameter's shares in the two regions; None where nothing can be said."""
        shares = [region[name] for region in (self.whole, self.near_best) if name in region]
        return max(shares, key=lambda share: share.mean, default=None)

    def is_unimportant(self, name: str, limit: float) -> bool:
        """Tell whether a parameter has less than this share in both regions, whichever function is the right one."""
        return all(name in region and region[name].high < limit for region in (self.whole, self.near_best))


def percent_range(share: Share) -> str:
    """Return a share with its interval, as "61% (44-75)"."""
    return f"{share.mean:.0%} ({100 * share.low:.0f}-{100 * share.high:.0f})"


def _worded(shares: Mapping[str, Share], count: int) -> list[str]:
    """Return the most important parameters with their shares; a share that may be nothing is no finding."""
    found = [(name, share) for name, share in shares.items() if share.low >= _LEAST]
    return [f"{name} {percent_range(share)}" for name, share in found[:count]]


def importance(space: SearchSpace, trials: Sequence[Trial], objective: Objective) -> Importance:
    """Return each parameter's importance, with nothing to say when fewer than MIN_TRIALS trials are complete.

    Trials are compared within each version of the code: what an edit gained is not a merit of the parameters that it
    happened to run with. The same trials give the same answer.
    """
    usable = _of_known_versions([t for t in trials if _is_usable(space, t, objective)])
    losses = _within_versions(usable, objective)
    if len(usable) < MIN_TRIALS or min(losses) == max(losses):
        return Importance(complete=len(usable))
    return _by_model(space, usable, losses)


def _by_model(space: SearchSpace, trials: Sequence[Trial], losses: Sequence[float]) -> Importance:
    import numpy as np

    from tunesmith.tools.surrogate import effects, gp
    from tunesmith.tools.surrogate.blas_threads import single_threaded_blas
    from tunesmith.tools.surrogate.encoding import SpaceEncoding
    from tunesmith.tools.surrogate.gp_ensemble import fit_samples, subsample_by_local_mean
    from tunesmith.tools.surrogate.output_transform import fit_warp

    rng = np.random.default_rng(derived_seed(0, "importance", len(trials)))
    with single_threaded_blas():
        encoding = SpaceEncoding(space)
        units = np.array([space.to_unit(t.params) for t in trials])
        values = np.array(losses)
        targets = fit_warp(values, softness=_SOFTNESS).apply(values)
        z = encoding.features(units)
        rows = subsample_by_local_mean(z, targets, _MAX_ROWS)
        prior = gp.HyperPrior(noise_centre=_NOISE_CENTRE, noise_spread=_NOISE_SPREAD)
        model = fit_samples(z[rows], targets[rows], encoding.group, prior, rng, count=_SAMPLES, thinning=_THINNING)
        if effects.explained(model) < _MIN_EXPLAINED:
            return Importance(complete=len(trials))
        best = units[rows[model.predict(z[rows])[0].argmin()]]
        regions = (effects.whole_space(encoding, rng), effects.near(best, encoding, rng))
        found = [effects.shares_of_variance(model, encoding, region, rng) for region in regions]
    whole, near_best = (_summarized(list(space.names), shares) for shares in found)
    return Importance(whole, near_best, len(trials))


def _summarized(names: Sequence[str], shares: Array) -> Mapping[str, Share]:
    """(s, d) shares of functions that fit the trials -> the share of each parameter; empty if they tell nothing."""
    import numpy as np

    low, high = np.quantile(shares, _INTERVAL, axis=0)
    if not (low > 1.0 / len(names)).any() and (high - low).max() >= _NARROW:
        return {}
    means = shares.mean(axis=0)
    order = sorted(range(len(names)), key=lambda index: (-means[index], names[index]))
    return {names[i]: Share(float(means[i]), float(low[i]), float(high[i])) for i in order}


def _of_known_versions(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials of versions with enough of them to compare."""
    counts = Counter(t.proposal.code for t in trials)
    return [t for t in trials if counts[t.proposal.code] >= _MIN_OF_VERSION or len(counts) == 1]


def _within_versions(trials: Sequence[Trial], objective: Objective) -> list[float]:
    """Return the loss of each trial; with several versions of the code, minus the median of its version."""
    by_code: dict[str, list[float]] = {}
    for trial in trials:
        by_code.setdefault(trial.proposal.code, []).append(objective.sign * trial.values[objective.metric])
    middle = {code: median(losses) if len(by_code) > 1 else 0.0 for code, losses in by_code.items()}
    return [objective.sign * t.values[objective.metric] - middle[t.proposal.code] for t in trials]


def _is_usable(space: SearchSpace, trial: Trial, objective: Objective) -> bool:
    values = objective_values(trial, (objective,))
    return values is not None and math.isfinite(values[0]) and not trial.is_replicate and space.contains(trial.params)
