"""For people who live in Ray Tune: `tune.TuneConfig(search_alg=tunesmith.ray.TunesmithSearch())`. Needs `ray[tune]`."""

from tunesmith.agent.ray_search import TunesmithSearch

__all__ = ["TunesmithSearch"]
