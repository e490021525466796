"""The portfolio holds points of earlier studies that complement each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fakes.views import trial, view

from tunesmith.agent.sampler.warm_start.portfolio import PortfolioPoint, select_portfolio
from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy

SPACE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})


def study(name: str, x: float, y: float, *, seed: int) -> EarlierStudy:
    """Return 40 random trials of a bowl about (x, y)."""
    rng = np.random.default_rng(seed)
    drawn = [SPACE.from_unit(rng.random(2).tolist()) for _ in range(40)]
    values = [(float(str(p["x"])) - x) ** 2 + (float(str(p["y"])) - y) ** 2 for p in drawn]
    return EarlierStudy(name=name, trials=[trial(n, p, v) for n, (p, v) in enumerate(zip(drawn, values, strict=True))])


def selected(*studies: EarlierStudy, count: int = 5) -> list[PortfolioPoint]:
    return select_portfolio(replace(view(SPACE), earlier=studies), count)


def near(point: PortfolioPoint, x: float, y: float) -> bool:
    return abs(float(str(point.params["x"])) - x) + abs(float(str(point.params["y"])) - y) < 0.5


def test_studies_with_different_optima_contribute_a_point_each() -> None:
    points = selected(study("a", 0.1, 0.1, seed=0), study("b", 0.9, 0.9, seed=1))
    assert any(near(point, 0.1, 0.1) for point in points)
    assert any(near(point, 0.9, 0.9) for point in points)
    assert {point.reason.partition(",")[0] for point in points} == {"from a", "from b"}


def test_studies_that_agree_need_fewer_points() -> None:
    alike = selected(study("a", 0.3, 0.3, seed=0), study("b", 0.3, 0.3, seed=1), study("c", 0.3, 0.3, seed=2))
    unlike = selected(study("a", 0.1, 0.1, seed=0), study("b", 0.9, 0.9, seed=1), study("c", 0.1, 0.9, seed=2))
    assert 1 <= len(alike) < len(unlike)
    assert near(alike[0], 0.3, 0.3)
    assert all("where it had loss 0.0" in point.reason for point in alike)


def test_without_earlier_studies_or_with_count_0_there_are_no_points() -> None:
    assert selected() == []
    assert selected(study("a", 0.1, 0.1, seed=0), count=0) == []
