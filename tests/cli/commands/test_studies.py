"""list, rm, reset; a study found from a folder below; what status says of a killed run, and run without a budget."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project, start

from tunesmith.cli.session.upwards import study_above
from tunesmith.history.read import History

TWO = """\
import sys
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print(f"loss={float(values['--x']) - 0.5} size={10 * int(values['--y'])}")
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("studies") / "p", trials=4)
    assert invoke("run", cwd=project).returncode == 0
    return project


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "p")


def test_studies_are_listed_and_removed_with_their_files(project: Path) -> None:
    listed = invoke("list", cwd=project).stdout
    assert listed.splitlines()[1].startswith("toy    4       loss ")
    assert listed.rstrip().endswith("ended: trial budget reached")
    (only,) = json.loads(invoke("list", "--json", cwd=project).stdout)
    assert (only["study"], only["trials"], only["running"]) == ("toy", 4, False)
    assert "did you mean toy" in invoke("rm", "tooy", "--yes", cwd=project).stderr
    assert "say --yes" in invoke("rm", "toy", cwd=project).stderr
    (project / ".tunesmith" / "toy" / "notes.txt").write_text("mine")
    removed = invoke("rm", "toy", "--yes", cwd=project)
    assert removed.stdout.startswith("removed toy: 4 trials; other files in")
    assert [path.name for path in (project / ".tunesmith" / "toy").iterdir()] == ["notes.txt"]
    assert invoke("list", cwd=project).stdout == "no study has run yet; `tunesmith run` starts one\n"


def test_a_study_that_was_reset_starts_with_trial_0(project: Path) -> None:
    assert "starts with trial 0" in invoke("reset", "--yes", cwd=project).stdout
    assert not (project / ".tunesmith" / "toy").exists()
    assert "yet; `tunesmith run` starts it" in invoke("reset", "--yes", cwd=project).stderr
    assert "  0  default" in invoke("run", "--trials", "1", cwd=project).stdout


def test_a_run_that_starts_nothing_says_why(project: Path) -> None:
    assert "4 of 4 trials are used. For more: tunesmith run --trials 6" in invoke("run", cwd=project).stdout
    text = (project / "study.toml").read_text()
    (project / "study.toml").write_text(text.replace("trials = 4", "hours = 0.0000001"))
    assert "hours are used. For more: tunesmith run --hours" in invoke("run", cwd=project).stdout


def test_a_number_with_a_plus_is_that_many_trials_more(project: Path) -> None:
    assert invoke("run", "--trials", "+2", cwd=project).returncode == 0
    with History.open(project / ".tunesmith" / "history.db") as history:
        assert history.study("toy").spent.trials == 6
    refused = invoke("run", "--trials", "2", cwd=project).stdout
    assert "6 of 2 trials are used. For more: tunesmith run --trials 9" in refused
    for wrong in ("+0", "many", "2.5", "+", "++2"):
        done = invoke("run", "--trials", wrong, cwd=project)
        assert done.returncode == 2
        assert "--trials  " in done.stderr
        assert "such as 40, or +5 for five more" in done.stderr


def test_a_first_run_may_have_a_number_of_further_trials(tmp_path: Path) -> None:
    made = make_project(tmp_path / "p", trials=50)
    assert invoke("run", "--trials", "+3", cwd=made).returncode == 0
    with History.open(made / ".tunesmith" / "history.db") as history:
        assert history.study("toy").spent.trials == 3


def test_a_killed_run_is_not_shown_as_running_and_a_living_one_is_not_removed(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=50, more="--sleep 60")
    running = start("run", cwd=project)
    try:
        while "running 1 trial" not in (found := invoke("status", cwd=project)).stdout:
            assert running.poll() is None, found
            time.sleep(0.1)
        assert "toy is running; end that run first" in invoke("rm", "toy", "--yes", cwd=project).stderr
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
    for words in (("status",), ("list",)):
        assert "not running: its process died, with 1 trial unfinished" in invoke(*words, cwd=project).stdout
    assert json.loads(invoke("status", "--json", cwd=project).stdout)["running"] is False


@pytest.mark.parametrize("words", [("status",), ("status", "toy"), ("report",), ("list",), ("check", "--seconds", "5")])
def test_the_study_is_found_from_a_folder_below_it(project: Path, words: tuple[str, ...]) -> None:
    below = project / "src" / "deep"
    below.mkdir(parents=True)
    done = invoke(*words, cwd=below)
    assert done.returncode == 0, done
    assert "study: ../../study.toml" in done.stderr


def test_the_search_ends_at_the_top_of_a_repository(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = project / "other" / "deep"
    below.mkdir(parents=True)
    (project / "other" / ".git").mkdir()
    monkeypatch.chdir(below)
    assert study_above(Path()) == Path()
    monkeypatch.setattr(os, "getuid", lambda: -1)
    (project / "other" / ".git").rmdir()
    assert study_above(Path()) == Path(), "a folder of another user"


def test_several_metrics_are_shown_with_their_front_and_broken_bounds(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=TWO, tables='[[constraints]]\nmetric = "size"\nmax = 60.0', trials=6)
    text = (project / "study.toml").read_text().replace('metric = "loss"', 'metric = ["loss", "size"]', 1)
    (project / "study.toml").write_text(text)
    run = invoke("run", cwd=project).stdout
    header, columns, default, *_ = run.splitlines()
    assert "minimize loss, minimize size" in header
    assert columns.split()[:7] == ["#", "source", "x", "y", "loss", "size", "front"]
    assert "breaks a bound: size is 80.00, above max = 60" in default
    assert "on the Pareto front" in run
    status = invoke("status", cwd=project).stdout
    assert status.splitlines()[1].startswith("front of ")
    assert "best:" not in status
    front = status.splitlines()[2].split()[0].lstrip("#")
    story = invoke("status", "--why", front, cwd=project).stdout
    assert story.count("(objective)") == 2
    assert "it is one of the" in story
    assert "it cannot be the best" in invoke("status", "--why", "0", cwd=project).stdout
