"""`tunesmith run` ends trials early: real processes with real curves, real files."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from fakes.projects import command, events, make_project, start

from tunesmith.history.read import History
from tunesmith.study.trial import FailureKind, Trial, TrialState

# A curve falls towards its end, which the parameters alone decide; each step takes a moment, so that it can be ended.
CURVES = """\
import sys, time
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, epochs = float(values["--x"]), int(values["--epochs"])
end = 0.1 + 4 * abs(x - 0.3)
for epoch in range(1, epochs + 1):
    print(f"epoch={epoch} loss={end + 1 / epoch + 0.001 * (epoch % 2)}", flush=True)
    time.sleep(float(values.get("--sleep", 0.03)))
"""
FIDELITY = '[fidelity]\nname = "epochs"\nmin = 1\nmax = 12'


def trials_of(project: Path) -> list[Trial]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.trials(history.study("toy").id)


def steps_of(project: Path, number: int) -> list[float]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return [o.step for o in history.curve(history.study("toy").id, number) if o.metric == "loss"]


def test_hopeless_trials_end_early_and_say_what_their_chance_was(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=CURVES, trials=20, more="--epochs {epochs}", tables=FIDELITY)
    done = command("run", cwd=project)
    assert done.returncode == 0, done.stderr
    trials = trials_of(project)
    stopped = [t for t in trials if t.state is TrialState.STOPPED]
    assert stopped
    for trial in stopped:
        assert trial.outcome is not None
        assert "of 12: " in trial.outcome.note
        assert "chance to be best" in trial.outcome.note
        assert len(steps_of(project, trial.number)) < 12
    assert trials[0].state is TrialState.COMPLETE
    best = min((t for t in trials if t.state is TrialState.COMPLETE), key=lambda t: t.values["loss"])
    wasted = [abs(float(t.params["x"]) - 0.3) for t in stopped]
    assert abs(float(best.params["x"]) - 0.3) <= min(wasted)
    status = command("status", cwd=project).stdout
    assert f"{len(stopped)} stopped" in status
    assert "chance to be best" in command("status", "--why", str(stopped[0].number), cwd=project).stdout


def test_without_a_fidelity_no_trial_is_ended_for_its_chance(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=CURVES, trials=12, more="--epochs 6")
    assert command("run", cwd=project).returncode == 0
    assert {t.state for t in trials_of(project)} == {TrialState.COMPLETE}


def test_nan_ends_a_trial_at_once_as_a_failure_unless_the_study_says_otherwise(tmp_path: Path) -> None:
    script = """\
import time
for step in range(1, 100):
    print(f"step={step} loss={'nan' if step == 3 else 0.5}", flush=True)
    time.sleep(0.1 if step < 4 else 0.2)
    if step > 5 and {brief}: break
"""
    project = make_project(tmp_path / "p", script=script.replace("{brief}", "False"), trials=1)
    began = time.monotonic()
    command("run", cwd=project)
    assert time.monotonic() - began < 10
    (trial,) = trials_of(project)
    assert trial.failure is not None
    assert trial.failure.kind is FailureKind.NAN
    assert trial.failure.reason == "loss was nan at step 3; ended at once ([stop].nan)"
    patient = make_project(
        tmp_path / "q", script=script.replace("{brief}", "True"), trials=1, tables="[stop]\nnan = false"
    )
    command("run", cwd=patient)
    assert [t.state for t in trials_of(patient)] == [TrialState.COMPLETE]


@pytest.mark.parametrize(
    ("rules", "note"),
    [
        ('[[stop.rules]]\nmetric = "loss"\nabove = 0.7\nafter = 4', "stopped by [stop]: loss = 0.9 is above 0.7"),
        ("[stop]\npatience = 3", "stopped by [stop]: no better loss in 3 reports"),
    ],
)
def test_a_persons_rule_ends_a_trial(tmp_path: Path, rules: str, note: str) -> None:
    script = """\
import time
for step in range(1, 60):
    print(f"step={step} loss={0.9}", flush=True)
    time.sleep(0.1)
"""
    project = make_project(tmp_path / "p", script=script, trials=1, tables=rules)
    command("run", cwd=project)
    (trial,) = trials_of(project)
    assert trial.state is TrialState.STOPPED
    assert trial.outcome is not None
    assert trial.outcome.note == note
    assert len(steps_of(project, 0)) < 12


def test_a_trial_that_runs_far_off_is_ended_as_diverged(tmp_path: Path) -> None:
    script = """\
import sys, time
from pathlib import Path
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
runs = float(values["--x"]) != 0.9 and int(Path.cwd().parent.name) >= 5
for epoch in range(1, 13):
    print(f"epoch={epoch} loss={1e9 if runs and epoch > 2 else 1 / epoch + float(values['--x'])}", flush=True)
    time.sleep(0.1 if runs else 0.01)
"""
    project = make_project(
        tmp_path / "p", script=script, trials=7, tables=FIDELITY.replace("[f", "[stop]\nchance = 1e-12\n[f")
    )
    command("run", cwd=project)
    notes = [t.outcome.note for t in trials_of(project)[5:] if t.outcome]
    assert all("loss = 1e+09 has diverged, no complete trial came near it" in note for note in notes)
    assert len(notes) == 2


def test_a_killed_study_goes_on_stopping_by_what_it_saw_before(tmp_path: Path) -> None:
    project = make_project(
        tmp_path / "p", script=CURVES, trials=24, more="--epochs {epochs} --sleep 0.05", tables=FIDELITY
    )
    running = start("run", "--json", cwd=project)
    deadline = time.monotonic() + 60
    while not (project / ".tunesmith" / "history.db").exists() or len(trials_of(project)) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    before = {t.number: t for t in trials_of(project) if t.state.is_finished}
    told = events(command("run", "--json", cwd=project).stdout)
    assert told[-1]["event"] == "ended"
    after = {t.number: t for t in trials_of(project)}
    assert sorted(after) == list(range(24))
    assert {number: after[number] for number in before} == before
    assert any(t.state is TrialState.STOPPED for number, t in after.items() if number not in before)
