"""Makes a sampler by name. A new sampler needs a line here and its name in study/config/spec.py."""

from __future__ import annotations

from tunesmith.agent.sampler.base import Sampler
from tunesmith.study.config.tables.planner import SAMPLERS
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean


def make_sampler(name: str) -> Sampler:
    """Return the sampler; its packages are imported only now.

    Raises:
        SpecError: no sampler has that name.
        ProjectError: the sampler needs a package that is not installed.
    """
    if name == "bayes":
        from tunesmith.agent.sampler.bayes import BayesSampler  # scipy: 0.2 s

        return BayesSampler()
    if name == "random":
        from tunesmith.agent.sampler.alternatives.random import RandomSampler

        return RandomSampler()
    if name == "sobol":
        from tunesmith.agent.sampler.alternatives.sobol import SobolSampler

        return SobolSampler()
    if name == "grid":
        from tunesmith.agent.sampler.alternatives.grid import GridSampler

        return GridSampler()
    if name in SAMPLERS:
        from tunesmith.agent.sampler.alternatives.optuna_samplers import OptunaSampler

        return OptunaSampler(name)
    raise SpecError([Mistake("sampler", f"{name!r} is unknown{did_you_mean(name, SAMPLERS)}")], where="the planner")
