"""The profile of a trial: which lines took the time, whatever the script is and however it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.evaluator.profiling.profile import Profile, read_profile, with_profiler

BUSY = """
import sys, time

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))

def main():
    spin(0.1)
    time.sleep(0.5)  # the longest

main()
"""


def profiled(folder: Path, code: str, *words: str, **files: str) -> subprocess.CompletedProcess[str]:
    for name, text in {"train.py": code, **files}.items():
        path = folder / name
        path.write_text(text)
    (folder / "profile").touch()
    environment = with_profiler({"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}, folder / "profile")
    command = [sys.executable, *(words or ("train.py",))]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def found(folder: Path) -> Profile:
    profile = read_profile(folder / "profile")
    assert profile is not None
    return profile


def test_the_line_that_takes_longest_comes_first(tmp_path: Path) -> None:
    done = profiled(tmp_path, BUSY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first = found(tmp_path).lines[0]
    assert first.code == "time.sleep(0.5)  # the longest"
    assert (first.place, first.function) == ("train.py:11", "main")
    assert 0.4 < first.share <= 1.0
    assert found(tmp_path).loading_share == 0.0


@pytest.mark.parametrize(
    ("code", "words", "status"),
    [
        (BUSY + "sys.exit(3)", (), 3),
        (BUSY + "raise KeyError('lr')", (), 1),
        ("import subprocess, sys\nsubprocess.run([sys.executable, 'train2.py'], check=True)", (), 0),
        (BUSY, ("-m", "train"), 0),
        (BUSY + "import os\nif os.fork() == 0:\n    time.sleep(1.0)\n    sys.exit(0)\nos.wait()", (), 0),
    ],
    ids=["an exit", "an exception", "a script that starts another", "a module", "a process that was forked off"],
)
def test_a_script_is_profiled_however_it_runs(tmp_path: Path, code: str, words: tuple[str, ...], status: int) -> None:
    done = profiled(tmp_path, code, *words, **{"train2.py": BUSY})
    assert done.returncode == status
    assert any(re.search(r"the longest|os\.wait|subprocess", line.code) for line in found(tmp_path).lines)


def test_waiting_for_data_is_told_from_computing(tmp_path: Path) -> None:
    loader = "import time\ndef __next__():\n    time.sleep(0.3)\n"
    code = "import time\nfrom torch.utils.data import dataloader\ndataloader.__next__()\ntime.sleep(0.1)\n"
    libraries = tmp_path / "libraries"
    path = libraries / "torch" / "utils" / "data" / "dataloader.py"
    path.parent.mkdir(parents=True)
    path.write_text(loader)
    for package in ("torch", "torch/utils", "torch/utils/data"):
        (libraries / package / "__init__.py").touch()
    project = tmp_path / "project"
    project.mkdir()
    profiled(project, f"import sys\nsys.path.insert(0, {str(libraries)!r})\n{code}")
    assert 0.5 < found(project).loading_share < 1.0
    assert found(project).lines[0].code == "dataloader.__next__()"


def test_nothing_of_the_training_is_kept_alive(tmp_path: Path) -> None:
    code = """
import time, weakref

class Tensor:
    pass

def step():
    tensor = Tensor()
    time.sleep(0.02)
    return weakref.ref(tensor)

print(sum(step()() is not None for _ in range(20)))
"""
    assert profiled(tmp_path, code).stdout == "0\n"


def test_importing_a_loader_is_no_loading(tmp_path: Path) -> None:
    package = tmp_path / "torch" / "utils" / "data"
    package.mkdir(parents=True)
    for folder in (package, *list(package.parents)[:2]):
        (folder / "__init__.py").touch()
    (package / "slow.py").write_text("import time\ntime.sleep(0.3)\n")
    profiled(tmp_path, "import torch.utils.data.slow")
    assert found(tmp_path).loading_share < 0.5


def test_a_sitecustomize_of_ones_own_still_runs(tmp_path: Path) -> None:
    done = profiled(tmp_path, "print('trained')", **{"sitecustomize.py": "print('mine')"})
    assert done.stdout == "mine\ntrained\n"
    later = tmp_path / "later"
    later.mkdir()
    (later / "sitecustomize.py").write_text("print('of the system')")
    environment = with_profiler({"PATH": os.environ["PATH"]}, tmp_path / "profile")
    environment["PYTHONPATH"] += os.pathsep + str(later)
    command = [sys.executable, "-c", "import sitecustomize; print(sitecustomize.__file__)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"of the system\n{later / 'sitecustomize.py'}\n"


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[1]", '{"seconds": "x"}', '{"seconds": -1, "loading": 0, "lines": []}', "[" * 100_000,
     '{"seconds": 1, "loading": 0, "lines": [{"place": "a"}]}', '{"seconds": 1e999, "loading": 0, "lines": []}'],
)  # fmt: skip
def test_what_is_no_profile_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "profile").write_text(text)
    assert read_profile(tmp_path / "profile") is None
    assert read_profile(tmp_path / "missing") is None


def test_the_process_that_ran_longest_is_shown(tmp_path: Path) -> None:
    lines = [{"seconds": seconds, "loading": 0.0, "lines": []} for seconds in (1.0, 8.0, 2.0)]
    (tmp_path / "profile").write_text("\n".join(json.dumps(line) for line in [*lines, {"seconds": 9.0}]))
    assert found(tmp_path).seconds == 8.0
