"""Ask and tell on instances: good configurations come again on others, and the best is the best over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tunesmith import Float, Tuner
from tunesmith.study.errors import SpecError

SPACE = {"x": Float(0.0, 1.0, default=0.9)}
HARD = {"a": 0.0, "b": 4.0, "c": 9.0, "d": 1.0}


def loss(x: float, name: str) -> float:
    return (x - 0.3) ** 2 + HARD[name]


def test_the_best_is_the_best_over_all_instances_not_the_one_on_the_easiest(tmp_path: Path) -> None:
    with Tuner(SPACE, metric="loss", instances=list(HARD), history=tmp_path / "t.db") as tuner:
        for _ in range(40):
            trial = tuner.ask()
            tuner.tell(trial, loss(float(trial.params["x"]), str(trial.instance)))  # type: ignore[arg-type]
        best = tuner.best
        assert best is not None
        assert abs(float(best.params["x"]) - 0.3) < 0.1  # type: ignore[arg-type]
        assert best.value == pytest.approx(sum(HARD.values()) / 4, abs=0.1)
        runs = Counter(t.proposal.instance for t in tuner.trials)
        assert set(runs) == set(HARD)
        assert any(t.proposal.source.value == "race" for t in tuner.trials)


def test_a_tuner_resumes_a_race_and_open_trials_keep_their_instance(tmp_path: Path) -> None:
    def tuner() -> Tuner:
        return Tuner(SPACE, metric="loss", instances=list(HARD), history=tmp_path / "t.db")

    with tuner() as first:
        for _ in range(11):
            trial = first.ask()
            first.tell(trial, loss(float(trial.params["x"]), str(trial.instance)))  # type: ignore[arg-type]
        left_open = first.ask()
    with tuner() as second:
        again = second.ask()
        assert (again.number, again.params, again.instance) == (left_open.number, left_open.params, left_open.instance)


def test_an_instance_may_be_a_table(tmp_path: Path) -> None:
    tables = [{"name": "a", "size": 1}, {"name": "b", "size": 2}]
    with Tuner(SPACE, metric="loss", instances=tables, aggregate="worst") as tuner:
        assert tuner.ask().instance in tables


@pytest.mark.parametrize(
    ("instances", "aggregate", "says"),
    [
        (["a"], "mean", "leaves 1"),
        (["a", "a"], "mean", "twice"),
        (["a", "b"], "median", "aggregate"),
        (["a", ["b"]], "mean", "values"),
        ("abc", "mean", "'abc' is not a list of instances"),
        (b"abc", "mean", "not a list of instances"),
        ({"a": 1, "b": 2}, "mean", "not a list of instances"),
        (5, "mean", "5 is not a list of instances"),
        ([], "mean", "has no instance"),
        (None, "worst", "counts over instances"),
        (["a", None], "mean", "null is not valid here"),
        ([object(), "a"], "mean", "is not valid here"),
        ([{"n": 1}, {"m": 2}], "mean", "differs"),
    ],
)
def test_instances_that_cannot_be_used_are_refused(instances: object, aggregate: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Tuner(SPACE, metric="loss", instances=instances, aggregate=aggregate)  # type: ignore[arg-type]


@pytest.mark.parametrize("instances", [np.arange(3), [np.int64(0), np.int64(1)], range(3), (n for n in (0, 1))])
def test_instances_may_be_anything_to_iterate_over(instances: Iterable[int]) -> None:
    with Tuner(SPACE, metric="loss", instances=instances) as tuner:
        assert tuner.ask().instance in (0, 1, 2)


def test_the_front_of_one_metric_is_the_best_over_instances(tmp_path: Path) -> None:
    with Tuner(SPACE, metric="loss", instances=list(HARD), aggregate="worst", history=tmp_path / "t.db") as tuner:
        for _ in range(20):
            trial = tuner.ask()
            tuner.tell(trial, loss(float(trial.params["x"]), str(trial.instance)))
        assert tuner.best is not None
        assert [t.number for t in tuner.pareto_front] == [tuner.best.number]


def test_a_tuner_without_instances_has_none_on_its_trials() -> None:
    with Tuner(SPACE, metric="loss") as tuner:
        assert tuner.ask().instance is None


def test_an_open_trial_on_a_removed_instance_is_closed_and_earlier_values_do_not_count(tmp_path: Path) -> None:
    with Tuner(SPACE, metric="loss", instances=["a", "b"], history=tmp_path / "t.db") as first:
        for _ in range(3):
            trial = first.ask()
            first.tell(trial, 0.0)
        first.ask()
    with Tuner(SPACE, metric="loss", instances=["c", "d"], history=tmp_path / "t.db") as second:
        assert second.best is None
        trial = second.ask()
        assert trial.instance in ("c", "d")
        assert trial.params == {"x": 0.9}
        second.tell(trial, 5.0)
        assert second.best is not None
        assert second.best.value == 5.0
        assert "not in [instances] now" in second.trials[3].outcome.note  # type: ignore[union-attr]
