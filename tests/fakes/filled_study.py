"""A study with every type of parameter and a history of finished trials, as `tunesmith run` leaves them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tunesmith.history.write import Recorder
from tunesmith.study.config.load import parse_spec
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, TrialState, Usage

STUDY = """\
[study]
name = "digits"
metric = "val_loss"
{study}
[run]
command = "{python} train.py --lr {{lr}} --hidden {{hidden}} --opt {{opt}} --momentum {{momentum}} --batch {{batch}}"
[space]
lr = {{ type = "float", low = 1e-5, high = 1.0, log = true, default = 1e-3 }}
hidden = {{ type = "int", low = 8, high = 512, log = true, default = 64 }}
layers = {{ type = "int", low = 1, high = 4 }}
dropout = {{ type = "float", low = 0.0, high = 0.5, step = 0.1 }}
batch = {{ type = "choice", choices = [16, 32, 64, 128], ordered = true, default = 32 }}
norm = {{ type = "bool" }}
opt = {{ type = "choice", choices = ["adam", "sgd"], default = "adam" }}
momentum = {{ type = "float", low = 0.0, high = 0.99{when} }}
{tables}
"""
TRAIN = """\
import math, sys
v = dict(zip(sys.argv[1::2], sys.argv[2::2]))
loss = abs(math.log10(float(v["--lr"])) + 2) + abs(math.log2(int(v["--hidden"])) - 7) / 4
print(f"val_loss={loss + (0.1 if v['--opt'] == 'sgd' else 0.0)}")
"""


def loss(params: Mapping[str, Value]) -> float:
    """Return about what TRAIN prints; least at lr 0.01, hidden 128, opt adam."""
    found = abs(np.log10(float(params["lr"])) + 2) + abs(np.log2(int(params["hidden"])) - 7) / 4  # type: ignore[arg-type]
    return float(found + (0.1 if params["opt"] == "sgd" else 0.0))


def write_study(
    folder: Path, *, study: str = "", when: str = ", when = \"opt == 'sgd'\"", tables: str = "", python: str = "python"
) -> Path:
    """Write study.toml and train.py and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = STUDY.format(study=study, when=when, tables=tables, python=python)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    return folder


def fill(folder: Path, count: int, *, seed: int = 0, failures: int = 1, sign: float = 1.0) -> None:
    """Put `count` random finished trials into the study's history, the last `failures` of them failed."""
    spec = parse_spec(tomllib.loads((folder / "study.toml").read_text(encoding="utf-8")))
    rng = np.random.default_rng(seed)
    (folder / ".tunesmith").mkdir(exist_ok=True)
    with Recorder(folder / ".tunesmith" / "history.db", spec, project=str(folder), now=1000.0) as recorder:
        for number in range(count):
            params = spec.space.from_unit(rng.random(len(spec.space)).tolist())
            waiting = recorder.record_proposal(Proposal(params=params, source=Source.SAMPLER, seed=number), 1000.0)
            running = recorder.record_start(waiting, 0, 1001.0)
            if number >= count - failures:
                broken = Failure(kind=FailureKind.OOM, reason="CUDA out of memory")
                outcome = Outcome(state=TrialState.FAILED, failure=broken)
            else:
                values = {o.metric: sign * loss(params) + 0.1 * i for i, o in enumerate(spec.objectives)}
                outcome = Outcome(state=TrialState.COMPLETE, values=values, usage=Usage(wall_s=2.0))
            recorder.record_outcome(running, outcome, 1003.0)


def as_json(text: str) -> dict[str, object]:
    """Return what a command with --json printed."""
    found: dict[str, object] = json.loads(text)
    return found
