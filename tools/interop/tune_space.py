"""Parameters as expressions of `tune`, which Ray Tune and FLAML share."""

from __future__ import annotations

from tunesmith.study.space.parameters import Float, Int, Parameter
from tunesmith.tools.interop.export.program import highest_multiple, values_of


def render_parameter(name: str, parameter: Parameter) -> str:  # noqa: ARG001  # the caller names every parameter
    """Return the domain. The upper bound of an integer range is exclusive there, that of a stepped range inclusive.

    Raises:
        UnsupportedParameter: its grid does not consist of multiples of its step.
    """
    match parameter:
        case Float(low=low, high=high, log=log, step=None):
            return f"tune.{'loguniform' if log else 'uniform'}({low!r}, {high!r})"
        case Float(low=low, step=step):
            return f"tune.quniform({low!r}, {highest_multiple(parameter)!r}, {step!r})"
        case Int(low=low, high=high, log=log, step=None):
            return f"tune.{'lograndint' if log else 'randint'}({low}, {high + 1})"
        case Int(low=low, step=step):
            return f"tune.qrandint({low}, {highest_multiple(parameter)}, {step})"
    return f"tune.choice({values_of(parameter)!r})"
