"""A study whose code is edited asks for a judge, and the judge that is written measures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes.studies import make_spec

from tunesmith.cli.commands.setup.judge import write_judge
from tunesmith.study.errors import ProjectError
from tunesmith.tools.checks.judge_checks import judge_findings
from tunesmith.tools.script_reader.judge_script import FILE, judge_script

EDITS = {"files": ["train.py"]}
STUDY = """\
[study]
name = "s"
metric = "val_acc"
direction = "maximize"
[run]
command = "python train.py --x {x}"
[space]
x = { type = "float", low = 0.0, high = 1.0 }
[budget]
trials = 3
"""


def test_only_edits_without_a_judge_ask_for_one() -> None:
    assert judge_findings(make_spec()) == []
    assert judge_findings(make_spec(edits=EDITS, evaluate={"command": "python evaluate.py {artifacts}"})) == []
    (finding,) = judge_findings(make_spec(edits=EDITS))
    assert finding.level == "warning"
    assert "tunesmith judge" in finding.detail


@pytest.mark.parametrize(
    ("metric", "predictions", "labels", "value"),
    [
        ("val_acc", [[0.9, 0.1], [0.2, 0.8]], [0, 0], 0.5),
        ("accuracy", [0, 1, 1, 1], [0, 1, 1, 0], 0.75),
        ("test_error", [0, 1], [0, 0], 0.5),
        ("rmse", [1.0, 3.0], [1.0, 1.0], 2**0.5),
        ("mse", [1.0, 3.0], [1.0, 1.0], 2.0),
        ("mae", [1.0, 4.0], [1.0, 1.0], 1.5),
        ("val_loss", [[0.5, 0.5], [0.5, 0.5]], [0, 1], np.log(2)),
        ("something_else", [1.0, 3.0], [1.0, 1.0], 2.0),
    ],
)
def test_the_judge_measures(metric: str, predictions: object, labels: object, value: float, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(judge_script(make_spec(study={"name": "s", "metric": metric})))
    (tmp_path / "kept").mkdir()
    np.savez(tmp_path / "kept" / "predictions.npz", predictions=predictions)
    np.savez(tmp_path / "labels.npz", labels=labels)
    done = subprocess.run([sys.executable, FILE, "kept"], cwd=tmp_path, capture_output=True, text=True, check=True)
    name, _, number = done.stdout.strip().rpartition("=")
    assert name == metric
    assert float(number) == pytest.approx(value)


def test_a_judge_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    write_judge(tmp_path)
    shown = capsys.readouterr().out
    assert "a judge of val_acc" in shown
    assert "[evaluate]\n" in shown
    with pytest.raises(ProjectError, match="exists and is not replaced"):
        write_judge(tmp_path)
