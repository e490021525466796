"""Tuning a Python function as in a notebook: progress, Ctrl-C, limits, threads, tables, plots and helpful mistakes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tunesmith.study.errors import ProjectError, SpecError
from tunesmith.study.trials.trial import Trial

SPACE = {"x": ts.Float(0, 1, default=0.9), "n": ts.Int(1, 8), "opt": ts.Choice(["adam", "sgd"])}


def loss(params: Mapping[str, Any]) -> float:
    return float((params["x"] - 0.3) ** 2 + params["n"])


def test_ctrl_c_keeps_what_is_done_and_the_next_call_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Mapping[str, Any]] = []

    def interrupted(params: Mapping[str, Any]) -> float:
        calls.append(params)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return loss(params)

    best = ts.minimize(interrupted, SPACE, trials=10, planner="random", history=tmp_path / "h.db")
    assert best.value == min(loss(params) for params in calls[:3])
    assert "stopped after 3 of 10 trials" in capsys.readouterr().err
    ts.minimize(interrupted, SPACE, trials=2, planner="random", history=tmp_path / "h.db")
    assert calls[4] == calls[3], "the interrupted trial runs again"
    with pytest.raises(KeyboardInterrupt):
        ts.minimize(lambda params: (_ for _ in ()).throw(KeyboardInterrupt), SPACE, planner="random")


def test_no_call_starts_after_the_timeout() -> None:
    seen: list[Trial] = []
    ts.minimize(
        loss, SPACE, trials=3, planner="random", timeout=1e6, callbacks=[lambda tuner, trial: seen.append(trial)]
    )
    assert [trial.number for trial in seen] == [0, 1, 2]
    assert all(trial.state.is_finished for trial in seen)
    with pytest.raises(SpecError, match="no trial ran"):
        ts.minimize(loss, SPACE, planner="random", timeout=0.0)


def test_calls_run_at_once_in_threads() -> None:
    both = threading.Barrier(2, timeout=30)

    def meeting(params: Mapping[str, Any]) -> float:
        both.wait()
        return loss(params)

    seen: list[int] = []
    ts.minimize(meeting, SPACE, trials=6, n_jobs=2, planner="random", callbacks=[lambda _, t: seen.append(t.number)])
    assert sorted(seen) == list(range(6))


def test_the_progress_bar_shows_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    ts.minimize(lambda params: 0.25, SPACE, trials=3, planner="random", progress=True)
    shown = capsys.readouterr().err
    assert "best 0.2500" in shown
    assert "3/3" in shown
    ts.minimize(lambda params: 0.25, SPACE, trials=2, planner="random", progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("forgets", [lambda params: None, print], ids=["a lambda", "print"])
def test_a_function_without_return_is_refused_after_its_first_call(forgets: Any) -> None:
    calls = []
    with pytest.raises(SpecError, match="returned None.*`return loss`"):
        ts.minimize(lambda params: calls.append(1) or forgets(params), SPACE, planner="random")  # type: ignore[func-returns-value]
    assert len(calls) == 1
    with ts.Tuner(SPACE) as tuner, pytest.raises(SpecError, match="value  is None"):
        tuner.tell(tuner.ask(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ({"x": ts.Float(0, 1), "n": ts.Int(1, 8)}, "opt is gone"),
        ({**SPACE, "y": ts.Bool()}, "y is new"),
        ({**SPACE, "n": ts.Float(1, 8)}, "n was int and is float"),
        ({"lr": ts.Float(0, 1)}, "lr is new; x is gone"),
        ({**SPACE, "opt": ts.Bool()}, "opt was choice and is bool"),
    ],
)
def test_a_history_of_another_space_is_refused(tmp_path: Path, space: Any, reason: str) -> None:
    with ts.Tuner(SPACE, history=tmp_path / "h.db", planner="random") as tuner:
        tuner.tell(tuner.ask(), 1.0)
    with pytest.raises(SpecError, match=reason):
        ts.Tuner(space, history=tmp_path / "h.db")
    with ts.Tuner({**SPACE, "n": ts.Int(1, 16)}, history=tmp_path / "h.db", planner="random") as wider:
        assert len(wider.trials) == 1
    ts.Tuner(space, history=tmp_path / "h.db", name="other").close()


def test_a_tuner_shows_its_trials_as_a_table_and_says_what_it_is() -> None:
    pytest.importorskip("pandas")
    with ts.Tuner(SPACE, metric=["loss", "size"], planner="random") as tuner:
        for size in (3.0, 1.0, 5.0):
            tuner.tell(tuner.ask(), {"loss": 4.0 - size, "size": size})
        tuner.fail(tuner.ask(), "oom", "out of memory")
        table = tuner.trials_dataframe()
        named = {"number", "state", "x", "n", "opt", "value.loss", "value.size", "source", "failure"}
        assert named <= set(table.columns)
        assert list(table["value.size"])[:3] == [3.0, 1.0, 5.0]
        assert list(table["failure"])[3] == "oom: out of memory"
        assert [trial.number for trial in tuner.pareto_front] == [2, 0, 1]
        assert repr(tuner) == "<Tuner tuner: minimize loss, minimize size, 4 trials, best -1.000 in trial 2>"


def test_every_plot_is_drawn() -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("optuna")
    with ts.Tuner(SPACE, planner="random", metric="loss") as tuner:
        for _ in range(8):
            trial = tuner.ask()
            tuner.tell(trial, loss(trial.params))
        figures = [
            tuner.plot_history(),
            tuner.plot_importance(),
            tuner.plot_slice(["x"]),
            tuner.plot_contour(["x", "n"]),
            tuner.plot_parallel(),
            tuner.plot_timeline(),
        ]
        assert all(len(figure.data) >= 1 for figure in figures)
        with pytest.raises(ProjectError, match="did you mean x"):
            tuner.plot_slice(["X"])
        with pytest.raises(ProjectError, match="did you mean loss"):
            tuner.plot_history("los")
