"""Converts parameters to Optuna's distributions and back."""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tunesmith.study.errors import SpecError
from tunesmith.study.space.parameters import Choice, Float, Int, Parameter
from tunesmith.study.space.plain_grids import steps_or_choices


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """Return the distribution of a parameter; choices and powers are categorical, multiples steps."""
    match steps_or_choices(parameter):
        case Float(low=low, high=high, log=log, step=step):
            return FloatDistribution(low, high, log=log, step=step)
        case Int(low=low, high=high, log=log, step=step):
            return IntDistribution(low, high, log=log, step=step or 1)
        case Choice(choices=choices):
            return CategoricalDistribution(choices)
    return CategoricalDistribution([False, True])


def parameter_of(distribution: BaseDistribution) -> Parameter:
    """Return the parameter of an Optuna distribution.

    Raises:
        SpecError: it has a single value, or its range is too wide.
        TypeError: it is not one of Optuna's own distributions.
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
                # Choices that cannot be distinguished here (1 and 1.0, nan, objects) are numbered.
                return Choice([f"{index}: {choice}" for index, choice in enumerate(choices)])
    raise TypeError(f"{type(distribution).__name__} is not one of Optuna's own distributions")
