"""[schedule] kind = "branches": the plateau is trained once, and configurations branch from its checkpoints."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from fakes.projects import invoke, make_project

from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import SpecError
from tunesmith.study.trials.trial import Source, Trial

# A state that is the sum of the learning rate over steps; the loss is lowest for decay 0.3 and floor 0.
SCRIPT = """\
import json, os, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
steps, decay, floor = int(given["--steps"]), float(given["--decay"]), float(given["--floor"])
start, seen = 0, []
if folder := os.environ.get("TUNESMITH_RESUME_FROM"):
    start, seen = json.load(open(f"{folder}/state.json"))
for step in range(start, steps):
    begin = 100 * (1 - decay)
    seen.append(round(1.0 if step < begin else 1 - (1 - floor) * (step - begin) / (100 - begin), 6))
json.dump([steps, seen], open(os.environ["TUNESMITH_ARTIFACTS"] + "/state.json", "w"))
with open("../../../../ran.txt", "a") as log:
    log.write(f"{start} {steps} {decay} {floor} {given.get('--lr', 1)} {given['--seed']}\\n")
print(f"loss={abs(sum(seen) - 85) + floor + float(given.get('--lr', 0))}")
"""
SPACE = """
decay = { type = "choice", choices = [0.5, 0.3, 0.2], ordered = true, default = 0.2 }
floor = { type = "choice", choices = [0.0, 0.1], ordered = true, default = 0.1 }
"""
TABLES = '[fidelity]\nname = "steps"\nmin = 1\nmax = 100\n[schedule]\nkind = "branches"\nat = [0.8, 0.5, 0.7]\n'
MOVABLE = 'movable = ["decay", "floor"]\n'


def project(
    folder: Path, *, trials: float, space: str = SPACE, more: str = "", tables: str = "", parallel: int = 1
) -> Path:
    made = make_project(
        folder, script=SCRIPT, trials=99, sampler="random", tables=f"{TABLES}{MOVABLE}{tables}", parallel=parallel
    )
    file = made / "study.toml"
    head, _, tail = file.read_text(encoding="utf-8").partition("[space]")
    command = f"--decay {{decay}} --floor {{floor}} --steps {{steps}} --seed {{seed}} {more}"
    head = head.replace("--x {x} --y {y}", command)
    budget = tail.partition("[budget]")[2].replace("trials = 99", f"trials = {trials}")
    file.write_text(f"{head}[space]{space}[budget]{budget}", encoding="utf-8")
    return made


def runs(made: Path) -> list[list[float]]:
    return [
        [float(word) for word in line.split()] for line in (made / ".tunesmith" / "ran.txt").read_text().splitlines()
    ]


def stored(made: Path) -> list[Trial]:
    with History.open(made / ".tunesmith" / "history.db") as history:
        return history.trials(history.study("toy").id)


def test_the_stages_of_the_default_are_no_trials_that_it_was_compared_with(tmp_path: Path) -> None:
    made = project(tmp_path / "p", trials=1)
    done = invoke("run", cwd=made)
    assert len(stored(made)) > 1
    assert "Only the default has completed" in done.stdout
    assert "Nothing beat" not in done.stdout


@pytest.mark.parametrize("parallel", [1, 2])
def test_six_shapes_take_the_steps_of_their_trunk_and_their_decays(tmp_path: Path, parallel: int) -> None:
    made = project(tmp_path / "p", trials=9, parallel=parallel)
    done = invoke("run", cwd=made)
    assert done.returncode == 0, done.stderr
    ran = runs(made)
    ended = {(decay, floor) for _, steps, decay, floor, *_ in ran if steps == 100}
    assert len(ended) == 6
    # The trunk to 0.8, and two decays each of 0.5, 0.3 and 0.2.
    assert sum(steps - start for start, steps, *_ in ran) == 80 + 2 * (50 + 30 + 20)
    assert len({seed for *_, seed in ran}) == 1, "shapes on one trunk share its training seed"
    with History.open(made / ".tunesmith" / "history.db") as history:
        record = history.study("toy")
        best = history.best(record)
        assert record.spent.trials - record.spent.saved == pytest.approx(2.8)
    assert best is not None
    assert best.params == {"decay": 0.3, "floor": 0.0}
    # What branched is what a run from scratch would have been.
    single = project(tmp_path / "q", trials=1, space=SPACE.replace("default = 0.2 }", "default = 0.3 }"))
    invoke("run", cwd=single)
    mine = {
        t.values["loss"]
        for t in stored(made)
        if t.params == {"decay": 0.3, "floor": 0.1} and t.proposal.fidelity == 100
    }
    theirs = {t.values["loss"] for t in stored(single) if t.proposal.fidelity == 100}
    assert mine == theirs


def test_a_budget_counts_the_steps_that_ran_and_what_has_begun_ends(tmp_path: Path) -> None:
    made = project(tmp_path / "p", trials=2)
    assert invoke("run", cwd=made).returncode == 0
    steps = sum(end - start for start, end, *_ in runs(made))
    assert 190 <= steps <= 250
    trials = stored(made)
    last = {tuple(t.params.values()): t.proposal.fidelity for t in trials}
    assert set(last.values()) == {100}


def test_good_trunks_get_branches_and_other_parameters_are_searched_too(tmp_path: Path) -> None:
    space = f'{SPACE}lr = {{ type = "float", low = 0.0, high = 1.0, default = 0.5 }}\n'
    made = project(tmp_path / "p", trials=6, space=space, more="--lr {lr}", tables="branches = 3\n")
    assert invoke("run", cwd=made).returncode == 0
    shapes: dict[float, set[tuple[float, float]]] = {}
    for _, steps, decay, floor, lr, _ in runs(made):
        if steps == 100:
            shapes.setdefault(lr, set()).add((decay, floor))
    assert len(shapes) > 1
    assert max(map(len, shapes.values())) == 3
    assert {t.proposal.source for t in stored(made)} <= {Source.DEFAULT, Source.SAMPLER}


def test_a_branch_point_is_the_whole_step_before_and_a_finished_run_is_no_trunk(tmp_path: Path) -> None:
    space = SPACE.replace("[0.5, 0.3, 0.2]", "[0.5, 0.004]").replace("default = 0.2", "default = 0.5")
    made = project(tmp_path / "p", trials=9, space=space)
    file = made / "study.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("[0.8, 0.5, 0.7]", "[0.5, 0.996]"), encoding="utf-8")
    assert invoke("run", cwd=made).returncode == 0
    ran = runs(made)
    assert len({(decay, floor) for _, steps, decay, floor, *_ in ran if steps == 100}) == 4
    assert {start for start, steps, *_ in ran if steps == 100} == {50, 99}, "each shape trains its own decay"


def test_stages_whose_length_reaches_no_trial_are_named(tmp_path: Path) -> None:
    made = project(tmp_path / "p", trials=1)
    file = made / "study.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("--steps {steps}", "--steps 100"), encoding="utf-8")
    script = made / "train.py"
    script.write_text(script.read_text(encoding="utf-8").replace("TUNESMITH_", "MY_"), encoding="utf-8")
    assert "steps: not in the command" in invoke("check", cwd=made).stdout
    said = " ".join(invoke("run", cwd=made).stdout.split())
    assert "steps reaches no trial" in said
    assert 'add {steps} to the command, or write kind = "full" in [schedule]' in said


def test_a_study_does_not_go_over_to_longer_runs(tmp_path: Path) -> None:
    made = project(tmp_path / "p", trials=1)
    assert invoke("run", cwd=made).returncode == 0
    before, file = len(runs(made)), made / "study.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("max = 100", "max = 200"), encoding="utf-8")
    refused = invoke("run", cwd=made)
    assert refused.returncode == 2
    assert "has branches of runs of 100 steps, but study.toml now says 200" in " ".join(refused.stderr.split())
    assert len(runs(made)) == before


def test_confirmation_runs_the_whole_schedule_on_a_fresh_seed(tmp_path: Path) -> None:
    made = project(tmp_path / "p", trials=9, tables="[confirm]\nseeds = 2\n")
    assert invoke("run", cwd=made).returncode == 0
    again = [t for t in stored(made) if t.is_replicate]
    assert again
    assert {(t.proposal.fidelity, t.proposal.parent) for t in again} == {(100, None)}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (TABLES + MOVABLE.replace("decay", "deca"), "schedule.movable  'deca' is not a parameter; did you mean"),
        (TABLES, "schedule.movable  is missing"),
        (TABLES.replace("at = [0.8, 0.5, 0.7]", "at = []") + MOVABLE, "schedule.at  is missing"),
        (TABLES.replace("0.7", "1.0") + MOVABLE, "schedule.at"),
        (TABLES.partition("[schedule]")[2] and "[schedule]" + TABLES.partition("[schedule]")[2] + MOVABLE,
         "needs a fidelity"),
        (TABLES + MOVABLE + 'leaves = "1 - tail"', "schedule.leaves  "),
        (TABLES + MOVABLE + 'leaves = "decay > 0.3"', 'is false; expected a part of a full run such as 1 - decay'),
        (TABLES + MOVABLE + 'leaves = "1 / 0"', "has no value: division by 0; expected a part of a full run"),
        (TABLES + 'movable = ["floor"]', "which is not in `movable`; add it there"),
    ],
)  # fmt: skip
def test_mistakes_say_what_to_write(tables: str, message: str) -> None:
    study = '[study]\nname = "a"\nmetric = "loss"\n[run]\ncommand = "x {decay} {floor} {steps}"\n'
    with pytest.raises(SpecError) as caught:
        parse_spec(tomllib.loads(f"{study}[space]{SPACE}{tables}\n[budget]\ntrials = 2\n"))
    assert message.replace("'", '"') in str(caught.value).replace("'", '"')
