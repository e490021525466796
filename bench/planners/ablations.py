"""Our sampler without one of its parts, to measure the effect of that part."""

from __future__ import annotations

from functools import partial

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.settings import SamplerSettings
from tunesmith.bench.planners.own import TunerPlanner
from tunesmith.bench.task import Task
from tunesmith.tools.surrogate.gp import HyperPrior

_ABLATIONS = {
    "bayes-no-names": SamplerSettings(name_prior_strength=0.0),
    "bayes-no-failures": SamplerSettings(model_failures=False),
    "bayes-one-mode": SamplerSettings(average_hyperparameters=False),
    "bayes-no-local": SamplerSettings(turns=("space",), turns_with_default=("space",)),
    "bayes-no-margin": SamplerSettings(margin_with_default=0.0),
    "bayes-one-smoothness": SamplerSettings(hyperpriors=(HyperPrior(),)),
    "bayes-linear": SamplerSettings(softness=50.0),
}


def _make(settings: SamplerSettings, task: Task, seed: int) -> TunerPlanner:
    return TunerPlanner(BayesSampler(settings), task, seed)


MAKERS = {name: partial(_make, settings) for name, settings in _ABLATIONS.items()}
