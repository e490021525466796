"""For people who live in Optuna: `optuna.create_study(sampler=tunesmith.optuna.TunesmithSampler())`."""

from tunesmith.agent.adapters.optuna_sampler import TunesmithSampler

__all__ = ["TunesmithSampler"]
