"""Parameters as Ray Tune and FLAML spell them, which is the same way."""

from __future__ import annotations

from tunesmith.study.space.parameters import Float, Int, Parameter
from tunesmith.tools.interop.export.program import aligned_top, values_of


def say(name: str, parameter: Parameter) -> str:  # noqa: ARG001  # the caller names every parameter
    """Return the domain; whole ranges end before their upper bound, quantized ones at it.

    Raises:
        Untranslatable: its steps do not lie on multiples.
    """
    match parameter:
        case Float(low=low, high=high, log=log, step=None):
            return f"tune.{'loguniform' if log else 'uniform'}({low!r}, {high!r})"
        case Float(low=low, step=step):
            return f"tune.quniform({low!r}, {aligned_top(parameter)!r}, {step!r})"
        case Int(low=low, high=high, log=log, step=None):
            return f"tune.{'lograndint' if log else 'randint'}({low}, {high + 1})"
        case Int(low=low, step=step):
            return f"tune.qrandint({low}, {aligned_top(parameter)}, {step})"
    return f"tune.choice({values_of(parameter)!r})"
