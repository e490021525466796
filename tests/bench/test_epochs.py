"""The comparison of ways to spend epochs: what is counted, by known numbers, and the command end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fakes.projects import command

from tunesmith.bench.epochs.figures import epochs_to, ratio, regret_at
from tunesmith.bench.epochs.meter import BudgetSpent, Meter
from tunesmith.bench.epochs.runner import MAKERS, EpochKey, EpochRun
from tunesmith.bench.table import read_curves


def make_curves(folder: Path) -> Path:
    """A grid of 6 learning rates whose loss falls over 1, 3 and 9 epochs; the best ends at 0."""
    folder.mkdir()
    ends = np.array([0.5, 0.3, 0.0, 0.2, 0.4, 0.6])
    np.savez(folder / "curves.npz", val=np.stack([ends + 0.9, ends + 0.3, ends])[..., None])
    meta = {
        "name": "curves",
        "kind": "grid",
        "data_file": "curves.npz",
        "metric": {"name": "loss", "direction": "minimize"},
        "space": [{"name": "lr", "type": "float", "low": 0.0, "high": 5.0, "grid": [0, 1, 2, 3, 4, 5]}],
        "fidelity": {"name": "epochs", "values": [1, 3, 9]},
        "stats": {"best": 0.0, "median_random": 0.4},
    }
    path = folder / "curves.json"
    path.write_text(json.dumps(meta), encoding="utf-8")
    return path


def test_epochs_are_counted_once_and_continuing_costs_only_the_rest(tmp_path: Path) -> None:
    task = read_curves(make_curves(tmp_path / "t"))
    assert task is not None
    meter = Meter(task, budget=11)
    training = meter.start({"lr": 2.0})
    assert training.advance() == (1.0, 0.9)
    other = meter.start({"lr": 4.0})
    other.advance()
    assert (meter.spent, meter.reached) == (2.0, [])
    training.advance()
    assert training.advance() == (9.0, 0.0)
    assert [(r.epochs, r.value) for r in meter.reached] == [(10.0, 0.0)]
    with pytest.raises(BudgetSpent):
        other.advance()
    assert meter.spent == 10.0


@pytest.mark.parametrize("planner", MAKERS)
def test_every_planner_keeps_to_its_budget_and_finds_the_best_of_six(tmp_path: Path, planner: str) -> None:
    task = read_curves(make_curves(tmp_path / "t"))
    assert task is not None
    meter = Meter(task, budget=9 * 20)
    try:
        MAKERS[planner](meter, 0)
    finally:
        assert meter.spent <= 9 * 20
    assert min(r.value for r in meter.reached) <= 0.2


def test_statistics_of_known_numbers() -> None:
    fast = EpochRun(EpochKey("t", "a", 0, 10), ((1.0, 0.5), (2.0, 0.005)), 3)
    slow = EpochRun(EpochKey("t", "b", 0, 10), ((4.0, 0.005),), 1)
    assert (epochs_to(fast, 0.01, 10), epochs_to(fast, 0.001, 10)) == (2.0, 10.0)
    assert (regret_at(fast, 0.5), regret_at(fast, 1.0), regret_at(fast, 10)) == (10.0, 0.5, 0.005)
    found = ratio({fast.key: fast, slow.key: slow}, "a", "b", 0.01, 10)
    assert found.mean == pytest.approx(0.5)
    assert found.low == pytest.approx(found.high)


def test_the_command_compares_and_resumes_where_it_ended(tmp_path: Path) -> None:
    make_curves(tmp_path / "t")
    words = (
        "bench",
        "--full-runs",
        "4",
        "--planner",
        "full",
        "--planner",
        "optuna-asha",
        "--data",
        "t",
        "--seeds",
        "2",
    )
    done = command(*words, "--task", "curves", "--json", "o.json", "--per-task", cwd=tmp_path, timeout_s=240)
    assert done.returncode == 0, done.stderr
    assert "epochs of full over those of optuna-asha until a regret of 10%:" in done.stdout
    assert len((tmp_path / "o.runs.jsonl").read_text().splitlines()) == 4
    again = command(*words, "--task", "curves", "--json", "o.json", cwd=tmp_path, timeout_s=240)
    assert again.stderr == ""
    wrong = command("bench", "--full-runs", "4", "--planner", "asha", "--data", "t", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "optuna-asha" in wrong.stderr
