"""Our sampler with one part taken out, to measure what that part brings."""

from __future__ import annotations

from functools import partial

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.surrogate.gp import Prior
from tunesmith.agent.sampler.surrogate_model import Settings
from tunesmith.bench.planners.own import TunerPlanner
from tunesmith.bench.task import Task

_LEFT_OUT = {
    "bayes-no-names": Settings(knowledge=0.0),
    "bayes-no-failures": Settings(failures=False),
    "bayes-one-mode": Settings(averaging=False),
    "bayes-no-local": Settings(local_every=0),
    "bayes-one-smoothness": Settings(smoothness=(Prior(),)),
    "bayes-linear": Settings(softness=50.0),
}


def _make(settings: Settings, task: Task, seed: int) -> TunerPlanner:
    return TunerPlanner(BayesSampler(settings), task, seed)


MAKERS = {name: partial(_make, settings) for name, settings in _LEFT_OUT.items()}
