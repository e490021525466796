"""Whether a bound on a metric can be kept anywhere in the space, by a model of the metric.

A bound is out of reach when even the most hopeful reading of the model breaks it: the lowest confidence bound of the
violation, over the whole space, is above 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import Constraint

if TYPE_CHECKING:
    import numpy as np

    from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding
    from tunesmith.tools.surrogate.gp_ensemble import GPEnsemble

MIN_TRIALS = 15
"""Number of complete trials from which a bound may be called out of reach."""
DEVIATIONS = 3.0
"""Standard deviations below the mean that are hoped for.

Of 165 studies of 15 to 30 random trials in which 0.2% to 3% of a space of five parameters kept the bound, none was
called out of reach (with 2 deviations, 2 were). Of bounds that lie three standard deviations of the metric
below its lowest value, all 75 were called out of reach; of those one deviation below it, 29.
"""
_MAX_ROWS = 150
"""Largest number of trials that the model is conditioned on: the nearest to keeping the bound."""
_POINTS, _ROUNDS, _NEAR_POINTS = 1024, 6, 256
"""Points of the whole space that are looked at, then rounds of points near the most hopeful ones."""
_KEPT = 8
"""Number of most hopeful points of a round near which the next one looks."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How near to a bound the model gets.

    Attributes:
        violation: the smallest violation that the model expects anywhere.
        hoped: the lowest confidence bound of the violation anywhere; above 0 the bound is out of reach.
        trials: number of trials that this rests on.
    """

    violation: float
    hoped: float
    trials: int

    @property
    def is_out_of_reach(self) -> bool:
        """Whether nothing in the space can be expected to keep the bound."""
        return self.hoped > 0.0


def reach_of(constraints: Sequence[Constraint], trials: Sequence[Trial], space: SearchSpace) -> Reach | None:
    """Return how near to a bound the model gets; None while too few trials of the space report the metric.

    Of several bounds, each violation counts in its median size, and the worst of them is modelled: what keeps them all.
    The same trials give the same answer.
    """
    import numpy as np

    from tunesmith.tools.surrogate import gp
    from tunesmith.tools.surrogate.blas_threads import single_threaded_blas
    from tunesmith.tools.surrogate.encoding import SpaceEncoding
    from tunesmith.tools.surrogate.gp_ensemble import fit_ensemble

    known = [t for t in trials if all(_is_usable(t, constraint, space) for constraint in constraints)]
    if len(known) < MIN_TRIALS:
        return None
    each = np.array([[c.violation(t.values[c.metric]) for c in constraints] for t in known])
    sizes = np.median(np.abs(each), axis=0) if len(constraints) > 1 else np.ones(1)
    violations = (each / np.where(sizes > 0.0, sizes, 1.0)).max(axis=1)
    rows = np.argsort(violations, kind="stable")[:_MAX_ROWS]
    rng = np.random.default_rng(derived_seed(0, "reach", len(known)))
    with single_threaded_blas():
        encoding = SpaceEncoding(space)
        units = np.array([space.to_unit(known[row].params) for row in rows])
        model = fit_ensemble(encoding.features(units), violations[rows], encoding.group, gp.HyperPrior(), rng)
        violation, hoped = _lowest(model, encoding, units, rng)
    return Reach(violation, hoped, len(known))


def _is_usable(trial: Trial, constraint: Constraint, space: SearchSpace) -> bool:
    value = trial.values.get(constraint.metric, math.nan)
    is_own = trial.state is TrialState.COMPLETE and trial.counts and not trial.is_replicate and not trial.proposal.code
    return is_own and math.isfinite(value) and space.contains(trial.params)


def _lowest(model: GPEnsemble, encoding: SpaceEncoding, units: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Return the lowest mean and the lowest confidence bound over the space.

    Args:
        model: of the violation.
        encoding: the space.
        units: (n, d) points that ran.
        rng: draws the points that are looked at.
    """
    import numpy as np

    points = np.concatenate([units, rng.random((_POINTS, len(encoding)))])
    mean, hoped, width = math.inf, math.inf, 0.25
    for _ in range(_ROUNDS):
        points = encoding.project_to_valid(points)
        means, stds = model.predict(encoding.features(points))
        bounds = means - DEVIATIONS * stds
        mean, hoped = min(mean, float(means.min())), min(hoped, float(bounds.min()))
        centres = points[np.argsort(bounds, kind="stable")[:_KEPT]]
        drawn = centres[rng.integers(len(centres), size=_NEAR_POINTS)]
        moved = rng.random(drawn.shape) < 0.5  # noqa: PLR2004  # half of the coordinates
        points = np.clip(drawn + np.where(moved, width * rng.standard_normal(drawn.shape), 0.0), 0.0, 1.0)
        points, width = np.concatenate([centres, points]), width / 2
    return mean, hoped
