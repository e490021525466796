"""Shapes of a learning rate over a training run, as factors for `torch.optim.lr_scheduler.LambdaLR`.

    from tunesmith import schedules
    scheduler = LambdaLR(optimizer, schedules.wsd(steps=1000, warmup=50, decay=0.2))

Each function returns the factor in [0, 1] of a step, counted from 0 to `steps`: it rises during `warmup` steps, is 1 at
its peak, and has reached `floor` at the last step. Needs only the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Shape: TypeAlias = Callable[[int], float]
"""A step -> the factor of the peak learning rate."""


def linear(steps: int, *, warmup: int = 0, floor: float = 0.0) -> Shape:
    """Return a straight line down to the floor."""
    return _shape(lambda left: left, steps, warmup, floor)


def cosine(steps: int, *, warmup: int = 0, floor: float = 0.0) -> Shape:
    """Return half a cosine down to the floor (Loshchilov and Hutter 2017, "SGDR")."""
    return _shape(lambda left: 0.5 - 0.5 * math.cos(math.pi * left), steps, warmup, floor)


def rex(steps: int, *, warmup: int = 0, floor: float = 0.0) -> Shape:
    """Return a curve that stays high for long and falls at the end (Chen et al. 2022, "REX")."""
    return _shape(lambda left: left / (0.5 + 0.5 * left), steps, warmup, floor)


def wsd(steps: int, *, warmup: int = 0, decay: float = 0.2, floor: float = 0.0) -> Shape:
    """Return a plateau, then a straight line down to the floor in the last part of the run (Hu et al. 2024, "MiniCPM").

    Args:
        steps: the length of the run.
        warmup: steps of the rise.
        decay: the part of the run in which the rate falls, above 0 and up to 1.
        floor: the factor at the end.

    Raises:
        ValueError: an argument is outside its range.
    """
    _require(0.0 < decay <= 1.0, f"decay is {decay}; expected a part of the run, above 0 and up to 1")
    length = decay * steps / max(1, steps - warmup)
    return _shape(lambda left: min(1.0, left / length), steps, warmup, floor)


def power(steps: int, *, warmup: int = 1, exponent: float = 0.51, decay: float = 0.1, floor: float = 0.0) -> Shape:
    """Return a power law of the step, then a line down to the floor (Shen et al. 2024, "Power Scheduler").

    Args:
        steps: the length of the run.
        warmup: steps of the rise, at least 1: the power law is 1 at their end.
        exponent: how fast the power law falls, at least 0; the paper found 0.51.
        decay: the part of the run in which the rate falls to the floor, above 0 and up to 1.
        floor: the factor at the end.

    Raises:
        ValueError: an argument is outside its range.
    """
    _require(warmup >= 1, f"warmup is {warmup}; expected 1 or more steps")
    _require(exponent >= 0.0, f"exponent is {exponent}; expected 0 or more")
    end = wsd(steps, warmup=warmup, decay=decay)

    def factor(step: int) -> float:
        if step < warmup:
            return end(step)
        return floor + (1.0 - floor) * end(step) * math.pow(max(step, warmup) / warmup, -exponent)

    _require(0.0 <= floor <= 1.0, f"floor is {floor}; expected 0 to 1")
    return factor


SHAPES: dict[str, Callable[..., Shape]] = {"linear": linear, "cosine": cosine, "rex": rex, "wsd": wsd, "power": power}
"""The shapes by name, for a script with an option such as `--schedule`."""


def _shape(falling: Callable[[float], float], steps: int, warmup: int, floor: float) -> Shape:
    """Return the factor of a step: a rise, then `falling` of the part that is left, between 1 and the floor."""
    _require(steps >= 1, f"steps is {steps}; expected 1 or more")
    _require(0 <= warmup < steps, f"warmup is {warmup}; expected 0 or more steps, below {steps}")
    _require(0.0 <= floor <= 1.0, f"floor is {floor}; expected 0 to 1")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        left = (steps - min(step, steps)) / (steps - warmup)
        return floor + (1.0 - floor) * falling(left)

    return factor


def _require(holds: bool, message: str) -> None:  # noqa: FBT001  # the condition of an assertion
    if not holds:
        raise ValueError(f"tunesmith.schedules: {message}")
