"""Importance of each parameter for the objective: Optuna's PED-ANOVA over the complete trials.

PED-ANOVA (Watanabe et al. 2023) compares a parameter's distribution among the best trials with its distribution among
all. A conditional parameter is evaluated on the trials in which it is active and weighted by their share: Optuna's own
form for conditional parameters can call one decisive after two trials. With fewer than MIN_TRIALS trials the result
would be too rough, so there is none.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING

from tunesmith.study.space.encoding import Bins
from tunesmith.study.space.parameters import Bool, Choice
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Objective, objective_values
from tunesmith.tools.quiet_optuna import quiet_optuna

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_MIN_OF_VERSION = 3
"""Trials of one version of the code from which they are compared with each other."""

MIN_TRIALS = 8
"""Minimum number of complete trials."""
_BEST_SHARE = 0.1
"""Share of the trials that count as the best ones."""
_MIN_BEST = 5
"""Minimum number of trials that count as the best ones."""


def importance(space: SearchSpace, trials: Sequence[Trial], objective: Objective) -> dict[str, float]:
    """Return each parameter's importance as a share of the total, largest first; the shares sum to 1.

    Empty when fewer than MIN_TRIALS trials are complete, when all values are equal, when all importances are 0, or
    when the package optuna is not installed. Trials are compared within each version of the code: what an edit gained
    is not a merit of the parameters that it happened to run with.
    """
    usable = _of_known_versions([t for t in trials if _is_usable(space, t, objective)])
    losses = _within_versions(usable, objective)
    if len(usable) < MIN_TRIALS or min(losses) == max(losses) or find_spec("optuna") is None:
        return {}
    with quiet_optuna():
        raw = {name: _divergence(space, name, usable, losses) for name in space.names}
    total = sum(raw.values())
    if not total > 0:
        return {}
    return {name: raw[name] / total for name in sorted(raw, key=lambda n: (-raw[n], n))}


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


def _divergence(space: SearchSpace, name: str, trials: Sequence[Trial], losses: Sequence[float]) -> float:
    """Return one parameter's importance before normalization, at least 0; 0 when it is active in too few trials."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    active = [(trial, loss) for trial, loss in zip(trials, losses, strict=True) if name in trial.params]
    if len(active) < MIN_TRIALS or len({loss for _, loss in active}) == 1:
        return 0.0
    best_share = min(max(_BEST_SHARE, _MIN_BEST / len(active)), 0.5)
    distribution = _distribution(space, name)
    with warnings.catch_warnings():
        # The classes warn that they are experimental; the user can do nothing about that.
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="minimize")
        study.add_trials(
            optuna.trial.create_trial(
                params={name: _coordinate(space, name, trial)}, distributions={name: distribution}, value=loss
            )
            for trial, loss in active
        )
        found = PedAnovaImportanceEvaluator(target_quantile=best_share).evaluate(study)
    return max(float(found.get(name, 0.0)), 0.0) * len(active) / len(trials)


def _distribution(space: SearchSpace, name: str) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    parameter = space.parameters[name]
    scale = parameter.scale
    if not isinstance(scale, Bins):
        return FloatDistribution(0.0, 1.0)
    if isinstance(parameter, Bool) or (isinstance(parameter, Choice) and not parameter.ordered):
        return CategoricalDistribution(list(range(scale.count)))
    # On a continuous axis few distinct values would look like narrow peaks, and each peak like an effect.
    return IntDistribution(0, scale.count - 1)


def _coordinate(space: SearchSpace, name: str, trial: Trial) -> float:
    """Return the trial's coordinate in [0, 1]; the index of the bin for a parameter with bins."""
    parameter = space.parameters[name]
    coordinate = parameter.to_unit(trial.params[name])  # type: ignore[arg-type]  # each kind takes its own type
    return int(parameter.scale.decode(coordinate)) if isinstance(parameter.scale, Bins) else coordinate
