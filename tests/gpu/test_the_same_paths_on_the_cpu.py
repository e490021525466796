"""What of the checks for GPUs can run without one: their studies, on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import gpu_checks as checks

from tunesmith.study.trials.trial import FailureKind, TrialState

pytest.importorskip("torch", reason="needs the package torch")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_two_trials_at_once(tmp_path: Path) -> None:
    space = 'lr = { type = "choice", choices = [0.01, 0.1] }'
    trials = checks.study(tmp_path / "x", space=space, trials=2, parallel=2, lr="{lr}", gib="0.01", seconds="3")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert trials[0].values["began"] > 0


def test_out_of_memory_and_nan_are_told_apart(tmp_path: Path) -> None:
    space = 'lr = { type = "choice", choices = [0.1, 1e20] }'
    trials = checks.study(tmp_path / "nan", space=space, trials=2, lr="{lr}", gib="0.01", seconds="1")
    assert {trial.params["lr"]: trial.failure and trial.failure.kind for trial in trials} == {
        0.1: None, 1e20: FailureKind.NAN,
    }  # fmt: skip
    space = 'gib = { type = "choice", choices = [1e6, 2e6] }'
    (trial,) = checks.study(tmp_path / "oom", space=space, trials=1, gib="{gib}", seconds="1")
    assert trial.failure is not None
    assert trial.failure.kind is FailureKind.OOM


@pytest.mark.nightly
def test_the_timed_example_with_a_product_of_pytorch(tmp_path: Path) -> None:
    trials = checks.finished(checks.timed_example(tmp_path / "x", on_cpu=True))
    assert [trial.failure for trial in trials] == [None] * 3
    assert all(trial.values["speedup"] > 0 for trial in trials)
