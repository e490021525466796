"""The searcher for Ray Tune: `tune.TuneConfig(search_alg=tunesmith.ray.TunesmithSearch())`. Needs `ray[tune]`."""

try:
    from tunesmith.agent.adapters.ray_search import TunesmithSearch
except ModuleNotFoundError as error:
    raise ImportError(f"tunesmith.ray needs {error.name}; install it with `pip install 'tunesmith[ray]'`") from error

__all__ = ["TunesmithSearch"]
