"""A measured cost among the objectives: by its logarithm, and only for what is as good as the default."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from fakes.views import view

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.training_data import build_training_data
from tunesmith.study.space.parameters import Float, Parameter

PLAIN: Mapping[str, Parameter] = {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}
WITH_DEFAULT: Mapping[str, Parameter] = {"x": Float(0.0, 1.0, default=0.5), "y": Float(0.0, 1.0, default=0.5)}
COST = ("loss", "run/seconds")


def measured(x: float, y: float) -> dict[str, float]:
    """Quality needs x, which costs by powers of ten; y has its best in the middle."""
    return {"loss": 1.0 - x + (y - 0.5) ** 2, "run/seconds": 10 ** (4 * x - 2)}


def test_a_cost_after_the_first_objective_enters_by_its_logarithm() -> None:
    rows = [({"x": x, "y": 0.5}, measured(x, 0.5)) for x in (0.0, 0.5, 1.0)]
    data = build_training_data(view(PLAIN, rows, metrics=COST))
    assert data.has_cost
    assert data.values[:, 1] == pytest.approx(np.log([0.01, 1.0, 100.0]))
    assert data.values[:, 0] == pytest.approx([1.0, 0.5, 0.0])
    first = build_training_data(view(PLAIN, rows, metrics=COST[::-1]))
    assert not first.has_cost
    assert first.values[:, 0] == pytest.approx([0.01, 1.0, 100.0])
    other = [(params, {"loss": 1.0, "size": -3.0}) for params, _ in rows]
    assert build_training_data(view(PLAIN, other, metrics=("loss", "size"))).values[0, 1] == -3.0


def test_a_cost_of_nothing_is_finite() -> None:
    data = build_training_data(view(PLAIN, [({"x": 0.1, "y": 0.1}, {"loss": 1.0, "run/seconds": 0.0})], metrics=COST))
    assert math.isfinite(data.values[0, 1])


@pytest.mark.parametrize(("space", "least"), [(WITH_DEFAULT, 0.35), (PLAIN, 0.0)])
def test_what_is_worse_than_the_default_is_not_looked_for(space: Mapping[str, Parameter], least: float) -> None:
    """With a default of x = 0.5, what is cheaper and worse is of no interest; without one, every cost is."""
    rng = np.random.default_rng(0)
    rows = [({"x": 0.5, "y": 0.5}, measured(0.5, 0.5))]
    for _ in range(9):
        x, y = (float(u) for u in rng.random(2))
        rows.append(({"x": x, "y": y}, measured(x, y)))
    found = []
    for _ in range(6):
        params = BayesSampler().suggest(view(space, rows, metrics=COST)).params
        x, y = float(str(params["x"])), float(str(params["y"]))
        found.append(x)
        rows.append(({"x": x, "y": y}, measured(x, y)))
    assert min(found) >= least, found
