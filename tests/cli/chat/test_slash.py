"""Slash commands on a study that does not run: what is wrong is refused at once, what is right waits for the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project
from fakes.studies import complete, make_spec, proposal
from fakes.trials import wait_until

from tunesmith.cli.chat.slash.commands import run_slash
from tunesmith.cli.session.study_session import StudySession
from tunesmith.history.write import Recorder
from tunesmith.study.errors import SpecError, ToolRefused
from tunesmith.tools.control.inbox import Inbox

WAITS = "this will be done when it next runs"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[StudySession]:
    project = make_project(tmp_path / "p", tables='[[constraints]]\nmetric = "size"\nmax = 9.0')
    opened = StudySession(project, None, by="test")
    yield opened
    loaded = opened.loaded()
    assert loaded is not None
    loaded.reader.close()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/queue x=7 y=1", "out of range"),
        ("/queue z=1 base=default", "z"),
        ("/queue x=0.1 y=2 base=best z=1", "z"),
        ("/pin x=7", "x: "),
        ("/pin", "give one parameter"),
        ("/pin x=0.1 y=2", "give one parameter"),
        ("/pin x y", "give one parameter"),
        ("/bounds", "give a parameter, its low end"),
        ("/bounds x 1", "give a parameter, its low end"),
        ("/bounds x 3 2", "space.x"),
        ("/veto lr > 1", "lr is not a parameter"),
        ("/unveto x > 0.5", "there is no veto"),
        ("/forbid x >", "x >"),
        ("/unforbid x > y", "there is no rule"),
        ("/budget trials 6", "already 6"),
        ("/budget trials none", "nothing would end the study"),
        ("/constrain loss", "give a bound"),
        ("/unconstrain", "give a metric"),
        ("/unconstrain loss", "loss has no bound; bounded metrics: size"),
        ("/confirm 3", "there is no trial 3"),
        ("/forget 0-4", "no trial"),
        ("/stop 3", "not running"),
        ("/run 0", "give a number of further trials, for example /run 5"),
        ("/run all", "give a number of further trials, for example /run 5"),
        ("/log", "give a trial's number"),
        ("/log x", "give a trial's number"),
        ("/log 3", "there is no trial 3"),
        ("/log 3 0", "lines: "),
        ("/log 1 2 3", "give a trial's number"),
        ("/compare", "give two trials or more"),
        ("/compare 3", "give two trials or more"),
        ("/compare 3 x", "give two trials or more"),
        ("/compare 3 4", "there is no trial 3"),
        ("/report", "has not run yet"),
        ("/set", "give a key and its value"),
        ("/set run.timeout", "give a key and its value"),
        ("/set run.timeout soon", "run.timeout"),
        ("/set run.timeout -3", "run.timeout"),
        ("/set run.timout 3m", "did you mean run.timeout?"),
        ("/set timeout 3m", "such as run.timeout"),
        ("/set run.parallel 4", "parallel changes how many"),
        ("/set budget.trials 4", "limit changes budget.trials"),
        ("/set space.x.low 4", "bounds changes space.x.low"),
        ("/set study.metric acc", "write that study under another name"),
        ("/set run.command x", "end the run, change the study file, and start it again: its trials stay"),
        ("/set planner.model m", "end the run, change the study file"),
        ("/set confirm.seeds 1", "confirm.seeds"),
        ("/switch nothing", "there is no study 'nothing' here; expected toy"),
        ("/plot z", "there is no trial and no parameter"),
    ],
)
def test_a_wrong_command_is_refused_when_it_is_given(session: StudySession, line: str, reason: str) -> None:
    with pytest.raises(ToolRefused) as refused:
        run_slash(line, session)
    assert reason in str(refused.value)


def test_commands_that_wait_count_for_those_after_them(session: StudySession) -> None:
    for line in (
        "/unconstrain size",
        "/veto x > 0.5",
        "/unveto x > 0.5",
        "/veto y == 8",
        "/bounds x 0.2 0.4",
        "/set run.timeout 30m",
    ):
        assert WAITS in run_slash(line, session), line
    for line, reason in [
        ("/unconstrain size", "has no bound; bounded metrics: none"),
        ("/unveto x > 0.5", "current vetoes: y == 8"),
        ("/queue x=0.3 y=8 base=default", "remove that veto first"),
        ("/pin x=0.9", "x: "),
        ("/bounds x 0.2 0.4", "already"),
        ("/set run.timeout 30m", "already"),
    ]:
        with pytest.raises(ToolRefused) as refused:
            run_slash(line, session)
        assert reason in str(refused.value), line


def test_switch_turns_to_a_study_with_or_without_a_file_and_back(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    other = make_spec(study={"name": "gone"})
    (project / ".tunesmith").mkdir()
    with Recorder(project / ".tunesmith" / "history.db", other, project=str(project), now=0.0) as recorder:
        recorder.record_outcome(recorder.record_proposal(proposal(), 0.0), complete(0.25), 1.0)
    (project / "second.toml").write_text((project / "study.toml").read_text().replace('"toy"', '"second"'))
    session = StudySession(project, None, by="test")
    assert run_slash("/switch", session).splitlines() == [
        "second (second.toml): has not run yet",
        "toy (study.toml), this one: has not run yet",
        "gone: 1 trial, best loss 0.2500 (#0); not running",
    ]
    assert run_slash("/switch gone", session) == "now about gone: 1 trial, best loss 0.2500 (#0); not running"
    assert "#0  loss 0.2500" in run_slash("/best", session)
    with pytest.raises(ToolRefused, match="gone has no study file in this folder, so it cannot run"):
        run_slash("/run", session)
    assert run_slash("/switch second.toml", session) == "now about second (second.toml): has not run yet"
    assert run_slash("/budget", session) == "trials 6"
    (project / "second.toml").write_text("[study]\n")
    with pytest.raises(SpecError, match="second.toml has"):
        run_slash("/budget", session)
    assert run_slash("/switch toy", session).startswith("now about toy")
    loaded = session.loaded()
    assert loaded is not None
    loaded.reader.close()


def test_run_says_that_the_trials_are_used_up_and_runs_as_many_more_as_are_asked_for(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=2)
    assert invoke("run", cwd=project).returncode == 0
    session = StudySession(project, None, by="test")
    loaded = session.loaded()
    assert loaded is not None
    assert run_slash("/run", session).endswith(
        "; 2 of 2 trials are used, so it tries nothing new: /run 5 runs five more"
    )
    assert loaded.context.folder is not None
    inbox = Inbox(loaded.context.folder)
    wait_until(lambda: not inbox.has_running_loop())
    assert "used" not in run_slash("/run 2", session)
    wait_until(lambda: sum(t.state.is_finished for t in loaded.reader.view().trials) == 4)
    wait_until(lambda: not inbox.has_running_loop())
    loaded.reader.close()
