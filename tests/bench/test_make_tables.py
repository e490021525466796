"""A table made by the project's own script answers as the forest that it was made from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.bench.planners import planner_makers
from tunesmith.bench.runner import run_once
from tunesmith.bench.runs import RunKey
from tunesmith.bench.table import read_table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "family", ["mlp", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("forest", "svm"))]
)
def test_a_made_table_can_be_read_and_tuned(family: str, tmp_path: Path) -> None:
    script = [sys.executable, "bench/experiments/make_tables.py", "--family", family, "--dataset", "iris"]
    done = subprocess.run(
        [*script, "--configurations", "8", "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    task = read_table(Path(done.stdout.strip()))
    run = run_once(task, planner_makers()["random"](task, 0), RunKey(task.name, "random", 0, 20))
    values = [value for value in run.values if value is not None]
    assert len(values) == 20
    assert len(set(values)) > 3
    assert all(-0.5 <= task.regret(value) <= 10.0 for value in values)
