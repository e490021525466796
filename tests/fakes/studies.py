"""Small studies for tests: a spec in one line, proposals and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, TrialState, Usage

SPACE = {
    "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "default": 1e-3},
    "hidden": {"type": "int", "low": 8, "high": 512, "log": True, "default": 64},
    "optimizer": {"type": "choice", "choices": ["adam", "sgd"], "default": "adam"},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": "optimizer == 'sgd'"},
}


def make_spec(**tables: Mapping[str, Any]) -> StudySpec:
    """Return a valid spec; each given table is merged into the usual one."""
    usual: dict[str, dict[str, Any]] = {
        "study": {"name": "small", "metric": "loss"},
        "run": {"command": "python train.py --lr {lr}"},
        "space": SPACE,
        "budget": {"trials": 10},
    }
    for name, table in tables.items():
        usual[name] = {**usual.get(name, {}), **table} if name != "space" else dict(table)
    return parse_spec(usual)


def proposal(lr: float = 0.01, *, source: Source = Source.SAMPLER, replicate_of: int | None = None) -> Proposal:
    """Return a valid proposal for the usual space."""
    params = {"lr": lr, "hidden": 64, "optimizer": "adam"}
    return Proposal(params=params, source=source, seed=7, rationale="because", replicate_of=replicate_of)


def complete(loss: float, **others: float) -> Outcome:
    """Return the outcome of a complete trial."""
    usage = Usage(wall_s=2.0, cpu_s=1.5, gpu_s=0.5, peak_rss_gib=0.25)
    return Outcome(state=TrialState.COMPLETE, values={"loss": loss, **others}, usage=usage)


def failed(kind: FailureKind = FailureKind.CRASH, reason: str = "it broke", tail: str = "") -> Outcome:
    """Return the outcome of a trial that failed."""
    return Outcome(state=TrialState.FAILED, failure=Failure(kind=kind, reason=reason, tail=tail))
