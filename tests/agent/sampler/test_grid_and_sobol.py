"""Grid and quasi-random search: what they cover, and that they keep the rules of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from fakes.views import view
from scipy.stats import qmc

from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Choice, Float, Int
from tunesmith.study.space.space import SearchSpace

RULED = {
    "heads and width": (
        {"heads": Int(1, 16), "width": Int(64, 512, multiple_of=32), "lr": Float(1e-4, 1e-1, log=True)},
        ["width % heads != 0", "heads > width / 16"],
    ),
    "little is left": ({"a": Int(0, 99), "b": Int(0, 99)}, ["a + b != 100"]),
    "powers": ({"batch": Int(8, 1024, power_of=2), "workers": Int(1, 8)}, ["batch / workers < 16"]),
    "a choice": ({"opt": Choice(["sgd", "adam"]), "lr": Float(0.0, 1.0)}, ["opt == 'adam' and lr > 0.1"]),
    "names": ({"x": Float(-1.0, 1.0), "y": Float(-1.0, 1.0), "on": Bool()}, ["x < y", "on and x > 0.5"]),
}


def suggested(name: str, space: SearchSpace, count: int, seed: int = 0) -> list[Mapping[str, Value]]:
    history: list[tuple[Mapping[str, Value], Any]] = []
    for number in range(count):
        params = make_sampler(name).suggest(view(space, history, seed=seed)).params
        history.append((params, float(number)))
    return [params for params, _ in history]


@pytest.mark.parametrize("case", RULED)
@pytest.mark.parametrize("name", ["grid", "sobol"])
def test_rules_multiples_and_powers_are_kept(name: str, case: str) -> None:
    parameters, forbid = RULED[case]
    space = SearchSpace(parameters).related({}, forbid)
    found = suggested(name, space, 20)
    assert all(not space.broken_rule(params) and space.contains(params) for params in found)
    assert len({tuple(params.items()) for params in found}) == 20


def test_a_grid_has_ends_and_middle_first_and_then_gets_finer() -> None:
    space = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "n": Choice([1, 2], ordered=True)})
    found = suggested("grid", space, 10)
    assert {(round(float(p["lr"]), 6), p["n"]) for p in found[:6]} == {
        (lr, n) for lr in (1e-4, 1e-2, 1.0) for n in (1, 2)
    }
    assert {round(float(p["lr"]), 6) for p in found[6:]} == {1e-3, 1e-1}


def test_a_finite_grid_ends_when_every_combination_was_tried() -> None:
    space = SearchSpace({"a": Int(1, 3), "b": Bool(), "c": Float(0.0, 1.0, step=0.25)}).related({}, ["a == 2 and b"])
    assert len({tuple(p.items()) for p in suggested("grid", space, 25)}) == 25
    with pytest.raises(SpaceExhausted):
        suggested("grid", space, 26)


def test_a_grid_larger_than_can_be_listed_is_drawn_from() -> None:
    space = SearchSpace({f"x{i}": Float(0.0, 1.0) for i in range(30)})
    assert all(value in (0.0, 0.5, 1.0) for params in suggested("grid", space, 5) for value in params.values())


def test_sobol_points_fill_the_space_more_evenly_than_random_ones() -> None:
    space = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    spread = {
        name: np.mean([
            qmc.discrepancy([[p["x"], p["y"]] for p in suggested(name, space, 32, seed)]) for seed in range(3)
        ])
        for name in ("sobol", "random")
    }  # fmt: skip
    assert spread["sobol"] < spread["random"] / 3
