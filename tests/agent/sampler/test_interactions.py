"""Interactions of parameters are described where they exist and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.views import trial

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.interactions import describe_interactions
from tunesmith.study.space.parameters import Choice, Float, Int
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.view import Objective, StudyView
from tunesmith.tools.surrogate.encoding import Array, SpaceEncoding

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "batch": Choice([16, 32, 64, 128], ordered=True),
        "width": Int(8, 512, log=True),
        "momentum": Float(0.0, 0.99, when="batch > 16"),
    }
)
NAMES = ["lr", "batch", "width", "momentum"]


def shifted(units: Array) -> Array:
    """Return a surface whose best rate grows with the batch; the width has a separate effect."""
    return (units[:, 0] - 0.2 - 0.6 * units[:, 1]) ** 2 + 0.3 * (units[:, 2] - 0.7) ** 2


def found(surface: object, names: list[str] = NAMES) -> tuple[str, ...]:
    return describe_interactions(surface, SpaceEncoding(SPACE), names, np.random.default_rng(0))  # type: ignore[arg-type]


def test_a_pair_that_interacts_is_described_with_the_shift_of_the_best_value() -> None:
    (sentence,) = found(shifted)
    assert sentence.startswith("lr with batch (")
    low, high = (float(part.split(" at ")[0]) for part in sentence.split("about ")[1:])
    assert low < 0.02 < high
    assert "batch=16" in sentence
    assert "batch=128" in sentence


def test_additive_parameters_are_not_described() -> None:
    assert found(lambda units: (units[:, 0] - 0.3) ** 2 + units[:, 1] + units[:, 2]) == ()


def test_a_flat_surface_has_no_interactions() -> None:
    assert found(lambda units: np.zeros(len(units))) == ()


def test_conditional_parameters_are_skipped() -> None:
    assert found(lambda units: units[:, 0] * units[:, 3], ["lr", "momentum"]) == ()


@pytest.mark.parametrize(("count", "is_described"), [(8, False), (40, True)])
def test_the_sampler_describes_pairs_once_it_has_enough_trials(count: int, is_described: bool) -> None:
    rng = np.random.default_rng(1)
    units = SpaceEncoding(SPACE).project_to_valid(rng.random((count, len(SPACE))))
    values = shifted(units)
    trials = [
        trial(n, SPACE.from_unit(u.tolist()), float(v)) for n, (u, v) in enumerate(zip(units, values, strict=True))
    ]
    view = StudyView(space=SPACE, objectives=(Objective("loss"),), trials=trials, number=count, seed=0)
    sentences = BayesSampler().interactions(view, ["lr", "batch", "width"])
    assert any(s.startswith("lr with batch") for s in sentences) is is_described
