"""The choice among noisy values where no configuration ran twice, and among values without noise."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import mean

import pytest
from fakes.views import trial

from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.replicates.seed_noise import Measured, fitted_noise
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import Direction, Objective, StudyView
from tunesmith.study.trials.winner import certainty_text, winner

SPACE = SearchSpace({"x": Float(0, 1), "y": Float(0, 1)})

Function = Callable[[float, float], float]


def bowl(x: float, y: float) -> float:
    return 4 * (x - 0.3) ** 2 + (y - 0.6) ** 2


def ridge(x: float, y: float) -> float:
    return abs(x - y) + 0.2 * x


def cliff(x: float, y: float) -> float:
    return (1.0 if x > 0.7 else 0.0) + 0.5 * y


def waves(x: float, y: float) -> float:
    return math.sin(9 * x) + math.cos(7 * y)


def plateau(x: float, y: float) -> float:
    return max(0.5, x + y)


FUNCTIONS: tuple[Function, ...] = (bowl, ridge, cliff, waves, plateau)


def points(count: int, seed: int) -> list[tuple[float, float]]:
    """Return random points, of which later ones gather about the middle of the bowl as a search would."""
    rng = random.Random(seed)
    wide = [(rng.random(), rng.random()) for _ in range(count // 2)]
    near = [(min(max(rng.gauss(c, 0.15), 0.0), 1.0) for c in (0.3, 0.6)) for _ in range(count - len(wide))]
    return [*wide, *((x, y) for x, y in near)]


def study(function: Function, noise: float, *, count: int = 60, seed: int = 0, sign: float = 1.0) -> StudyView:
    rng = random.Random(1000 + seed)
    done: list[Trial] = [
        trial(n, {"x": x, "y": y}, sign * (function(x, y) + noise * rng.gauss(0, 1)))
        for n, (x, y) in enumerate(points(count, seed))
    ]
    direction = Direction.MINIMIZE if sign > 0 else Direction.MAXIMIZE
    return StudyView(
        space=SPACE,
        objectives=(Objective("loss", direction),),
        trials=done,
        number=count,
        seed=seed,
    )


def true_value(function: Function, chosen: Trial) -> float:
    return function(float(chosen.params["x"]), float(chosen.params["y"]))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_the_choice_is_nearer_to_the_best_than_the_luckiest_value(noise: float, sign: float) -> None:
    chosen, luckiest = [], []
    for function in FUNCTIONS:
        for seed in range(4):
            view = study(function, noise, count=80, seed=seed, sign=sign)
            found = winner(view.trials, view)
            assert found is not None
            best = min(true_value(function, t) for t in view.trials)
            chosen.append(true_value(function, found.trial) - best)
            lucky = min(view.trials, key=lambda t: sign * t.values["loss"])
            luckiest.append(true_value(function, lucky) - best)
    assert mean(chosen) < 0.8 * mean(luckiest)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("count", [19, 30, 80])
def test_without_noise_the_best_value_is_chosen(function: Function, count: int) -> None:
    for seed in range(3):
        view = study(function, 0.0, count=count, seed=seed)
        found = winner(view.trials, view)
        assert found is not None
        assert found.value == min(t.values["loss"] for t in view.trials)


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.3])
def test_the_scatter_is_that_of_the_noise(noise: float) -> None:
    found = []
    for seed in range(6):
        rng = random.Random(seed)
        measured = tuple(Measured((x, y), "", (bowl(x, y) + noise * rng.gauss(0, 1),)) for x, y in points(60, seed))
        found.append(fitted_noise(measured) or 0.0)
    assert 0.5 * noise < mean(found) < 2 * noise


def test_few_trials_and_equal_values_show_no_scatter() -> None:
    few = study(bowl, 0.3, count=19)
    equal = study(lambda x, y: 0.5, 0.0)
    for view in (few, equal):
        found = winner(view.trials, view)
        assert found is not None
        assert found.scatter is None
        assert certainty_text(found) == ""


def test_the_choice_says_why_a_better_value_was_not_taken() -> None:
    view = study(bowl, 0.3)
    found = winner(view.trials, view)
    assert found is not None
    assert found.scatter is not None
    assert "expected, since values scatter by about 0." in certainty_text(found)
