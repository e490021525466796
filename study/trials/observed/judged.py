"""The metrics that a judge of texts makes ([judge]): their names, and how noisy they are. Knows no model."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tunesmith.study.trials.trial import Trial

PREFIX = "judge/"
"""What the name of every metric of a judge starts with."""
STRENGTH, WIN_RATE, SCORE = "judge/strength", "judge/win_rate", "judge/score"
"""Of pairs: logarithm of the odds against the reference, and share of wins. Of scores: what people would give."""
STD, NOISE = "judge/std", "judge/noise"
"""Standard error of the strength or of the score, and the part of it that differs from trial to trial."""
ABOUT = {
    STRENGTH: "strength of its texts against the reference's, whose strength is 0 (Bradley-Terry, larger is better)",
    WIN_RATE: "share of its texts that are better than the reference's, ties as halves",
    SCORE: "mean score that people would give to its texts",
}
"""The metrics that a study may optimize or bound, each in words."""
PURPOSES = ("judge_pair", "judge_score")
"""Purposes of the calls that judge, in the log of calls to LLMs."""
OF_PAIRS, OF_SCORES = (STRENGTH, WIN_RATE), (SCORE,)


def judge_noise(trials: Iterable[Trial], metric: str) -> float | None:
    """Return the standard deviation that a judge adds to a metric that it makes; None for others.

    It is the root mean square over the trials that have it. A win rate has the spread of a share of as many texts.
    """
    if metric not in ABOUT:
        return None
    squares = [t.values[NOISE] ** 2 for t in trials if math.isfinite(t.values.get(NOISE, math.nan))]
    if not squares:
        return None
    noise = math.sqrt(math.fsum(squares) / len(squares))
    # The slope of the logistic function is at most a quarter.
    return noise / 4.0 if metric == WIN_RATE else noise
