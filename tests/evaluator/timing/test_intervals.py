"""Intervals of speed-ups: they cover the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tunesmith.evaluator.timing.intervals import interval, interval_of_blocks, launch_value
from tunesmith.evaluator.timing.measurement import Block, Measurement
from tunesmith.evaluator.timing.pairing import Pair


def simulated(rng: np.random.Generator, truth: float, *, launches: int = 4, blocks: int = 5) -> np.ndarray:
    """(launches, 1): what a launch adds is 2%, a block 3%, and one block of ten is disturbed by half."""
    noise = rng.normal(0, 0.03, (launches, blocks)) + (rng.random((launches, blocks)) < 0.1) * rng.normal(0, 0.5)
    values = math.log(truth) + rng.normal(0, 0.02, (launches, 1)) + noise
    return np.array([[launch_value(row.tolist())] for row in values])


@pytest.mark.parametrize("truth", [1.0, 1.2])
def test_an_interval_over_launches_covers_the_truth(truth: float) -> None:
    rng = np.random.default_rng(0)
    found = [interval(simulated(rng, truth)) for _ in range(1000)]
    covered = sum(i.low <= truth <= i.high for i in found) / len(found)
    assert 0.93 < covered < 0.99
    assert sum(i.low > truth for i in found) / len(found) < 0.05


def test_the_blocks_of_one_launch_alone_say_too_much() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(500):
        launch = rng.normal(0, 0.02)
        found.append(interval_of_blocks((launch + rng.normal(0, 0.005, 20)).tolist()))
    assert sum(i.low > 1 for i in found) / len(found) > 0.2  # why both sides are started several times


def blocks_of(ratios: list[float]) -> list[Block]:
    pairs = [Pair(reference_s=ratio, candidate_s=1.0, difference=0.0) for ratio in ratios]
    return [Block(pairs=(pair, pair)) for pair in pairs]


def test_few_blocks_of_one_launch_never_end_a_measurement() -> None:
    slow = [0.5, 0.501, 0.499, 0.5, 0.502]
    assert Measurement(blocks=[[blocks_of(slow)]]).is_clearly_slower
    assert not Measurement(blocks=[[blocks_of(slow[:1])]]).is_clearly_slower
    assert not Measurement(blocks=[[blocks_of([0.9, 0.901, 0.899])]]).is_clearly_slower
    assert not Measurement(blocks=[[blocks_of(slow)]] * 2).is_clearly_slower


def test_the_mean_over_cases_is_geometric() -> None:
    rows = np.log(np.array([[2.0, 8.0], [2.0, 8.0]]))
    assert interval(rows).value == pytest.approx(4.0)
