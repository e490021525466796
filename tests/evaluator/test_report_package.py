"""`import tunesmith` to report works in an environment without Tunesmith, and is the whole of it where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.projects import SOURCE, invoke, make_project

from tunesmith.evaluator.report_package import report_package, with_report_package

ROOT = Path(__file__).parents[2]
LINKS = ROOT / "packages" / "tunesmith-report" / "src"
BARE = [sys.executable, "-S", "-c"]
"""Python without site-packages, and so without Tunesmith."""


def run(code: str, *paths: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths)), **more}
    return subprocess.run([*BARE, code], env=environment, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize("where", ["of a study", "to install"])
@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("import tunesmith; tunesmith.report(loss=1.5, step=2)", ""),
        ("from tunesmith import report; report({'val/loss': 2})", ""),
        ("import tunesmith; print(tunesmith.params())", "{'x': 1}\n"),
        ("import tunesmith; print(tunesmith.resume_from())", "None\n"),
        ("from tunesmith import schedules; print(schedules.linear(4)(1))", "0.75\n"),
        ("from tunesmith.evaluator.reporting import numbers_in; print(numbers_in({'a': 1, 'b': 'c'}))", "{'a': 1.0}\n"),
    ],
)
def test_it_works_without_any_package(tmp_path: Path, where: str, code: str, printed: str) -> None:
    folder = report_package(tmp_path) if where == "of a study" else LINKS
    report = tmp_path / "report.jsonl"
    report.touch()
    done = run(code, folder, TUNESMITH_REPORT=str(report), TUNESMITH_PARAMS='{"x": 1}')
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
    assert bool(report.read_text()) is ("report(" in code)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import tunesmith; tunesmith.Tuner", "tunesmith-report has no 'Tuner', which needs the whole of Tunesmith"),
        ("import tunesmith; tunesmith.hf", "tunesmith.hf needs transformers"),
        ("from tunesmith.lightning import TunesmithCallback", "tunesmith.lightning needs lightning"),
    ],
)
def test_what_needs_more_says_so(tmp_path: Path, code: str, message: str) -> None:
    assert message in run(code, report_package(tmp_path)).stderr


@pytest.mark.parametrize("first", [True, False], ids=["before Tunesmith", "behind it"])
@pytest.mark.parametrize(
    "code",
    [
        "import tunesmith; print(tunesmith.__version__)",
        "from tunesmith.study.names import did_you_mean; import tunesmith; print(tunesmith.__version__)",
        "from tunesmith import report, __version__; print(__version__)",
    ],
)
def test_the_whole_of_tunesmith_takes_its_place(tmp_path: Path, code: str, first: bool) -> None:
    from tunesmith import __version__

    folders = [report_package(tmp_path), SOURCE]
    done = run(code, *(folders if first else folders[::-1]))
    assert (done.stdout, done.stderr) == (f"{__version__}\n", "")


def test_it_is_written_once_and_last_on_the_path(tmp_path: Path) -> None:
    folder = report_package(tmp_path)
    assert report_package(tmp_path) == folder
    assert [path.name for path in (tmp_path / "reporting").iterdir()] == [folder.name]
    assert with_report_package({"PYTHONPATH": "/a"}, tmp_path)["PYTHONPATH"] == f"/a{os.pathsep}{folder}"
    assert with_report_package({}, Path("/proc/nowhere")) == {}


def test_a_trial_in_an_environment_without_tunesmith_reports(tmp_path: Path) -> None:
    script = (
        "import tunesmith\nfor step in (1, 2):\n    tunesmith.report(loss=tunesmith.params()['x'] / step, step=step)\n"
    )
    project = make_project(tmp_path / "p", script=script, trials=2)
    text = (project / "study.toml").read_text().replace("-I -S train.py", "-S train.py")
    (project / "study.toml").write_text(text)
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done
    assert "  0  default  0.9" in done.stdout
    assert "0.4500" in done.stdout
