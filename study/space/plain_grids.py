"""Parameters for optimizers that know ranges, steps and choices, but neither multiples nor powers."""

from __future__ import annotations

from dataclasses import replace

from tunesmith.study.space.parameters import Choice, Float, Int, Parameter


def steps_or_choices(parameter: Parameter) -> Parameter:
    """Return a parameter of the same values: multiples as steps on a linear scale, powers as ordered choices."""
    if not isinstance(parameter, Float | Int):
        return parameter
    if parameter.multiple_of is not None:
        first, last, step = parameter.from_unit(0.0), parameter.from_unit(1.0), parameter.multiple_of
        return replace(parameter, low=first, high=last, step=step, multiple_of=None, log=False)  # type: ignore[arg-type]  # its own type
    if parameter.power_of is not None:
        count = int(parameter.cardinality)
        values = [parameter.from_unit((index + 0.5) / count) for index in range(count)]
        return Choice(values, ordered=True, default=parameter.default, when=parameter.when, help=parameter.help)
    return parameter
