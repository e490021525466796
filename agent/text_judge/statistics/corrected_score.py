"""What people would give to a trial's texts, from a judge's scores and a few labels. Numbers in, numbers out.

The judge is an instrument: its score of a text is explained by people's label and by the length of the text, plus
noise. Labelled examples show how (a regression of the judge on the labels), and a trial's mean score is read backwards
through it: the estimator of Rogan and Gladen (1978) for scores, with the interval of Fieller (1954), which is what
classical calibration of instruments uses (Osborne 1991). A judge that likes long texts is corrected more for a trial
that writes long ones.

Why not plain prediction-powered inference (Angelopoulos et al. 2023, Science 382): it adds to the judge's mean what the
judge is wrong by on labelled texts, which is unbiased only for trials that these texts were drawn from. For all others
it moves every trial alike, so that it undoes no wrong choice, and its interval misses them; docs/decisions/023 has
figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.tools.analysis.confirmation.significance import t_quantile

Array = np.ndarray[Any, np.dtype[np.float64]]
_RIDGE = 1e-6
"""Added to the spread of a predictor, so that a length that never varies has no effect."""
_LEVEL = 0.975
_PARAMETERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedScore:
    """The mean score that people would give to a trial's texts, on the scale of the labels.

    Attributes:
        value: the estimate.
        std: standard error.
        noise: the part of it that differs from trial to trial, which is that of the judge's scores of these texts.
        low: lower end of the 95% interval; -inf where the judge may not follow the labels at all.
        high: upper end; inf there.
    """

    value: float
    std: float
    noise: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """How the judge's score follows people's label and the length of a text.

    Attributes:
        center: (2,) mean label and mean log length of the labelled texts.
        intercept: mean score of the judge there.
        slopes: (2,) points of the judge for a point of the label, and for a unit of the log length.
        covariance: (2, 2) of the slopes.
        residual_std: standard deviation of the judge's score about this line.
        labels: number of labelled texts.
    """

    center: Array
    intercept: float
    slopes: Array
    covariance: Array
    residual_std: float
    labels: int

    def read(self, scores: Sequence[float], lengths: Sequence[int]) -> CorrectedScore:
        """Return the mean label that people would give to these texts.

        Args:
            scores: the judge's, one for each text.
            lengths: number of characters of each text.
        """
        count, slope = len(scores), float(self.slopes[0])
        longer = float(np.log1p(np.asarray(lengths, dtype=float)).mean() - self.center[1])
        # What a label above the mean label must explain: the judge's points that length does not.
        points = float(np.mean(scores)) - self.intercept - float(self.slopes[1]) * longer
        variance = self.residual_std**2 * (1.0 / count + 1.0 / self.labels) + longer**2 * float(self.covariance[1, 1])
        shared = -longer * float(self.covariance[0, 1])
        off = points / slope
        std = math.sqrt(max(variance - 2.0 * off * shared + off**2 * float(self.covariance[0, 0]), 0.0)) / abs(slope)
        low, high = _fieller(points, slope, variance, float(self.covariance[0, 0]), shared, self._reach)
        center = float(self.center[0])
        return CorrectedScore(
            value=center + off,
            std=std,
            noise=self.residual_std / math.sqrt(count) / abs(slope),
            low=center + low,
            high=center + high,
        )

    @property
    def _reach(self) -> float:
        return t_quantile(max(self.labels - _PARAMETERS, 1), _LEVEL)

    @property
    def follows(self) -> bool:
        """Whether the judge's score rises with the label, beyond doubt at 95%."""
        return float(self.slopes[0]) > self._reach * math.sqrt(float(self.covariance[0, 0]))


def fit_instrument(scores: Sequence[float], lengths: Sequence[int], labels: Sequence[float]) -> Instrument:
    """Return how the judge follows people's labels; at least 5 examples are given.

    Args:
        scores: the judge's score of each labelled text.
        lengths: number of characters of each.
        labels: what people gave it.
    """
    x = np.stack([np.asarray(labels, dtype=float), np.log1p(np.asarray(lengths, dtype=float))], axis=1)
    y, n = np.asarray(scores, dtype=float), len(scores)
    center = x.mean(axis=0)
    spread = x - center
    bread = np.linalg.inv(spread.T @ spread + _RIDGE * n * np.eye(2))
    slopes = bread @ spread.T @ (y - y.mean())
    residuals = y - y.mean() - spread @ slopes
    # HC3 (MacKinnon and White 1985): a judge is surer about some texts than about others.
    leverage = np.clip(1.0 / n + np.einsum("ij,jk,ik->i", spread, bread, spread), 0.0, 0.9)
    weighted = residuals / (1.0 - leverage)
    return Instrument(
        center=center,
        intercept=float(y.mean()),
        slopes=slopes,
        covariance=bread @ (spread.T * weighted**2 @ spread) @ bread,
        residual_std=float(np.sqrt((residuals**2).sum() / max(n - _PARAMETERS, 1))),
        labels=n,
    )


def _fieller(  # noqa: PLR0913  # two means with their covariance
    top: float, bottom: float, top_var: float, bottom_var: float, shared: float, reach: float
) -> tuple[float, float]:
    """Return the interval of a ratio of two normal means; infinite where the lower one may be 0."""
    a = bottom**2 - reach**2 * bottom_var
    b = top * bottom - reach**2 * shared
    c = top**2 - reach**2 * top_var
    inside = b**2 - a * c
    if a <= 0.0 or inside < 0.0:
        return -math.inf, math.inf
    root = math.sqrt(inside)
    return (b - root) / a, (b + root) / a
