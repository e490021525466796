"""Makes a sampler by name. A new sampler needs a line here and its name in study/config/tables/planner.py."""

from __future__ import annotations

from importlib import import_module

from tunesmith.agent.sampler.base import Sampler
from tunesmith.study.config.tables.planner import SAMPLERS
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean

_CLASSES = {
    "bayes": ("bayes", "BayesSampler"),
    "random": ("alternatives.random", "RandomSampler"),
    "sobol": ("alternatives.sobol", "SobolSampler"),
    "grid": ("alternatives.grid", "GridSampler"),
    "nevergrad": ("alternatives.nevergrad_sampler", "NevergradSampler"),
    "cma-es": ("alternatives.cma_es_sampler", "CmaEsSampler"),
    "smac": ("alternatives.smac_sampler", "SmacSampler"),
    "turbo": ("alternatives.turbo_sampler", "TurboSampler"),
}


def make_sampler(name: str) -> Sampler:
    """Return the sampler; its module and packages are imported only now.

    Raises:
        SpecError: no sampler has that name.
        ProjectError: the sampler needs a package that is not installed.
    """
    if name not in SAMPLERS:
        raise SpecError([Mistake("sampler", f"{name!r} is unknown{did_you_mean(name, SAMPLERS)}")], where="the planner")
    if name.startswith("optuna-"):
        from tunesmith.agent.sampler.alternatives.optuna_samplers import OptunaSampler

        return OptunaSampler(name)
    module, made = _CLASSES[name]
    sampler: Sampler = getattr(import_module(f"tunesmith.agent.sampler.{module}"), made)()
    return sampler
