"""Which data files were read, and what edited code may not read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.evaluator.files.read_trace import JudgedData, ReadMarks


def keeps_times(folder: Path) -> bool:
    (folder / "probe").write_text("x")
    marks = ReadMarks(folder)
    (folder / "probe").read_text()
    found = marks.read() == {"probe"}
    (folder / "probe").unlink()
    return found


@pytest.fixture
def work(tmp_path: Path) -> Path:
    if not keeps_times(tmp_path):
        pytest.skip("this file system keeps no times of access")
    (tmp_path / "data").mkdir()
    for name in ("data/train.csv", "data/labels.csv", "data.py", "study.toml"):
        (tmp_path / name).write_text("1\n")
    os.symlink(tmp_path / "data" / "labels.csv", tmp_path / "link.csv")
    return tmp_path


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("open('data/train.csv').read()", {"data/train.csv"}),
        ("import os; os.read(os.open('data/labels.csv', os.O_RDONLY), 9)", {"data/labels.csv"}),
        ("import mmap; f = open('data/train.csv'); mmap.mmap(f.fileno(), 0, prot=1)[0]", {"data/train.csv"}),
        ("import subprocess; subprocess.run(['cat', 'data/labels.csv'])", {"data/labels.csv"}),
        ("open('link.csv').read()", {"data/labels.csv"}),
        ("import shutil; shutil.copy('data/labels.csv', 'copy.txt'); open('copy.txt').read()",
         {"data/labels.csv"}),
        ("import os; os.rename('data/labels.csv', 'moved.csv'); open('moved.csv').read()", {"data/labels.csv"}),
        ("for n in range(50): open(f'step{n}.pt', 'w+').read()", set()),
        ("import os; os.stat('data/labels.csv'); os.listdir('data')", set()),
        ("import data; open('study.toml').read()", set()),
    ],
)  # fmt: skip
def test_what_is_read_is_found_whatever_reads_it(code: str, read: set[str], work: Path) -> None:
    marks = ReadMarks(work)
    subprocess.run([sys.executable, "-c", code], cwd=work, check=True, capture_output=True)
    assert marks.read() == read


def test_only_what_the_judge_alone_reads_is_forbidden_also_in_a_later_run(tmp_path: Path) -> None:
    reads = JudgedData(tmp_path)
    reads.note_judge({"labels.csv", "shapes.csv"})
    assert reads.forbidden({"labels.csv"}) == ""  # what the user's own code reads is not known yet
    reads.note_training({"train.csv", "shapes.csv"})
    for known in (reads, JudgedData(tmp_path)):
        assert known.forbidden({"labels.csv", "train.csv"}) == "labels.csv"
        assert known.forbidden({"train.csv", "shapes.csv", "new.csv"}) == ""
