"""What is printed of studies with one trial, with none, and with none that worked: words in the singular, no nan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project

from tunesmith.cli.chat.slash.commands import run_slash
from tunesmith.cli.session.study_session import StudySession
from tunesmith.study.errors import HistoryError
from tunesmith.tools.llm_tools.results.study import study_text
from tunesmith.tools.llm_tools.trials import NoArguments

FAILS = 'import sys; sys.exit("no luck")\n'
ODD = re.compile(
    r"(?<![\w.])1 (?:trials|runs|seeds|repeats|are|were|have)\b|\bnan\b|\binf\b|\bNone\b|\b0 of 0\b|1\.000 of 1"
)


def shown(folder: Path, *commands: str) -> str:
    return "\n".join(invoke(*line.split(), cwd=folder).stdout for line in commands)


@pytest.mark.parametrize("script", ["", FAILS], ids=["one trial", "one failed trial"])
def test_one_trial_is_one_trial(tmp_path: Path, script: str) -> None:
    folder = make_project(tmp_path / "p", trials=1, **({"script": script} if script else {}))  # type: ignore[arg-type]
    text = shown(folder, "run", "status", "report", "status --why 0")
    text += (folder / ".tunesmith" / "toy" / "report.md").read_text(encoding="utf-8")
    loaded = StudySession(folder, None, by="chat").loaded()
    assert loaded is not None
    text += study_text(loaded.context, NoArguments())
    loaded.reader.close()
    assert "1 of 1 trial" in text
    assert "0.0% better" not in text
    assert ODD.findall(text) == []
    assert "its only trial is 0" in invoke("status", "--why", "3", cwd=folder).stderr


def test_what_is_set_aside_is_said_with_its_reason(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "p", trials=5, script=FAILS)
    assert "Set aside: 3 trials that failed regardless of their parameters; they count nowhere" in shown(folder, "run")
    invoke("forget", "1", cwd=folder)
    invoke("run", cwd=folder)
    text = shown(folder, "status")
    assert "that failed regardless of their parameters and 1 trial that was forgotten; they count nowhere" in text


def test_a_study_that_never_ran_says_so_in_chat(tmp_path: Path) -> None:
    session = StudySession(make_project(tmp_path / "p"), None, by="chat")
    for line in ("/status", "/best", "/trial 0"):
        with pytest.raises(HistoryError, match="`tunesmith run` creates one"):
            run_slash(line, session)
