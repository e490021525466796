"""A bench for single trials: a project in a folder, trials started by the real evaluator, and what they report."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.studies import make_spec

from tunesmith.evaluator.evaluation import Evaluation
from tunesmith.evaluator.evaluator import Evaluator
from tunesmith.evaluator.executors.slots import Slot
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState

PYTHON = f"{sys.executable} -I -S"


@dataclass
class Bench:
    """A project in a folder, and what its trials report."""

    root: Path
    seen: list[Observation] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def study(self) -> Path:
        return self.root / "study"

    def write(self, text: str, name: str = "train.py") -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def evaluator(self, run: Mapping[str, Any], **tables: Any) -> Evaluator:
        self.project.mkdir(exist_ok=True)
        return Evaluator(make_spec(run=run, **tables), project=self.project, folder=self.study)

    def start(self, evaluator: Evaluator, number: int = 0, slot: Slot | None = None, **params: Any) -> Evaluation:
        values = {"lr": 0.01, "hidden": 64, "optimizer": "adam", **params}
        proposal = Proposal(params=values, source=Source.SAMPLER, seed=7)
        trial = Trial(number=number, proposal=proposal, state=TrialState.RUNNING)
        return evaluator.start(trial, slot or Slot(index=0), self.seen.append)

    def run(self, text: str = "", /, command: str = f"{PYTHON} train.py", **run: Any) -> Outcome:
        if text:
            self.write(text)
        return finish(self.start(self.evaluator({"command": command, **run})))


def finish(evaluation: Evaluation, timeout_s: float = 30) -> Outcome:
    deadline = time.monotonic() + timeout_s
    while (outcome := evaluation.poll()) is None:
        assert time.monotonic() < deadline, "the trial does not end"
        time.sleep(0.01)
    return outcome


def wait_until(true: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
