"""A benchmark task: a space, an objective, an evaluation, and two values that give regret its scale.

Knows no planner and no file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tunesmith.study.space.condition import Value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Failure
from tunesmith.study.trials.view import Objective

WORST_REGRET = 10.0
"""Largest regret; also the regret while every trial has failed."""

Evaluate = Callable[[Mapping[str, Value], int], float | Failure]
"""(active parameters, seed) -> the metric's value in its own direction, or the failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A problem on which planners are compared.

    Attributes:
        space: the search space; its default, if any, is every planner's first trial.
        best: the metric's best known value.
        median_random: the metric's median over uniformly random configurations that did not fail.
        description: one or two sentences for planners with an LLM.
        noise: standard deviation of the log of a measured value. Planners see noisy values; regret is that of the mean.
    """

    name: str
    space: SearchSpace
    objective: Objective
    evaluate: Evaluate
    best: float
    median_random: float
    description: str = ""
    noise: float = 0.0

    def measured(self, value: float, params: Mapping[str, Value], seed: int) -> float:
        """Return what a planner sees of a configuration with this mean: the same for the same arguments."""
        if not self.noise:
            return value
        text = json.dumps([sorted(params.items()), seed])
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
        return value * math.exp(self.noise * float(rng.normal()))

    def regret(self, value: float) -> float:
        """Return the normalized regret: 0 at the best known value, 1 at a median random one, 10 at most."""
        return min((value - self.best) / (self.median_random - self.best), WORST_REGRET)
