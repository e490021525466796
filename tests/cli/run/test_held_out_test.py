"""[test] runs once, at the end, on the chosen trial; its result is shown to the user and never to a model."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fakes.projects import SCRIPT, events, invoke, make_project, start
from typer.testing import CliRunner

from tunesmith.agent.loop.limits.clocks import Clocks
from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import LoopEvent, Note
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.cli.main import app
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.tools.analysis.confirmation.held_out_test import HeldOutTest, held_out_test_line, held_out_tests
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.report import markdown, report
from tunesmith.tools.llm_tools.trials import NoArguments

TRAIN = f"{SCRIPT}\nimport os\nopen(os.environ['TUNESMITH_ARTIFACTS'] + '/model', 'w').write(f'{{x}} {{y}}')\n"
TEST = """\
import sys, time
open(sys.argv[2], "a").write("once ")
x, y = open(sys.argv[1] + "/model").read().split()
time.sleep(float(sys.argv[3]))
print(f"loss={4321 + float(x)}")
"""


def project_with_test(folder: Path, *, sleep_s: float = 0.0, tables: str = "", trials: int = 4) -> Path:
    made = make_project(folder, trials=trials, script=TRAIN, tables=f'{tables}\n[test]\ncommand = "{{}}"')
    (made / "final.py").write_text(TEST, encoding="utf-8")
    line = f"{sys.executable} -I -S final.py {{artifacts}} {folder / 'ran.txt'} {sleep_s}"
    text = (made / "study.toml").read_text(encoding="utf-8")
    (made / "study.toml").write_text(text.replace('command = "{}"', f'command = "{line}"'), encoding="utf-8")
    return made


def test_the_chosen_trial_is_tested_once_and_only_the_user_sees_the_result(tmp_path: Path) -> None:
    project = project_with_test(tmp_path / "p")
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    with History.open(project / ".tunesmith" / "history.db") as history:
        best = history.best(history.study("toy"))
    assert best is not None
    line = f"Test of trial {best.number}: loss {4321 + best.params['x']:.0f} ([test], run once)"  # type: ignore[operator]
    assert line in done.stdout
    assert (project / "ran.txt").read_text() == "once "
    assert line in CliRunner().invoke(app, ["status", str(project)]).output
    folder = project / ".tunesmith" / "toy"
    assert line.replace("[test]", "\\[test\\]") in (folder / "report.md").read_text(encoding="utf-8")
    assert line in (folder / "report.html").read_text(encoding="utf-8")
    shown = json.loads(CliRunner().invoke(app, ["report", "--json", str(project)]).output)
    assert [(t["trial"], t["state"]) for t in shown["tests"]] == [(best.number, "complete")]
    facts = FileStudyReader(project / ".tunesmith" / "history.db", lambda: load_spec(project))
    context = ToolContext(reader=facts, project=project, folder=folder, history=project / ".tunesmith" / "history.db")
    for text in (markdown(context), report(context, NoArguments())):
        assert "4321" not in text
        assert "Test of" not in text
    assert line in (folder / "report.html").read_text(encoding="utf-8")
    facts.close()


def test_a_test_that_was_killed_runs_again_once(tmp_path: Path) -> None:
    project = project_with_test(tmp_path / "p", sleep_s=30.0, trials=1)
    for runs in (1, 2):
        process = start("run", "--json", cwd=project)
        assert process.stdout is not None
        next(line for line in process.stdout if "running the held-out test of trial 0" in line)
        until = time.monotonic() + 60
        while not (project / "ran.txt").exists() or (project / "ran.txt").read_text() != "once " * runs:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    seen = events(invoke("run", "--json", cwd=project).stdout)
    assert [event for event in seen if "held-out test of trial" in event.get("text", "")] == []
    assert seen[-1]["by"] == "trials"
    assert (project / "ran.txt").read_text() == "once once "


def test_a_test_stopped_at_the_deadline_runs_again_and_one_that_fails_gives_the_reason(tmp_path: Path) -> None:
    project = project_with_test(tmp_path / "p", sleep_s=30.0, trials=1)
    database, jumped = project / ".tunesmith" / "history.db", [0.0]

    def run(on_event: Callable[[LoopEvent], None], **budget: object) -> list[HeldOutTest]:
        spec = load_spec(project)
        spec = spec.model_copy(update={"budget": spec.budget.model_copy(update=budget)})
        clocks = Clocks(wall=lambda: time.time() + jumped[0])
        options = RunOptions(project=project, history=database, cpus=1, clocks=clocks)
        Loop(spec, options, on_event=on_event).run()
        with History.open(database) as history:
            return held_out_tests(history.events(1, "test"))

    def sleep_until_the_end(event: LoopEvent) -> None:
        if isinstance(event, Note) and "running the held-out test of trial 0" in event.text:
            jumped[0] = 7200.0

    at = datetime.fromtimestamp(time.time() + 3600).astimezone().time().replace(microsecond=0)
    late = run(sleep_until_the_end, until=at)
    assert [(test.state, test.reason) for test in late] == [("stopped", "the study's time is up")]
    (project / "final.py").write_text("raise SystemExit('no such data')", encoding="utf-8")
    found = run(lambda _: None)
    assert held_out_test_line(found, 0) == "Test of trial 0: failed: crash: test: no such data"
