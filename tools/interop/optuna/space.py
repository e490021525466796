"""Parameters as Optuna's distributions and back, as a script asks for them. Needs Optuna alone."""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tunesmith.study.errors import SpecError
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """Return what a script asks Optuna for when it asks for this parameter; choices are categories, ordered or not."""
    match parameter:
        case Float(low=low, high=high, log=log, step=step):
            return FloatDistribution(low, high, log=log, step=step)
        case Int(low=low, high=high, log=log, step=step):
            return IntDistribution(low, high, log=log, step=step or 1)
        case Choice(choices=choices):
            return CategoricalDistribution(choices)
    return CategoricalDistribution([False, True])


def parameter_of(distribution: BaseDistribution) -> Parameter:
    """Return an Optuna distribution as a parameter of ours.

    Raises:
        SpecError: it has one value only, or is too wide.
        TypeError: it is of a kind of its own.
    """
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return Float(low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return Int(low, high, log=log, step=None if step == 1 else step)
        case CategoricalDistribution(choices=choices):
            try:
                return Choice(choices)
            except SpecError:
                # 1 and 1.0, nan, objects: what we do not tell apart is numbered.
                return Choice([f"{index}: {choice}" for index, choice in enumerate(choices)])
    raise TypeError(f"{type(distribution).__name__} is none of Optuna's own distributions")
