"""Finds a sampler by its name. Adding one is one line here and its name in study/spec.py."""

from __future__ import annotations

from tunesmith.agent.sources import Sampler
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.study.spec import SAMPLERS


def make_sampler(name: str) -> Sampler:
    """Return the sampler; its packages are imported only now.

    Raises:
        SpecError: no sampler has that name.
        ProjectError: the sampler needs a package that is not installed.
    """
    if name == "bayes":
        from tunesmith.agent.bayes import BayesSampler  # scipy: 0.2 s

        return BayesSampler()
    from tunesmith.agent.peers import OptunaSampler, RandomSampler

    if name == "random":
        return RandomSampler()
    if name in SAMPLERS:
        return OptunaSampler(name)
    raise SpecError([Mistake("sampler", f"{name!r} is unknown{did_you_mean(name, SAMPLERS)}")], where="the planner")
