"""Trials that fail regardless of parameters: the run pauses, learns nothing from them, and starts with the default."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from fakes.projects import SCRIPT, events, invoke, make_project

from tunesmith.cli.chat.slash.commands import run_slash
from tunesmith.cli.session.study_session import StudySession
from tunesmith.history.read import History
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.trial import Source, Trial, TrialState

BROKEN = f"import no_such_package\n{SCRIPT}"


def trials(project: Path) -> list[Trial]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.trials(history.study("toy").id)


def spent(project: Path) -> int:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.study("toy").spent.trials


def write(project: Path, script: str) -> None:
    (project / "train.py").write_text(script, encoding="utf-8")


def values(project: Path) -> list[float]:
    return [t.values["loss"] for t in trials(project) if t.state is TrialState.COMPLETE]


def test_a_run_pauses_after_three_such_failures_and_says_why_and_what_to_do(tmp_path: Path) -> None:
    heard = tmp_path / "heard.jsonl"
    hook = f"{sys.executable} -c \\\"import sys; open('{heard}', 'a').write(sys.stdin.read())\\\""
    project = make_project(tmp_path / "p", script=BROKEN, trials=20, tables=f'[notify]\ncommand = "{hook}"')
    done = invoke("run", cwd=project)
    assert done.returncode == 1
    assert len(trials(project)) == 3
    assert spent(project) == 0
    assert "Paused: 3 trials in a row failed" in done.stdout
    assert "ModuleNotFoundError: No module named 'no_such_package'" in done.stdout
    assert "The end of the log of trial 2:" in done.stdout
    assert "--keep-going" in done.stdout
    assert invoke("status", cwd=project).stdout.splitlines()[0].split("·")[1].strip().startswith("paused: ")
    messages = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [(m["event"], "paused: 3 trials" in m["text"]) for m in messages if m["event"] == "failures"] == [
        ("failures", True)
    ]
    assert messages[-1]["by"] == "failures"


def test_the_default_runs_first_when_the_run_is_started_again(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=BROKEN, trials=5)
    invoke("run", cwd=project)
    write(project, SCRIPT)
    done = invoke("run", cwd=project)
    assert done.returncode == 0
    assert spent(project) == 5
    again = trials(project)[3]
    assert again.proposal.source is Source.DEFAULT
    assert dict(again.params) == {"x": 0.9, "y": 8}
    assert "than the default's" in done.stdout
    assert "No module" not in done.stdout


def test_each_start_without_a_correction_pauses_again(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=BROKEN, trials=20)
    assert [invoke("run", cwd=project).returncode for _ in range(2)] == [1, 1]
    assert len(trials(project)) == 6
    assert trials(project)[3].proposal.source is Source.DEFAULT


def test_keep_going_runs_to_the_budget(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=BROKEN, trials=8)
    assert invoke("run", "--keep-going", cwd=project).returncode == 1
    assert len(trials(project)) == 8
    assert spent(project) == 0


def test_a_run_that_worked_pauses_after_five_failures(tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    script = f"import os\nif os.path.exists({str(flag)!r}): import no_such_package\n{SCRIPT}"
    script += f"if y != 8 and x < 0.999: open({str(flag)!r}, 'w').close()\n"
    project = make_project(tmp_path / "p", script=script, trials=20)
    done = invoke("run", "--json", cwd=project)
    assert done.returncode == 1
    ended = events(done.stdout)[-1]
    assert ended["by"] == "failures"
    assert "5 trials in a row failed" in ended["pause_reason"]
    assert [t.counts for t in trials(project)][-5:] == [False] * 5


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise RuntimeError('the data set is empty')", "the data set is empty"),
        ("sys.exit(0)", "never reported loss"),
        ("open('data/train.bin')", "No such file or directory"),
        ("print(  # a syntax error", "SyntaxError"),
        ("import os; os.mkdir('/proc/x')", "No such file or directory"),
    ],
)
def test_any_failure_that_comes_whatever_the_parameters_pauses(tmp_path: Path, line: str, reason: str) -> None:
    project = make_project(tmp_path / "p", script=SCRIPT.replace("for step", f"{line}\nfor step", 1), trials=20)
    done = invoke("run", cwd=project)
    assert done.returncode == 1
    assert "Paused: " in done.stdout
    assert reason in done.stdout
    assert len(trials(project)) == 3


def test_a_command_that_does_not_exist_pauses(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=20)
    study = project / "study.toml"
    study.write_text(study.read_text().replace(sys.executable, "no_such_program"))
    done = invoke("run", cwd=project)
    assert "no_such_program was not found on PATH" in done.stdout
    assert len(trials(project)) == 3


def test_failures_of_a_region_neither_pause_nor_stop_teaching(tmp_path: Path) -> None:
    script = SCRIPT.replace("for step", "if y > 5 and y != 8: import no_such_package\nfor step", 1)
    script = script.replace("if y > 5", "if 2 < y < 6")
    project = make_project(tmp_path / "p", script=script, trials=24, sampler="random")
    assert invoke("run", cwd=project).returncode == 0
    failed = [t for t in trials(project) if t.failure]
    assert failed
    assert len(trials(project)) >= 24


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_broken_trials_that_are_corrected_cost_the_result_nothing(tmp_path: Path, seed: int) -> None:
    story = make_project(tmp_path / "story", script=BROKEN, trials=10, sampler="bayes")
    fresh = make_project(tmp_path / "fresh", trials=20, sampler="bayes")
    assert invoke("run", "--keep-going", "--seed", str(seed), cwd=story).returncode == 1
    assert not values(story)
    write(story, SCRIPT)
    done = invoke("run", "--trials", "20", "--seed", str(seed), cwd=story)
    assert invoke("run", "--seed", str(seed), cwd=fresh).returncode == 0
    assert len(values(story)) == len(values(fresh)) == 20
    assert trials(story)[10].proposal.source is Source.DEFAULT
    # The best possible loss is 1/3; the default's is 4.69.
    assert min(values(story)) < 1 / 3 + 0.05
    assert min(values(fresh)) < 1 / 3 + 0.05
    assert len({t.params["y"] for t in trials(story)[10:]}) > 2
    assert "than the default's" in done.stdout
    report = (story / ".tunesmith" / "toy" / "report.md").read_text()
    assert "nothing to compare with" not in report


# -- forget and retry ------------------------------------------------------------------------------------------------


def test_failed_trials_are_retried_at_the_next_run_under_new_numbers(tmp_path: Path) -> None:
    crash = SCRIPT.replace("for step", "if y != 8: raise ValueError('y is wrong')\nfor step", 1)
    project = make_project(tmp_path / "p", script=crash, trials=4)
    invoke("run", cwd=project)
    failed = [t for t in trials(project) if t.failure]
    assert failed
    write(project, SCRIPT)
    assert "will be done when it next runs" in invoke("retry", "--failed", cwd=project).stdout
    invoke("run", cwd=project)
    now = trials(project)
    again = now[4 : 4 + len(failed)]
    assert [dict(t.params) for t in again] == [dict(t.params) for t in failed]
    assert [t.proposal.seed for t in again] == [t.proposal.seed for t in failed]
    assert all(t.state is TrialState.COMPLETE for t in again)
    assert all(now[t.number].forgotten for t in failed)
    assert spent(project) == 4


def test_forgotten_trials_count_nowhere_until_they_are_taken_up_again(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=5)
    invoke("run", cwd=project)
    best = min((t for t in trials(project)), key=lambda t: t.values["loss"]).number
    invoke("forget", str(best), cwd=project)
    invoke("run", cwd=project)
    assert len(trials(project)) == 6
    shown = json.loads(invoke("status", "--json", cwd=project).stdout)
    assert shown["best"]["trial"] != best
    assert shown["trials"] == {"complete": 5}
    invoke("forget", f"{best}-{best}", "--undo", cwd=project)
    invoke("run", cwd=project)
    assert json.loads(invoke("status", "--json", cwd=project).stdout)["trials"] == {"complete": 6}


def test_what_waits_to_be_forgotten_can_be_taken_up_before_the_next_run(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=3)
    invoke("run", cwd=project)
    refused = invoke("forget", "1", "--undo", cwd=project)
    assert "none of these trials is forgotten" in refused.stderr
    assert invoke("forget", "1-2", cwd=project).returncode == 0
    assert "forgotten already" in invoke("forget", "1", cwd=project).stderr
    session = StudySession(project, None, by="chat")
    assert "will be done when it next runs" in run_slash("/forget 1 undo", session)
    with pytest.raises(ToolRefused, match="forgotten: trial 2"):
        run_slash("/forget 1 undo", session)
    invoke("run", cwd=project)
    assert [t.number for t in trials(project) if t.forgotten] == [2]


def test_forgetting_the_default_runs_it_again(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=4)
    invoke("run", cwd=project)
    invoke("forget", "0", cwd=project)
    invoke("run", cwd=project)
    assert trials(project)[4].proposal.source is Source.DEFAULT


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("retry",), "give numbers, such as 3-9, or --failed"),
        (("retry", "1"), "trial 1 did not fail"),
        (("retry", "--failed"), "no trial has failed"),
        (("forget", "3-1"), "the range 3-1 is empty"),
        (("forget", "all"), "'all' is not a trial number"),
        (("forget", "77"), "there is no trial 77; the last is 2"),
    ],
)
def test_wrong_numbers_are_refused_at_once(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    project = make_project(tmp_path / "p", trials=3)
    invoke("run", cwd=project)
    done = invoke(*words, cwd=project)
    assert done.returncode == 2
    assert message in done.stderr
