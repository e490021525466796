"""Studies as a run would leave them, from formulas instead of training; the same seed gives the same study."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from tunesmith.study.config.budget import Spent
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.replicates.seeds import confirming_seed
from tunesmith.study.trials.trial import (
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Source,
    Trial,
    TrialState,
    Usage,
)
from tunesmith.tools.report import ReportInput

BEGAN = 1_790_000_000.0
EPOCHS = 27
HOSTILE = "<script>document.title='owned'</script></script><img src=x onerror=alert(1)>{{ 7*7 }} \u2028 %{x}"

SPACE: dict[str, Any] = {
    "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "default": 1e-3},
    "hidden": {"type": "int", "low": 8, "high": 512, "log": True, "default": 64},
    "layers": {"type": "int", "low": 1, "high": 3, "default": 1},
    "optimizer": {"type": "choice", "choices": ["adam", "sgd"], "default": "adam"},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "default": 0.0, "when": "optimizer == 'sgd'"},
    "dropout": {"type": "float", "low": 0.0, "high": 0.7, "default": 0.0},
    "batch_size": {"type": "choice", "choices": [16, 32, 64, 128], "ordered": True, "default": 64},
    "nesterov": {"type": "bool", "default": False, "when": "optimizer == 'sgd'"},
}


def record(**changes: Any) -> StudyRecord:
    """Return the record of a study like examples/digits; tables of study.toml may be replaced."""
    document = {
        "study": {"name": "digits", "metric": "val_loss", "description": "Two-layer MLP on 8x8 digit images"},
        "run": {"command": "python train.py --lr {lr} --hidden {hidden} --seed {seed}", "env": {"TOKEN": "s3cret"}},
        "fidelity": {"name": "epochs", "min": 1, "max": EPOCHS},
        "space": SPACE,
        "budget": {"trials": 40, "hours": 8},
        "confirm": {"top": 2, "seeds": 5},
    }
    spec = parse_spec({**document, **changes})
    spent = Spent(trials=40, hours=1.234, gpu_hours=0.5)
    return StudyRecord(
        id=1, name=spec.study.name, spec=spec, project="/home/me/digits", created_at=BEGAN, spent=spent,
        ended_by="trials",
    )  # fmt: skip


def study(count: int = 40, *, seed: int = 0, confirm: bool = True, **changes: Any) -> ReportInput:
    """Return a study of `count` trials with failures, stopped trials and curves; the default runs first."""
    chance = random.Random(seed)
    rec = record(**changes)
    trials, curves = [], {}
    for number in range(count):
        trial, curve = _trial(rec, number, chance)
        trials.append(trial)
        curves[number] = curve
    if confirm:
        trials += _replicates(rec, trials, chance)
    return report(rec, trials, curves)


def report(rec: StudyRecord, trials: list[Trial], curves: Mapping[int, list[Observation]] | None = None) -> ReportInput:
    """Return the input of a report with a command line."""
    return ReportInput(
        record=rec, trials=trials, curves=curves or {}, generated_at=BEGAN + 7200
    )  # fmt: skip


def complete(number: int, values: Mapping[str, float], *, source: Source = Source.SAMPLER, of: int | None = None,
             params: Mapping[str, Any] | None = None) -> Trial:  # fmt: skip
    """Return a complete trial with these values."""
    seed = number if of is None else confirming_seed(0, number)
    proposal = Proposal(params=params or {"x": 0.5}, source=source, seed=seed, replicate_of=of)
    outcome = Outcome(state=TrialState.COMPLETE, values=dict(values), usage=Usage(wall_s=31.0))
    return Trial(number=number, proposal=proposal, state=TrialState.COMPLETE, outcome=outcome, started_at=BEGAN,
                 ended_at=BEGAN + 31)  # fmt: skip


def failed(number: int, kind: FailureKind, reason: str, *, tail: str = "", params: Mapping[str, Any] | None = None,
           source: Source = Source.SAMPLER) -> Trial:  # fmt: skip
    """Return a failed trial."""
    outcome = Outcome(state=TrialState.FAILED, failure=Failure(kind=kind, reason=reason, tail=tail))
    proposal = Proposal(params=params or {"x": 0.5}, source=source, seed=number)
    return Trial(number=number, proposal=proposal, state=TrialState.FAILED, outcome=outcome, started_at=BEGAN,
                 ended_at=BEGAN + 4)  # fmt: skip


def _trial(rec: StudyRecord, number: int, chance: random.Random) -> tuple[Trial, list[Observation]]:
    space = rec.spec.space
    focus = 0.1 + 0.8 * math.exp(-number / 12)
    good = {"lr": 3e-3, "hidden": 290, "layers": 2, "optimizer": "adam", "dropout": 0.2, "batch_size": 32}
    centre = space.to_unit(space.clip(good))
    moved = [min(max(chance.gauss(c, focus), 0), 1) if chance.random() > 0.2 else chance.random() for c in centre]
    params = dict(space.default or {}) if number == 0 else space.from_unit(moved)
    source = Source.DEFAULT if number == 0 else chance.choice([Source.SAMPLER, Source.SAMPLER, Source.LLM])
    proposal = Proposal(params=params, source=source, seed=number, fidelity=float(EPOCHS), rationale="wider may help")
    state, failure = _fate(params, number, chance)
    final = _loss(params) * math.exp(chance.gauss(0, 0.03))
    last = {TrialState.COMPLETE: EPOCHS, TrialState.STOPPED: 9, TrialState.FAILED: 4}[state]
    curve = [
        Observation("val_loss", float(step), final + (2.3 - final) * math.exp(-step / 4) + chance.gauss(0, 0.004),
                    BEGAN + step)
        for step in range(1, last + 1)
    ]  # fmt: skip
    values = {} if failure else {"val_loss": curve[-1].value, "val_acc": 1 - curve[-1].value / 3,
                                 "latency_ms": 2 + params.get("hidden", 64) / 40 * params.get("layers", 1)}  # fmt: skip
    usage = Usage(wall_s=last * 1.1, cpu_s=last * 1.0, peak_rss_gib=0.4)
    note = "3% chance to become the best" if state is TrialState.STOPPED else ""
    outcome = Outcome(state=state, values=values, failure=failure, note=note, usage=usage)
    began = BEGAN + number * 30
    return Trial(number=number, proposal=proposal, state=state, outcome=outcome, slot=number % 2, created_at=began,
                 started_at=began, ended_at=began + usage.wall_s), curve  # fmt: skip


def _fate(params: Mapping[str, Any], number: int, chance: random.Random) -> tuple[TrialState, Failure | None]:
    if number and params["lr"] > 0.2:
        return TrialState.FAILED, Failure(kind=FailureKind.NAN, reason="val_loss is nan at step 4", tail="loss nan\n")
    if number and chance.random() < 0.05:
        tail = 'Traceback (most recent call last):\n  File "train.py", line 40\nRuntimeError: CUDA out of memory'
        return TrialState.FAILED, Failure(kind=FailureKind.OOM, reason="CUDA out of memory at step 4", tail=tail)
    if number > 5 and chance.random() < 0.2:
        return TrialState.STOPPED, None
    return TrialState.COMPLETE, None


def _loss(params: Mapping[str, Any]) -> float:
    lr = math.log10(params["lr"]) - math.log10(3e-3)
    width = math.log2(params["hidden"] / 290)
    return 0.2 + 0.08 * lr**2 + 0.02 * width**2 + 0.1 * (params["dropout"] - 0.2) ** 2 + 0.01 * params["layers"]


def _replicates(rec: StudyRecord, trials: list[Trial], chance: random.Random) -> list[Trial]:
    done = sorted((t for t in trials if t.state is TrialState.COMPLETE), key=lambda t: t.values["val_loss"])
    chosen = list({t.number: t for t in [trials[0], *done[:2]]}.values())
    found: list[Trial] = []
    for original in chosen:
        for _ in range(5):
            noise = chance.gauss(0.004, 0.003)
            values = {name: value + noise for name, value in original.values.items()}
            found.append(complete(len(trials) + len(found), values, source=Source.CONFIRM, of=original.number,
                                  params=original.params))  # fmt: skip
    return found
