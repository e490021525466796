"""Data that the judge reads and trials can read as well is found in its command, its script and what that imports."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.studies import make_spec

from tunesmith.tools.checks.judge_data import judge_data_findings


@pytest.mark.parametrize(
    ("command", "judge", "data", "wanted"),
    [
        ("python judge.py {artifacts}", "open('answer')", [], "answer"),
        ("python judge.py {artifacts} answer", "pass", [], "answer"),
        ("python judge.py", "import numpy as np\nnp.load('held/labels.npz')", [], "held/labels.npz"),
        ("python judge.py", "import os\nos.path.join('held', 'labels.npz')", [], "held/labels.npz"),
        ("python judge.py", "import helper", [], "held/labels.npz"),
        ("python judge.py", "from pathlib import Path\nPath(__file__).parent / 'answer'", [], "answer"),
        ("python judge.py", "open('answer')", ["answer"], ""),
        ("python judge.py", "open('held/labels.npz')", ["held"], ""),
        ("python judge.py", "open('vault/rows')", ["vault"], ""),
        ("python judge.py", "open('vault/rows'); open('rows')", ["vault"], "rows"),
        ("bash -c 'python judge.py'", "open('answer')", [], "answer"),
        ("python judge.py", "open('gone.csv'); open('train.py')", [], ""),
        ("python judge.py", "not python (", [], ""),
        ("python judge.py", "import sys; open(sys.argv[1])", [], ""),
    ],
)
def test_data_of_the_judge_that_trials_can_read(
    tmp_path: Path, command: str, judge: str, data: list[str], wanted: str
) -> None:
    files = {"judge.py": judge, "train.py": "", "answer": "1", "held/labels.npz": "1", "vault/rows": "1", "rows": "1"}
    files["helper.py"] = "open('labels.npz')"
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    spec = make_spec(run={"sandbox": True}, evaluate={"command": command, "data": data})
    found = [finding.detail for finding in judge_data_findings(spec, tmp_path)]
    assert len(found) == bool(wanted), found
    if wanted:
        assert f"names {wanted}, which every trial can read too" in found[0]
        assert f'[evaluate] data = ["{wanted}"]' in found[0]


def test_data_for_the_judge_needs_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    spec = make_spec(test={"command": "true", "data": ["x"]})
    assert ["set [run] sandbox = true" in f.detail for f in judge_data_findings(spec, tmp_path)] == [True]
    assert list(judge_data_findings(make_spec(), tmp_path)) == []
