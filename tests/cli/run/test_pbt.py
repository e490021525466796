"""`tunesmith run` trains a population: real processes that continue from each other's files."""

from __future__ import annotations

from pathlib import Path

from fakes.projects import invoke, make_project

from tunesmith.history.read import History
from tunesmith.study.trials.trial import Trial, TrialState

# Gradient descent on w^2 from w = 1, one step an epoch: a rate of 0.5 would be perfect at once, and 1.1 diverges.
DESCENT = """\
import json, os, sys
from pathlib import Path
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
rate, width, epochs = float(values["--rate"]), int(values["--width"]), int(values["--epochs"])
earlier = os.environ.get("TUNESMITH_RESUME_FROM")
state = json.loads((Path(earlier) / "state").read_text()) if earlier else {"epoch": 0, "w": 1.0, "width": width}
assert state["width"] == width
for epoch in range(state["epoch"] + 1, epochs + 1):
    state = {"epoch": epoch, "w": state["w"] * (1 - 2 * rate), "width": width}
    print(f"epoch={epoch} loss={state['w'] ** 2 + 1e-9}")
(Path(os.environ["TUNESMITH_ARTIFACTS"]) / "state").write_text(json.dumps(state))
"""
TABLES = """\
[fidelity]
name = "epochs"
min = 1
max = 4
[schedule]
kind = "pbt"
population = 4
movable = ["rate"]
"""


def population(folder: Path, trials: int, *, script: str = DESCENT, tables: str = TABLES) -> Path:
    project = make_project(
        folder, script=script, trials=trials, parallel=2, sampler="bayes", more="--epochs {epochs}", tables=tables
    )
    text = (project / "study.toml").read_text()
    space = (
        '[space]\nrate = { type = "float", low = 0.001, high = 0.2, log = true, default = 0.01 }\n'
        'width = { type = "int", low = 1, high = 64, default = 8 }\n[budget]'
    )
    text = text[: text.index("[space]")] + space + text[text.index("[budget]") + len("[budget]") :]
    (project / "study.toml").write_text(text.replace("--x {x} --y {y}", "--rate {rate} --width {width}"))
    return project


def trials_of(project: Path) -> list[Trial]:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.trials(history.study("toy").id)


def test_the_worst_take_over_the_weights_of_the_best_with_changed_parameters(tmp_path: Path) -> None:
    project = population(tmp_path / "p", 10)
    # The run ends in the middle and is resumed. 17 trials are four generations of four and one trial of the next.
    assert invoke("run", cwd=project).returncode == 0
    text = (project / "study.toml").read_text()
    (project / "study.toml").write_text(text.replace("trials = 10", "trials = 17"))
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    trials = trials_of(project)
    assert {t.state for t in trials} == {TrialState.COMPLETE}
    assert [t.proposal.fidelity for t in trials] == [float(n // 4 % 4 + 1) for n in range(17)]
    assert trials[16].proposal.parent is None
    for first in (4, 8, 12):
        here = sorted(trials[first - 4 : first], key=lambda t: t.values["loss"])
        there = trials[first : first + 4]
        parents = [t.proposal.parent for t in there]
        # The best has two children, the worst none.
        assert sorted(parents) == sorted([here[0].number, *(t.number for t in here[:3])])
        for trial in there:
            parent = trials[trial.proposal.parent or 0]
            assert trial.params["width"] == parent.params["width"]
            # It took one step at its own rate from its parent's weights.
            w2 = (parent.values["loss"] - 1e-9) * (1 - 2 * float(trial.params["rate"])) ** 2
            assert abs(trial.values["loss"] - 1e-9 - w2) <= 1e-6
        (changed,) = [t for t in there if t.params != trials[t.proposal.parent or 0].params]
        assert changed.proposal.rationale.startswith(f"continues trial {here[0].number}, one of the best")
        assert changed.proposal.rationale.endswith(f"in place of trial {here[3].number}; changed: rate")
    best = min(trials[12:16], key=lambda t: t.values["loss"])
    with History.open(project / ".tunesmith" / "history.db") as history:
        found = history.best(history.study("toy"))
    assert found is not None
    assert found.number == best.number


def test_a_member_that_fails_is_replaced_by_a_child_of_the_best(tmp_path: Path) -> None:
    fails = DESCENT.replace("earlier =", "assert int(Path.cwd().parent.name) != 1\nearlier =", 1)
    project = population(tmp_path / "p", 8, script=fails)
    assert invoke("run", cwd=project).returncode == 0
    trials = trials_of(project)
    assert [t.number for t in trials if t.state is TrialState.FAILED] == [1]
    assert 1 not in {t.proposal.parent for t in trials}
    assert sum("in place of trial 1;" in t.proposal.rationale for t in trials) == 1


def test_an_impossible_schedule_is_refused_before_anything_runs(tmp_path: Path) -> None:
    tables = TABLES.replace('["rate"]', '["speed"]') + "[confirm]\ntop = 1\n"
    refused = invoke("run", cwd=population(tmp_path / "p", 8, tables=tables))
    assert refused.returncode == 2
    assert 'schedule.movable  "speed" is not a parameter' in refused.stderr
    assert 'confirm           cannot be combined with schedule kind "pbt"' in refused.stderr
