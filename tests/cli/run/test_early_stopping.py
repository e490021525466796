"""`tunesmith run` ends trials early: real processes with real curves, real files."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from fakes.projects import events, invoke, make_project, start

from tunesmith.history.read import History
from tunesmith.study.trials.trial import FailureKind, Trial, TrialState
from tunesmith.study.trials.view import run_key

# A curve falls towards an end that depends on the parameters only. A step takes CPU time, so that early stopping pays
# on a busy machine too. A trial continues from the files that it kept.
CURVES = """\
import os, sys, time
from pathlib import Path
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, epochs = float(values["--x"]), int(values["--epochs"])
end = 0.1 + 4 * abs(x - 0.3)
earlier = os.environ.get("TUNESMITH_RESUME_FROM")
begin = int((Path(earlier) / "epoch").read_text()) if earlier else 0
for epoch in range(begin + 1, epochs + 1):
    until = time.process_time() + float(values.get("--busy", 0.08))
    while time.process_time() < until:
        pass
    (Path(os.environ["TUNESMITH_ARTIFACTS"]) / "epoch").write_text(str(epoch))
    print(f"epoch={epoch} loss={end + 1 / epoch + 0.001 * (epoch % 2)}", flush=True)
"""
FIDELITY = '[fidelity]\nname = "epochs"\nmin = 1\nmax = 12'
CURVED = f'[schedule]\nkind = "curves"\n{FIDELITY}'


def trials_of(project: Path) -> list[Trial]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.trials(history.study("toy").id)


def steps_of(project: Path, number: int) -> list[float]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return [o.step for o in history.curve(history.study("toy").id, number) if o.metric == "loss"]


def test_the_worse_half_pauses_the_better_half_resumes_and_the_budget_counts_full_runs(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=CURVES, trials=9, more="--epochs {epochs}", tables=CURVED)
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    trials = trials_of(project)
    assert trials[0].state is TrialState.COMPLETE
    notes = {t.number: t.outcome.note for t in trials if t.state is TrialState.STOPPED and t.outcome}
    assert any(note.startswith("paused at epoch 2 of 12: rank ") for note in notes.values())
    for number, note in notes.items():
        assert re.fullmatch(r"(stopped|paused) at epoch \d+ of 12: .*", note)
        assert len(steps_of(project, number)) < 12
    again = [t for t in trials if t.proposal.parent is not None]
    assert again
    for trial in again:
        before = trials[trial.proposal.parent or 0]
        assert trial.proposal.rationale.startswith(f"trial {before.number} resumes: ")
        assert run_key(trial) == run_key(before)
        assert steps_of(project, trial.number)[0] == steps_of(project, before.number)[-1] + 1
    with History.open(project / ".tunesmith" / "history.db") as history:
        spent = history.study("toy").spent
    assert len(trials) == spent.trials > 9
    assert 8 <= spent.full_runs <= 11
    assert f"{spent.full_runs:.1f} of 9 full runs in {spent.trials} trials" in invoke("status", cwd=project).stdout
    first = min(notes)
    assert notes[first] in invoke("status", "--why", str(first), cwd=project).stdout


def test_a_trial_that_costs_more_to_resume_than_to_finish_does_not_pause(tmp_path: Path) -> None:
    script = CURVES.replace("begin =", "time.sleep(0.3); begin =")
    tables = CURVED.replace("max = 12", "max = 4")
    project = make_project(tmp_path / "p", script=script, trials=8, more="--epochs {epochs} --busy 0.01", tables=tables)
    assert invoke("run", cwd=project).returncode == 0
    assert [t.state for t in trials_of(project)] == [TrialState.COMPLETE] * 8


def test_without_a_fidelity_no_trial_is_stopped_for_its_chance_to_be_best(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=CURVES, trials=12, more="--epochs 6")
    assert invoke("run", cwd=project).returncode == 0
    assert {t.state for t in trials_of(project)} == {TrialState.COMPLETE}


def test_nan_fails_a_trial_at_once_unless_the_study_allows_it(tmp_path: Path) -> None:
    script = """\
import time
for step in range(1, 100):
    print(f"step={step} loss={'nan' if step == 3 else 0.5}", flush=True)
    time.sleep(0.1 if step < 4 else 0.2)
    if step > 5 and {brief}: break
"""
    project = make_project(tmp_path / "p", script=script.replace("{brief}", "False"), trials=1)
    invoke("run", cwd=project)
    assert steps_of(project, 0)[-1] < 90
    (trial,) = trials_of(project)
    assert trial.failure is not None
    assert trial.failure.kind is FailureKind.NAN
    assert trial.failure.reason == "loss was nan at step 3; ended at once ([stop].nan)"
    patient = make_project(
        tmp_path / "q", script=script.replace("{brief}", "True"), trials=1, tables="[stop]\nnan = false"
    )
    invoke("run", cwd=patient)
    assert [t.state for t in trials_of(patient)] == [TrialState.COMPLETE]


@pytest.mark.parametrize(
    ("rules", "note"),
    [
        ('[[stop.rules]]\nmetric = "loss"\nabove = 0.7\nafter = 4', "stopped by [stop]: loss = 0.9 is above 0.7"),
        ("[stop]\npatience = 3", "stopped by [stop]: no better loss in 3 reports"),
    ],
)
def test_a_rule_of_the_user_stops_a_trial(tmp_path: Path, rules: str, note: str) -> None:
    script = """\
import time
for step in range(1, 60):
    print(f"step={step} loss={0.9}", flush=True)
    time.sleep(0.1)
"""
    project = make_project(tmp_path / "p", script=script, trials=1, tables=rules)
    invoke("run", cwd=project)
    (trial,) = trials_of(project)
    assert trial.state is TrialState.STOPPED
    assert trial.outcome is not None
    assert trial.outcome.note == note
    assert len(steps_of(project, 0)) < 12


def test_a_trial_far_from_all_others_is_stopped_as_diverged(tmp_path: Path) -> None:
    script = """\
import sys, time
from pathlib import Path
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
runs = float(values["--x"]) != 0.9 and int(Path.cwd().parent.name) >= 7
for epoch in range(1, 13):
    print(f"epoch={epoch} loss={1e9 if runs and epoch > 2 else 1 / epoch + float(values['--x'])}", flush=True)
    time.sleep(0.1 if runs else 0.01)
"""
    project = make_project(
        tmp_path / "p", script=script, trials=9, tables=CURVED.replace("[f", "[stop]\nchance = 1e-12\n[f")
    )
    invoke("run", cwd=project)
    notes = [t.outcome.note for t in trials_of(project)[7:] if t.outcome]
    assert all("loss = 1.00e9 has diverged, no complete trial came near it" in note for note in notes)
    assert len(notes) == 2


CHECKPOINTS = """\
import os, sys, time
from pathlib import Path
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, epochs = float(values["--x"]), int(values["--epochs"])
earlier = os.environ.get("TUNESMITH_RESUME_FROM")
begin = int((Path(earlier) / "epoch").read_text()) if earlier else 0
for epoch in range(begin + 1, epochs + 1):
    print(f"epoch={epoch} loss={abs(x - 0.3) + 1 / epoch}", flush=True)
    time.sleep(0.03)
    (Path(os.environ["TUNESMITH_ARTIFACTS"]) / "epoch").write_text(str(epoch))
"""


@pytest.mark.parametrize("kind", ["halving", "hyperband"])
def test_the_best_of_a_rung_continue_from_their_checkpoints_and_only_full_runs_are_compared(
    tmp_path: Path, kind: str
) -> None:
    tables = f'{FIDELITY.replace("12", "9")}\n[schedule]\nkind = "{kind}"'
    project = make_project(tmp_path / "p", script=CHECKPOINTS, trials=20, more="--epochs {epochs}", tables=tables)
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    trials = trials_of(project)
    assert trials[0].proposal.fidelity == 9
    first: dict[tuple[object, ...], Trial] = {}
    for trial in trials:
        epochs = [1.0 * e for e in range(1, int(trial.proposal.fidelity or 0) + 1)]
        earlier = first.get(run_key(trial))
        if earlier is not None:
            assert (
                f"trial {earlier.number} is promoted to {trial.proposal.fidelity:g}: rank " in trial.proposal.rationale
            )
            assert (earlier.proposal.fidelity or 0) * 3 == trial.proposal.fidelity
            epochs = [e for e in epochs if e > (earlier.proposal.fidelity or 0)]
        assert steps_of(project, trial.number) == epochs
        first[run_key(trial)] = trial
    ran = [t.proposal.fidelity for t in trials]
    assert {1.0, 3.0, 9.0} == set(ran)
    assert ran.count(1.0) > ran.count(9.0)
    with History.open(project / ".tunesmith" / "history.db") as history:
        best = history.best(history.study("toy"))
    full = [t for t in trials if t.proposal.fidelity == 9]
    assert best is not None
    assert best.number == min(full, key=lambda t: t.values["loss"]).number


def test_with_a_larger_maximum_the_best_continue_instead_of_starting_again(tmp_path: Path) -> None:
    tables = f'{FIDELITY.replace("12", "3")}\n[schedule]\nkind = "halving"'
    project = make_project(tmp_path / "p", script=CHECKPOINTS, trials=12, more="--epochs {epochs}", tables=tables)
    invoke("run", cwd=project)
    text = (project / "study.toml").read_text()
    (project / "study.toml").write_text(text.replace("max = 3", "max = 9").replace("trials = 12", "trials = 13"))
    invoke("run", cwd=project)
    last = trials_of(project)[12]
    assert last.proposal.fidelity == 9
    assert " is promoted to 9: rank 1 of the " in last.proposal.rationale
    assert steps_of(project, 12) == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]


def test_with_a_larger_maximum_the_best_continue_under_curves_too(tmp_path: Path) -> None:
    tables = CURVED.replace("max = 12", "max = 4")
    project = make_project(tmp_path / "p", script=CURVES, trials=6, more="--epochs {epochs}", tables=tables)
    invoke("run", cwd=project)
    before = trials_of(project)
    text = (project / "study.toml").read_text()
    (project / "study.toml").write_text(text.replace("max = 4", "max = 12").replace("trials = 6", "trials = 11"))
    invoke("run", cwd=project)
    again = [t for t in trials_of(project)[len(before) :] if (t.proposal.parent or len(before)) < len(before)]
    assert again
    for trial in again:
        assert trial.proposal.fidelity == 12
        assert steps_of(project, trial.number)[0] == steps_of(project, trial.proposal.parent or 0)[-1] + 1


def test_a_killed_study_resumes_stopping_by_the_curves_of_its_first_run(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", script=CURVES, trials=8, more="--epochs {epochs} --busy 0.16", tables=CURVED)
    running = start("run", "--json", cwd=project)
    assert running.stdout is not None
    finished = 0
    while finished < 7:
        finished += '"event": "finished"' in running.stdout.readline()
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    before = {t.number: t for t in trials_of(project) if t.state.is_finished}
    printed = events(invoke("run", "--json", cwd=project).stdout)
    assert printed[-1]["event"] == "ended"
    after = {t.number: t for t in trials_of(project)}
    assert sorted(after) == list(range(len(after)))
    assert len(after) > 8
    assert {number: after[number] for number in before} == before
    assert any(t.state is TrialState.STOPPED for number, t in after.items() if number not in before)
