"""Our sampler with one part taken out, to measure what that part brings."""

from __future__ import annotations

from functools import partial

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.surrogate.gp import HyperPrior
from tunesmith.agent.sampler.surrogate_model import SamplerSettings
from tunesmith.bench.planners.own import TunerPlanner
from tunesmith.bench.task import Task

_LEFT_OUT = {
    "bayes-no-names": SamplerSettings(name_prior_strength=0.0),
    "bayes-no-failures": SamplerSettings(model_failures=False),
    "bayes-one-mode": SamplerSettings(average_hyperparameters=False),
    "bayes-no-local": SamplerSettings(local_every=0),
    "bayes-one-smoothness": SamplerSettings(hyperpriors=(HyperPrior(),)),
    "bayes-linear": SamplerSettings(softness=50.0),
}


def _make(settings: SamplerSettings, task: Task, seed: int) -> TunerPlanner:
    return TunerPlanner(BayesSampler(settings), task, seed)


MAKERS = {name: partial(_make, settings) for name, settings in _LEFT_OUT.items()}
