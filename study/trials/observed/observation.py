"""A metric value that a trial reported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """`metric` had `value` (nan and inf are possible) at `step`; `at` is in seconds since the epoch."""

    metric: str
    step: float
    value: float
    at: float
