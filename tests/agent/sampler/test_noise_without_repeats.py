"""What the sampler's model is told of noise: that of repeats, else what the values show."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from fakes.views import trial

from tunesmith.agent.sampler.surrogate_model import measured_noise
from tunesmith.agent.sampler.training_data import build_training_data
from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Objective, StudyView
from tunesmith.tools.surrogate.output_transform import fit_warp

SPACE = SearchSpace({"x": Float(0, 1), "y": Float(0, 1)})


def tried(noise: float, count: int) -> list[Trial]:
    rng = random.Random(count)
    drawn = [(rng.random(), rng.random()) for _ in range(count)]
    return [trial(n, {"x": x, "y": y}, (x - 0.4) ** 2 + y + noise * rng.gauss(0, 1)) for n, (x, y) in enumerate(drawn)]


def deviation(trials: list[Trial]) -> float | None:
    """Return the standard deviation in targets of a linear warp."""
    view = StudyView(space=SPACE, objectives=(Objective("loss"),), trials=trials, number=len(trials), seed=0)
    data = build_training_data(view)
    warp = replace(fit_warp(data.values[:, 0], softness=1e3, reach=1e3), scale=1.0)
    variance = measured_noise(data, warp)
    return None if variance is None else (variance**0.5) * float(warp.offset)


@pytest.mark.parametrize(("noise", "count"), [(0.0, 25), (0.0, 60), (0.3, 19), (1.0, 4)])
def test_without_noise_or_with_few_trials_the_model_is_told_nothing(noise: float, count: int) -> None:
    assert deviation(tried(noise, count)) is None


@pytest.mark.parametrize(("noise", "count"), [(0.1, 60), (0.2, 60), (0.2, 100)])
def test_evident_noise_reaches_the_model(noise: float, count: int) -> None:
    found = deviation(tried(noise, count))
    assert found is not None
    assert 0.4 * noise < found < 2.5 * noise


def test_repeats_count_more_than_what_the_values_show() -> None:
    trials = tried(0.3, 60)
    first = trials[0]
    again = [
        replace(first, number=60 + n, proposal=replace(first.proposal, replicate_of=0, seed=7 + n)) for n in range(2)
    ]
    assert deviation([*trials, *again]) == 0.0
