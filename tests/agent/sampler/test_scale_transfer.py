"""Transfer between scales: trials of small studies are shifted by a power law and predict a large one's optimum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from fakes.views import Params, trial, view

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.surrogate.scaling_law import ScaledTrials, most_likely_shift
from tunesmith.agent.sampler.training_data import build_earlier_data
from tunesmith.agent.sampler.warm_start.scale_transfer import (
    earlier_data_at_scale,
    format_scale,
    is_other_scale,
    optimum_at_scale,
)
from tunesmith.study.space.parameters import Choice, Float, Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import FailureKind
from tunesmith.study.trials.view import StudyView
from tunesmith.tools.surrogate.encoding import SpaceEncoding

SPACE = SearchSpace(
    {"lr": Float(1e-5, 1.0, log=True), "decay": Float(0.0, 1.0), "opt": Choice(["adam", "sgd", "lion"])}
)
UNITS_PER_E_FOLD = 1.0 / math.log(1e5)
"""Coordinate of lr per factor e."""


def best_lr(width: float) -> float:
    """Return the optimum: 0.1 at width 64, a sixteenth of it at width 1024."""
    return 6.4 / width


def loss(params: Params, width: float) -> float:
    offset = math.log10(float(str(params["lr"])) / best_lr(width))
    return float(offset**2 + (float(str(params["decay"])) - 0.4) ** 2 + 0.3 * (params["opt"] != "adam"))


def small_study(width: float, *, seed: int, has_scale: bool = True, trials: int = 30) -> EarlierStudy:
    rng = np.random.default_rng(seed)
    configurations = [SPACE.from_unit(rng.random(3).tolist()) for _ in range(trials)]
    finished = [trial(n, params, 5.0 + width * loss(params, width)) for n, params in enumerate(configurations)]
    return EarlierStudy(name=f"w{width:g}", trials=finished, scale={"width": width} if has_scale else {})


def large_study(*earlier: EarlierStudy) -> StudyView:
    return replace(view(SPACE), earlier=earlier, scale={"width": 1024.0})


def three_small_studies() -> list[EarlierStudy]:
    return [small_study(64, seed=0), small_study(128, seed=1), small_study(256, seed=2)]


def log_width(ends: tuple[object, object]) -> float:
    low, high = (math.log(float(str(end))) for end in ends)
    return high - low


def test_a_scale_is_written_as_names_and_numbers() -> None:
    assert format_scale({"width": 1024.0}) == "width 1024"
    assert format_scale({"width": 1024.0, "tokens": 4e9}) == "width 1024, tokens 4e+09"


def test_only_a_study_with_another_value_of_every_present_scale_counts_as_another_scale() -> None:
    seen = replace(view(SPACE), scale={"width": 1024.0})
    assert is_other_scale(seen, small_study(64, seed=0))
    assert not is_other_scale(seen, small_study(1024, seed=0))
    assert not is_other_scale(seen, small_study(64, seed=0, has_scale=False))
    assert not is_other_scale(view(SPACE), small_study(64, seed=0))
    both = replace(seen, scale={"width": 1024.0, "depth": 8.0})
    assert not is_other_scale(both, small_study(64, seed=0))
    deeper = replace(small_study(1024, seed=0), scale={"width": 1024.0, "depth": 4.0})
    assert is_other_scale(both, deeper)


def test_trials_of_another_scale_are_shifted_towards_the_present_one_and_others_are_not() -> None:
    studies = [*three_small_studies(), small_study(1024, seed=3)]
    seen = large_study(*studies)
    before = [build_earlier_data(seen, study) for study in studies]
    after = earlier_data_at_scale(seen)
    shifts = [a.units - b.units for a, b in zip(after, before, strict=True)]
    for shift, width in zip(shifts, (64, 128, 256), strict=False):
        # The prior of the drift is centred on none, so the inferred shift is somewhat short of the true one.
        expected = math.log(best_lr(1024) / best_lr(width)) * UNITS_PER_E_FOLD
        assert 1.1 * expected < shift[0, 0] < 0.5 * expected
        np.testing.assert_allclose(shift[:, 0], shift[0, 0])
        assert not shift[:, 1:].any()
    assert not shifts[3].any()
    assert all(np.array_equal(a.values, b.values) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("change", ["no present scale", "too few trials", "all failed"])
def test_trials_stay_where_they_are_when_no_shift_can_be_inferred(change: str) -> None:
    study = small_study(64, seed=0, trials=3 if change == "too few trials" else 30)
    if change == "all failed":
        study = replace(study, trials=[trial(n, t.params, FailureKind.NAN) for n, t in enumerate(study.trials)])
    seen = large_study(study)
    if change == "no present scale":
        seen = replace(seen, scale={})
    (data,) = earlier_data_at_scale(seen)
    np.testing.assert_array_equal(data.units, build_earlier_data(seen, study).units)
    assert optimum_at_scale(seen) is None


def test_without_earlier_studies_there_is_nothing_to_shift() -> None:
    assert earlier_data_at_scale(large_study()) == []
    assert optimum_at_scale(large_study()) is None


def test_there_is_no_optimum_at_scale_for_several_objectives() -> None:
    seen = large_study(*three_small_studies())
    assert optimum_at_scale(replace(seen, objectives=seen.objectives * 2)) is None


SIZES = {"geometric": [8, 16, 32, 64, 128, 256], "even": [10, 20, 30, 40, 50, 60]}


@pytest.mark.parametrize(
    ("sizes", "ordered", "shifts"), [("geometric", True, True), ("even", True, False), ("geometric", False, False)]
)
def test_only_ordered_choices_with_growing_factors_shift(sizes: str, ordered: bool, shifts: bool) -> None:
    space = SearchSpace({"batch": Choice(SIZES[sizes], ordered=ordered), "x": Float(0.0, 1.0)})

    def study(scale: float, seed: int) -> EarlierStudy:
        rng = np.random.default_rng(seed)
        best = 0.2 + 0.15 * math.log(scale)
        units = rng.random((20, 2))
        finished = [
            trial(n, space.from_unit(unit.tolist()), float((unit[0] - best) ** 2 + (unit[1] - 0.5) ** 2))
            for n, unit in enumerate(units)
        ]
        return EarlierStudy(name=f"s{scale:g}", trials=finished, scale={"tokens": scale})

    studies = (study(1.0, 0), study(4.0, 1))
    seen = replace(view(space), earlier=studies, scale={"tokens": 16.0})
    after = earlier_data_at_scale(seen)
    moved = [not np.allclose(a.units, build_earlier_data(seen, s).units) for a, s in zip(after, studies, strict=True)]
    assert moved == [shifts, shifts]


def test_the_most_likely_shift_recovers_a_known_drift_and_level() -> None:
    space: Mapping[str, Parameter] = {"lr": Float(1e-5, 1.0, log=True), "x": Float(0.0, 1.0)}
    encoding, drift, rng = SpaceEncoding(SearchSpace(space)), 0.08, np.random.default_rng(0)
    bowl: Callable[[np.ndarray], np.ndarray] = lambda u: 4.0 * (u[:, 0] - 0.5) ** 2 + 2.0 * (u[:, 1] - 0.4) ** 2  # noqa: E731
    ratios = np.array([0.0, 1.0, 2.0]).repeat(25)[:, None]
    units = rng.random((75, 2))
    shifted = units + ratios * np.array([drift, 0.0])
    study = np.array([0, 1, 2]).repeat(25)
    y = bowl(shifted) + np.array([0.0, 0.3, -0.2])[study]
    found = most_likely_shift(
        ScaledTrials(drifting=np.array([True, False]), units=units, log_ratio=ratios, study=study, y=y), encoding
    )
    assert found.drift[0, 0] == pytest.approx(drift, abs=0.01)
    assert found.drift[0, 1] == 0.0
    assert found.level[1:, 0] - found.level[0, 0] == pytest.approx([0.3, -0.2], abs=0.1)


def test_the_predicted_optimum_shifts_with_the_scale_and_its_range_contains_the_true_one() -> None:
    found = optimum_at_scale(large_study(*three_small_studies()))
    assert found is not None
    assert found.studies == ("w64", "w128", "w256")
    # The inferred drift is a little short of the true one; the nearest of the three studies has its optimum at 0.025.
    assert best_lr(1024) / 2 < float(str(found.params["lr"])) < best_lr(1024) * 2.5
    low, high = (float(str(end)) for end in found.ranges["lr"])
    assert low < best_lr(1024) * 1.5 < high < best_lr(64)
    assert found.params["opt"] == "adam"
    assert set(found.ranges) == {"lr", "decay"}


def test_the_first_suggestion_is_the_predicted_optimum_and_without_a_scale_a_point_that_ran() -> None:
    studies = three_small_studies()
    scaled = BayesSampler().suggest(large_study(*studies))
    assert scaled.rationale == "the optimum at width 1024 predicted from w64 and w128 and w256"
    assert float(str(scaled.params["lr"])) < 2.5 * best_lr(1024)
    plain = BayesSampler().suggest(replace(large_study(*studies), scale={}))
    assert plain.rationale in ("among the best of w64", "among the best of w128", "among the best of w256")
    assert float(str(plain.params["lr"])) > 3 * best_lr(1024)


def test_one_other_scale_predicts_less_precisely_than_three() -> None:
    one = optimum_at_scale(large_study(small_study(64, seed=0)))
    three = optimum_at_scale(large_study(*three_small_studies()))
    assert one is not None
    assert three is not None
    assert log_width(one.ranges["lr"]) > log_width(three.ranges["lr"])


def test_studies_at_the_same_or_an_unknown_scale_predict_no_optimum() -> None:
    assert optimum_at_scale(large_study(small_study(1024, seed=0), small_study(64, seed=1, has_scale=False))) is None
    assert optimum_at_scale(replace(large_study(small_study(64, seed=0)), scale={})) is None
