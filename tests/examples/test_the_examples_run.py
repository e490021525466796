"""Each example as a user meets it: its study file is sound, and its default configuration runs and says its metric."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.study.config.command import script_path
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.template import argv

ROOT = Path(__file__).parents[2]
EXAMPLES = ["boosting", "branches", "cp_sat", "digits", "folds", "sqlite_knobs", "sqlite_workloads"]
NEEDS = {
    "boosting": ["sklearn"],
    "branches": ["torch"],
    "cp_sat": ["ortools"],
    "digits": ["torch", "sklearn"],
    "folds": ["sklearn"],
    "sqlite_knobs": [],
    "sqlite_workloads": [],
}


def run(name, folder, *, seed, fidelity=None):
    for module in NEEDS[name]:
        pytest.importorskip(module, reason=f"needs the package {module}")
    spec = load_spec(ROOT / "examples" / name)
    values = {**(spec.space.default or {}), "seed": seed}
    if spec.instances:
        values |= spec.instances.placeholders(next(iter(spec.instances.rows)))
    if spec.fidelity:
        values[spec.fidelity.name] = fidelity or int(spec.fidelity.max)
    words = [sys.executable, *argv(spec.run.command, values)[1:]]
    words[1] = str(ROOT / "examples" / name / words[1])
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    env.pop("TUNESMITH_REPORT", None)
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_default_configuration_prints_its_metric(name, tmp_path):
    metric = load_spec(ROOT / "examples" / name).study.metric[0]
    assert re.search(rf"{metric}=\d", run(name, tmp_path, seed=1))


@pytest.mark.parametrize("name", [*EXAMPLES, "charlm"])
def test_the_script_alone_uses_the_defaults_of_the_study(name):
    spec = load_spec(ROOT / "examples" / name)
    script = (ROOT / "examples" / name / script_path(spec.run.command)).read_text(encoding="utf-8")
    for key, value in (spec.space.default or {}).items():
        line = re.search(rf'"--{key.replace("_", "-")}".*?default=([^,)]+)', script)
        assert line is not None, key
        assert line[1].strip('"') == str(value) or float(line[1]) == value


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(tmp_path):
    first, again, other = (run("digits", tmp_path, seed=seed, fidelity=2) for seed in (3, 3, 4))
    assert first == again != other


def test_the_knobs_leave_no_database_behind(tmp_path):
    run("sqlite_knobs", tmp_path, seed=1)
    assert list(tmp_path.iterdir()) == []
