"""Importance against functions whose shares of variance are known, and what is said where trials tell nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from fakes.studies import make_spec
from fakes.views import trial

from tunesmith.study.space.parameters import Choice, Float, Int
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import EDITED, Trial
from tunesmith.study.trials.view import Direction, Objective
from tunesmith.tools.analysis.importance import Importance, Share, importance
from tunesmith.tools.control.study_reader import InMemoryStudyReader, study_view
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.learning import IMPORTANCE

Function = Callable[[Mapping[str, float]], float]

LINEAR = SearchSpace({name: Float(0, 1) for name in "abcd"})
NETWORK = SearchSpace({"lr": Float(1e-5, 1, log=True), "hidden": Int(64, 256), "dropout": Float(0, 0.5)})
METHODS = SearchSpace(
    {
        "method": Choice(("svm", "forest", "knn")),
        "c": Float(1e-3, 1e3, log=True, when="method == 'svm'"),
        "depth": Int(1, 20, when="method == 'forest'"),
    }
)


def tried(space: SearchSpace, function: Function, count: int, *, noise: float = 0.0, seed: int = 0) -> list[Trial]:
    rng = np.random.default_rng(seed)
    drawn = [space.from_unit(rng.random(len(space)).tolist()) for _ in range(count)]
    return [trial(n, p, float(function(p)) + noise * float(rng.normal())) for n, p in enumerate(drawn)]  # type: ignore[arg-type]


def linear(p: Mapping[str, float]) -> float:
    return 3 * p["a"] + 2 * p["b"] + p["c"]


def bump(p: Mapping[str, float]) -> float:
    """Return an error that the learning rate moves from .9 to .02, and the width by .03."""
    return 0.9 - 0.88 * float(np.exp(-2 * (np.log10(p["lr"]) + 2.5) ** 2)) - 0.03 * (p["hidden"] - 64) / 192


def product(p: Mapping[str, float]) -> float:
    return (p["a"] - 0.5) * (p["b"] - 0.5)


def by_method(p: Mapping[str, float]) -> float:
    inner = abs(np.log10(p["c"])) if "c" in p else p.get("depth", 10) / 20
    return {"svm": 0.0, "forest": 4.0, "knn": 6.0}[str(p["method"])] + 0.3 * float(inner)


@pytest.mark.parametrize(
    ("space", "function", "noise", "expected"),
    [
        (LINEAR, linear, 0.0, {"a": 9 / 14, "b": 4 / 14, "c": 1 / 14, "d": 0.0}),
        (LINEAR, linear, 0.3, {"a": 9 / 14, "b": 4 / 14, "c": 1 / 14, "d": 0.0}),
        (LINEAR, lambda p: p["d"] ** 2, 0.0, {"a": 0.0, "d": 1.0}),
        (LINEAR, product, 0.0, {"a": 0.5, "b": 0.5, "c": 0.0}),
        (NETWORK, bump, 0.0, {"lr": 0.99, "dropout": 0.0}),
        (METHODS, by_method, 0.0, {"method": 0.99}),
    ],
)
def test_shares_over_the_whole_space_are_those_of_the_function(
    space: SearchSpace, function: Function, noise: float, expected: Mapping[str, float]
) -> None:
    found = importance(space, tried(space, function, 50, noise=noise), Objective("loss"))
    assert sum(share.mean for share in found.whole.values()) == pytest.approx(1.0)
    for name, share in expected.items():
        assert found.whole[name].low - 0.03 <= share <= found.whole[name].high + 0.03
        assert found.whole[name].mean == pytest.approx(share, abs=0.1)


def test_near_the_best_another_parameter_may_decide() -> None:
    def valley(p: Mapping[str, float]) -> float:
        """Return a function with a wide slope in a, and a narrow valley in b about the best point."""
        return 2 * max(p["a"] - 0.3, 0.0) + 0.5 * (1 - float(np.exp(-(((p["b"] - 0.5) / 0.1) ** 2))))

    trials = tried(LINEAR, valley, 40)
    rng = np.random.default_rng(3)
    for number in range(40, 60):
        params = {"a": 0.3 * rng.random(), "b": rng.normal(0.5, 0.06), "c": rng.random(), "d": rng.random()}
        trials.append(trial(number, params, valley(params)))
    found = importance(LINEAR, trials, Objective("loss"))
    assert found.names[0] == "a"
    assert next(iter(found.near_best)) == "b"
    assert found.largest("b") == found.near_best["b"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_intermediate_effect_is_no_reason_to_leave_a_parameter_out(sign: float) -> None:
    # Half of what the best gained came from `hidden`, however large the learning rate's part of the whole is.
    def loss(p: Mapping[str, float]) -> float:
        return sign * ((np.log10(p["lr"]) + 2.5) ** 2 + 0.6 * (256 - p["hidden"]) / 192)

    direction = Objective("loss") if sign > 0 else Objective("loss", Direction.MAXIMIZE)
    found = importance(NETWORK, tried(NETWORK, loss, 40), direction)
    assert found.names[0] == "lr"
    assert not found.is_unimportant("hidden", 0.05)
    assert found.is_unimportant("dropout", 0.05)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        tried(LINEAR, linear, 4),
        tried(LINEAR, linear, 7),
        tried(LINEAR, lambda _: 0.5, 30),
        *(tried(LINEAR, lambda _: 0.5, count, noise=1.0, seed=count) for count in (8, 12, 20, 40, 80)),
    ],
)
def test_where_trials_tell_nothing_nothing_is_said(trials: list[Trial]) -> None:
    found = importance(LINEAR, trials, Objective("loss"))
    assert found.names == ()
    assert found.lines == (f"too few trials to say what matters ({len(trials)} complete)",)
    assert not found.is_unimportant("a", 0.05)


def test_more_trials_narrow_the_intervals() -> None:
    few, many = (importance(LINEAR, tried(LINEAR, linear, n, noise=0.3), Objective("loss")) for n in (20, 80))
    assert many.whole["a"].high - many.whole["a"].low < few.whole["a"].high - few.whole["a"].low


def test_a_gain_of_an_edit_is_no_merit_of_the_parameters() -> None:
    plain = tried(LINEAR, linear, 30)
    edited = [
        replace(
            t, number=t.number + 30, proposal=replace(t.proposal, variant=f"{EDITED}1", params={**t.params, "d": 0.99})
        )
        for t in tried(LINEAR, lambda p: linear(p) - 50, 30, seed=1)
    ]
    assert importance(LINEAR, [*plain, *edited], Objective("loss")).whole["d"].mean < 0.05


def test_the_tool_and_the_report_word_the_same_figures() -> None:
    found = Importance({"lr": Share(0.61, 0.442, 0.75)}, {"width": Share(0.7, 0.5, 0.8)}, 30)
    assert found.lines == ("over the whole space: lr 61% (44-75)", "near the best: width 70% (50-80)")
    spec = make_spec()
    context = ToolContext(reader=InMemoryStudyReader(spec, study_view(spec, [])))
    assert "too few trials to say what matters (0 complete)" in IMPORTANCE.call(context, {})
