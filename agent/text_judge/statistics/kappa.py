"""How well a judge agrees with people's labels: Cohen's kappa with a bootstrap interval. Numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.study.units import short_number

Array = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
_RESAMPLES = 2000
_LEVEL = 0.95
_SEED = 20_260


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Cohen's kappa of a judge and people: 1 is full agreement, 0 what two strangers with these habits reach.

    Attributes:
        kappa: in [-1, 1]; nan where it is not defined because the labels, or the judge, say one thing only.
        low: lower end of the 95% interval; -1 where kappa is not defined.
        high: upper end; 1 where kappa is not defined.
        labels: number of labelled examples.
    """

    kappa: float
    low: float
    high: float
    labels: int

    @property
    def text(self) -> str:
        """In words: "kappa 0.61 [0.43, 0.78] on 40 labels"."""
        if math.isnan(self.kappa):
            return f"kappa is not defined on {self.labels} labels, since one side gave the same label every time"
        ends = f"[{short_number(self.low, 2)}, {short_number(self.high, 2)}]"
        return f"kappa {short_number(self.kappa, 2)} {ends} on {self.labels} labels"


def agreement(judge: Sequence[int], people: Sequence[int], *, levels: int, ordered: bool) -> Agreement:
    """Return Cohen's kappa (1960) with the percentile interval of 2,000 bootstrap samples of the examples.

    Args:
        judge: the judge's label of each example, from 0 to levels - 1.
        people: the people's label of each, in the same order.
        levels: number of different labels.
        ordered: whether labels are grades, so that a neighbouring one is half right (quadratic weights, Cohen 1968).
    """
    first, second = np.asarray(judge, dtype=int), np.asarray(people, dtype=int)
    count = len(first)
    weights = _weights(levels, ordered=ordered)
    kappa = _kappa(first[None, :], second[None, :], weights)[0] if count else math.nan
    if math.isnan(kappa):
        return Agreement(kappa=math.nan, low=-1.0, high=1.0, labels=count)
    chosen = np.random.default_rng(_SEED).integers(0, count, size=(_RESAMPLES, count))
    found = _kappa(first[chosen], second[chosen], weights)
    # A sample in which one side says one thing only shows no agreement beyond chance.
    low, high = np.quantile(np.nan_to_num(found, nan=0.0), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Agreement(kappa=float(kappa), low=float(low), high=float(high), labels=count)


def _weights(levels: int, *, ordered: bool) -> Array:
    """Return (levels, levels) how wrong each pair of labels is, from 0 to 1."""
    steps = np.abs(np.arange(levels)[:, None] - np.arange(levels)[None, :])
    if not ordered:
        return np.asarray(steps > 0, dtype=float)
    weights: Array = (steps / max(levels - 1, 1)) ** 2.0
    return weights


def _kappa(
    first: Labels,
    second: Labels,
    weights: Array,
) -> Array:
    """Return (s,) kappas of (s, n) labels; nan where it is not defined."""
    observed: Array = weights[first, second].mean(axis=1)
    levels = np.arange(len(weights))
    shares = [(labels[:, :, None] == levels).mean(axis=1) for labels in (first, second)]
    expected = np.einsum("si,ij,sj->s", shares[0], weights, shares[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.where(expected > 0.0, 1.0 - observed / expected, np.nan)
    return found
