"""Which parameters decided the value: Optuna's PED-ANOVA over the complete trials. Writes nothing, prints nothing.

PED-ANOVA asks how differently a parameter is spread among the best trials and among all of them. A parameter that is
active in some trials only is judged among those, and weighed by their share; Optuna's own conditional form calls such
a parameter decisive on the word of two trials. With few trials the answer is rough, so below MIN_TRIALS there is none.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesmith.study.space.encoding import Bins
from tunesmith.study.space.parameters import Bool, Choice
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Objective, objective_values
from tunesmith.tools.quiet_optuna import quiet_optuna

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MIN_TRIALS = 8
_GOOD_SHARE = 0.1
_MIN_GOOD = 5


def importance(space: SearchSpace, trials: Sequence[Trial], objective: Objective) -> dict[str, float]:
    """Return each parameter's share in what decided the value, largest first; the shares sum to 1.

    Empty when fewer than MIN_TRIALS trials are complete, when all values are equal, or when nothing stands out.
    """
    able = [t for t in trials if _teaches(space, t, objective)]
    losses = [objective.sign * t.values[objective.metric] for t in able]
    if len(able) < MIN_TRIALS or min(losses) == max(losses):
        return {}
    raw = _evaluated(space, able, losses)
    total = sum(raw.values())
    if not total > 0:
        return {}
    return {name: raw[name] / total for name in sorted(raw, key=lambda n: (-raw[n], n))}


def _teaches(space: SearchSpace, trial: Trial, objective: Objective) -> bool:
    values = objective_values(trial, (objective,))
    return values is not None and math.isfinite(values[0]) and not trial.is_replicate and space.contains(trial.params)


def _evaluated(space: SearchSpace, trials: Sequence[Trial], losses: Sequence[float]) -> dict[str, float]:
    with quiet_optuna():
        return {name: _divergence(space, name, trials, losses) for name in space.names}


def _divergence(space: SearchSpace, name: str, trials: Sequence[Trial], losses: Sequence[float]) -> float:
    """Return one parameter's raw importance, at least 0; 0 when too few trials had it active."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    active = [(trial, loss) for trial, loss in zip(trials, losses, strict=True) if name in trial.params]
    if len(active) < MIN_TRIALS or len({loss for _, loss in active}) == 1:
        return 0.0
    good_share = min(max(_GOOD_SHARE, _MIN_GOOD / len(active)), 0.5)
    distribution = _distribution(space, name)
    with warnings.catch_warnings():
        # Its classes announce that they are experimental, which is nothing to tell the user.
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="minimize")
        study.add_trials(
            optuna.trial.create_trial(
                params={name: _internal(space, name, trial)}, distributions={name: distribution}, value=loss
            )
            for trial, loss in active
        )
        found = PedAnovaImportanceEvaluator(target_quantile=good_share).evaluate(study)
    return max(float(found.get(name, 0.0)), 0.0) * len(active) / len(trials)


def _distribution(space: SearchSpace, name: str) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    parameter = space.parameters[name]
    scale = parameter.scale
    if not isinstance(scale, Bins):
        return FloatDistribution(0.0, 1.0)
    if isinstance(parameter, Bool) or (isinstance(parameter, Choice) and not parameter.ordered):
        return CategoricalDistribution(list(range(scale.count)))
    # Few values on a continuous axis would look like needles, and every needle like a cause.
    return IntDistribution(0, scale.count - 1)


def _internal(space: SearchSpace, name: str, trial: Trial) -> float:
    """Return the coordinate in [0, 1], or the index of a parameter that has one."""
    parameter = space.parameters[name]
    coordinate = parameter.to_unit(trial.params[name])  # type: ignore[arg-type]  # each kind takes its own type
    return int(parameter.scale.decode(coordinate)) if isinstance(parameter.scale, Bins) else coordinate
