"""The sampler for Optuna: `optuna.create_study(sampler=tunesmith.optuna.TunesmithSampler())`."""

from tunesmith.agent.adapters.optuna_sampler import TunesmithSampler

__all__ = ["TunesmithSampler"]
