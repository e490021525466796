"""`tunesmith soup` with real checkpoints and a real evaluation, which reads the weights from the file."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import pytest
from fakes.projects import command, make_project
from fakes.studies import make_spec

from tunesmith.cli.commands.soup import make_soup
from tunesmith.evaluator.files.workspace import artifacts_folder
from tunesmith.history.read import History
from tunesmith.history.write import Recorder
from tunesmith.study.errors import ProjectError, SpecError
from tunesmith.tools.checkpoint_average import CheckpointError, average, load
from tunesmith.tools.soup import Ingredient, greedy_soup

torch = pytest.importorskip("torch", reason="torch is not installed")

TRAIN = """\
import os, sys, json
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
with open(os.environ["TUNESMITH_ARTIFACTS"] + "/weights.json", "w") as file:
    json.dump([float(values["--x"]), 1.0], file)
"""
JUDGE = """\
import glob, json, struct, sys, zipfile
folder = sys.argv[1]
try:
    archive = zipfile.ZipFile(folder + "/model.pt")
    weights = struct.unpack("<2f", archive.read(next(n for n in archive.namelist() if n.endswith("/data/0"))))
except FileNotFoundError:
    weights = json.load(open(folder + "/weights.json"))
print(f"loss={abs(weights[0] - 0.5)}")
"""


def kitchen(folder: Path) -> Path:
    judge = f'[evaluate]\ncommand = "{sys.executable} -I -S judge.py {{{{artifacts}}}}"'.replace("{{", "{").replace(
        "}}", "}"
    )
    project = make_project(folder, trials=5, script=TRAIN, tables=judge)
    (project / "judge.py").write_text(JUDGE, encoding="utf-8")
    assert command("run", cwd=project).returncode == 0
    return project


def test_a_soup_is_evaluated_better_than_the_best_single_checkpoint(tmp_path: Path) -> None:
    project = kitchen(tmp_path / "p")
    with pytest.raises(ProjectError, match=r"no complete trial kept model\.pt; they kept weights\.json; name one"):
        make_soup(project, checkpoint="model.pt", top=8, history=None, as_json=False)
    with History.open(project / ".tunesmith" / "history.db") as history:
        trials = sorted(history.trials(1), key=lambda t: t.values["loss"])[:4]
    ranked = [trial.number for trial in trials]
    for number, weight in zip(ranked, (0.7, 0.25, 0.9, 0.52), strict=True):
        torch.save(
            {"w": torch.tensor([weight, 1.0])}, artifacts_folder(project / ".tunesmith" / "toy", number) / "model.pt"
        )
    found = json.loads(command("soup", "--json", cwd=project).stdout)
    # The best has 0.7, with 0.25 it is 0.475, 0.9 would spoil it, and 0.52 brings 0.49.
    assert found["numbers"] == [ranked[0], ranked[1], ranked[3]]
    assert [step["loss"] for step in found["steps"]] == pytest.approx([0.2, 0.025, 0.35 / 3, 0.01], abs=1e-6)
    assert (found["alone"], found["loss"]) == (found["steps"][0]["loss"], found["steps"][3]["loss"])
    weights = torch.load(found["file"], weights_only=True)["w"]
    assert abs(float(weights[0]) - 0.5) == pytest.approx(found["loss"], abs=1e-6)


def test_a_soup_needs_an_evaluation(tmp_path: Path) -> None:
    Recorder(tmp_path / ".tunesmith" / "history.db", make_spec(), project=str(tmp_path), now=0.0).close()
    with pytest.raises(SpecError, match="needs a table .evaluate. with a command"):
        make_soup(tmp_path, checkpoint="model.pt", top=8, history=None, as_json=False)


def test_floats_are_averaged_other_values_are_those_of_the_first_and_other_models_are_refused() -> None:
    one = {"model": {"w": torch.tensor([1.0, 2.0], dtype=torch.bfloat16), "steps": torch.tensor(3)}, "epoch": 7}
    two = {"model": {"w": torch.tensor([3.0, 6.0], dtype=torch.bfloat16), "steps": torch.tensor(9)}, "epoch": 8}
    mixed = average([one, two])
    assert mixed["model"]["w"].tolist() == [2.0, 4.0]
    assert mixed["model"]["w"].dtype is torch.bfloat16
    assert (int(mixed["model"]["steps"]), mixed["epoch"]) == (3, 7)
    with pytest.raises(CheckpointError, match=r"the checkpoint\.w has another shape"):
        average([{"w": torch.zeros(2)}, {"w": torch.zeros(3)}])
    with pytest.raises(CheckpointError, match="other names"):
        average([{"w": torch.zeros(2)}, {"v": torch.zeros(2)}])


def test_a_checkpoint_that_would_run_something_is_left_out_and_does_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (__import__("os").mkdir, (str(tmp_path / "owned"),))

    torch.save({"w": torch.zeros(1)}, tmp_path / "good.pt")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="cannot be read as plain weights"):
        load(tmp_path / "evil.pt")
    assert not (tmp_path / "owned").exists()


def test_an_evaluation_that_ignores_the_weights_is_reported(tmp_path: Path) -> None:
    some = [Ingredient(n, tmp_path / f"{n}.pt", float(n)) for n in range(3)]
    with pytest.raises(ProjectError, match="does not read these weights"):
        greedy_soup(some, lambda _: 0.25)
