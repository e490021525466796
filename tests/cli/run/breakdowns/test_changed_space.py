"""After the space changed, only what belongs to it is compared, confirmed, printed and repeated."""

import json
import shlex
from pathlib import Path

import pytest
from fakes.projects import invoke

from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.study.config.load import load_spec
from tunesmith.study.trials.replicates.seeds import choosing_seed
from tunesmith.study.trials.trial import Outcome, Proposal, Source, TrialState

TRAIN = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, required=True)
p.add_argument("--layers", type=int, default=1)
p.add_argument("--wd", type=float, default=0.0)
p.add_argument("--opt", default="adam")
p.add_argument("--seed", type=int)
a = p.parse_args()
print(f"val_loss={abs(a.lr - 0.5) + a.wd + (5.0 if a.layers == 1 else 0.0) + a.seed % 7 / 1e4}")
"""
LAYERS = 'layers = { type = "int", low = 2, high = 4, default = 2 }'
LR = 'lr = { type = "float", low = 0.0, high = 1.0, default = 0.2 }'
WD = 'wd = { type = "float", low = 0.0, high = 0.1, default = 0.05 }'
RENAMED = ("--layers {n_layers}", LR, LAYERS.replace("layers", "n_layers", 1))
CHANGES = {
    "renamed": RENAMED,
    "narrowed": ("--layers {layers}", LR.replace("high = 1.0", "high = 0.3"), LAYERS),
    "added": (
        "--layers {layers} --wd {wd}",
        LR,
        LAYERS,
        'wd = { type = "float", low = 0.0, high = 0.1, default = 0.05 }',
    ),
    "removed": ("--layers 3", LR),
    "made conditional": (
        "--layers {layers} --opt {opt}",
        LR,
        'opt = { type = "choice", choices = ["adam", "sgd"], default = "adam" }',
        LAYERS.replace(" }", ", when = \"opt == 'sgd'\" }"),
    ),
}


def tunesmith(command: str, project: Path, *options: str) -> str:
    done = invoke(command, str(project), *options, cwd=project)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_study(project: Path, options: str, *space: str, trials: int) -> None:
    """Write the script and a study of it."""
    (project / "train.py").write_text(TRAIN)
    (project / "study.toml").write_text(
        f'[study]\nname = "s"\nmetric = "val_loss"\n[run]\ncommand = "python train.py --lr {{lr}} --seed {{seed}} '
        f'{options}"\nparallel = 1\n[space]\n'
        + "\n".join(space)
        + f"\n[budget]\ntrials = {trials}\n[confirm]\ntop = 1\nseeds = 2\n"
    )


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_after_a_change_only_trials_of_the_present_space_are_named(change: str, tmp_path: Path) -> None:
    write_study(tmp_path, "--layers {layers}", LR, LAYERS, trials=4)
    tunesmith("run", tmp_path)
    options, *space = CHANGES[change]
    write_study(tmp_path, options, *space, trials=7)
    tunesmith("run", tmp_path)
    spec = load_spec(tmp_path / "study.toml")
    status = json.loads(tunesmith("status", tmp_path, "--json"))
    for named in (status["best"], status["default"]):
        assert spec.space.contains(named["params"])
    assert status["default"]["params"] == spec.space.default
    with History.open(tmp_path / ".tunesmith" / "history.db") as history:
        trials = history.trials(history.study("s").id)
    later = [t for t in trials if t.is_replicate and t.number > 4 and spec.space.contains(t.params)]
    assert later or status["best"]["trial"] == status["default"]["trial"]
    assert all(t.params == trials[t.proposal.replicate_of or 0].params for t in trials if t.is_replicate)


def test_a_replicate_that_waited_while_the_space_changed_does_not_run(tmp_path: Path) -> None:
    write_study(tmp_path, "--layers {layers}", LR, LAYERS, trials=2)
    spec = load_spec(tmp_path / "study.toml")
    path = tmp_path / ".tunesmith" / "history.db"
    path.parent.mkdir()
    first = Proposal(params={"lr": 0.2, "layers": 2}, source=Source.DEFAULT, seed=1)
    again = Proposal(params={"lr": 0.2, "layers": 2}, source=Source.CONFIRM, seed=choosing_seed(0, 1), replicate_of=0)
    with Recorder(path, spec, project=str(tmp_path.resolve()), now=0.0) as recorder:
        running = recorder.record_start(recorder.record_proposal(first, 0.0), 0, 0.0)
        recorder.record_outcome(running, Outcome(state=TrialState.COMPLETE, values={"val_loss": 0.3}), 0.0)
        recorder.record_proposal(again, 0.0)
    write_study(tmp_path, *RENAMED, trials=3)
    text = tunesmith("run", tmp_path)
    assert "trial 1 does not run: it lies outside the present space" in text
    assert "1 earlier trial lies outside the present space" in text
    with History.open(path) as history:
        trial = history.trial(history.study("s").id, 1)
    assert trial is not None
    assert trial.state is TrialState.STOPPED
    command = next(line for line in text.splitlines() if line.startswith("    python train.py"))
    assert "--layers" in shlex.split(command)
