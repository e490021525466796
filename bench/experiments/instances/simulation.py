"""Races on folds against fixed numbers of folds: true regret of the choice after 100 to 800 runs on single folds.

    python bench/experiments/instances/simulation.py --task diabetes --method race --seeds 0:20

The methods are `race` (Tunesmith's own, as `tunesmith run` with one slot) and a number of folds, the same for every
configuration. All use the sampler with its default settings, or random search (`--sampler random`). The tables of
measure.py are interpolated between their grid points; hartmann6 is the function with 20 made-up instances: their
effects and the noise of a run are normal, half and a tenth of the distance from a median configuration to the best.
Regret is normalized: 0 is the best point, 1 a median one. With `--aggregate worst` or `p95` that is what counts of a
configuration's losses; it works on the tables.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.agent.sampler.alternatives.random import RandomSampler
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.scheduler.racing import Race
from tunesmith.bench.statistics import bootstrap
from tunesmith.bench.task import Task
from tunesmith.bench.tasks import task_makers
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.space_tables import space_document
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.replicates.configurations import with_instances
from tunesmith.study.trials.replicates.instances import Aggregate, aggregated
from tunesmith.study.trials.trial import Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.winner import incumbent
from tunesmith.tools.control.study_reader import study_view

MARKS = (100, 200, 400, 800)
METRIC = "loss"
TABLES = ("digits", "diabetes")
FOLDS = 20
EFFECT, NOISE = 0.5, 0.1
"""Standard deviations for made-up instances, as parts of the distance from a median configuration to the best."""

Array = NDArray[np.float64]
Samplers = type[BayesSampler] | type[RandomSampler]
SAMPLERS: Mapping[str, Samplers] = {"bayes": BayesSampler, "random": RandomSampler}


@dataclass(frozen=True, slots=True)
class FoldTable:
    """The measured losses of a task: (C, gamma, fold), at the values of C and gamma."""

    losses: Array
    costs: Array
    gammas: Array
    aggregate: Aggregate
    sampler: Samplers

    @property
    def space(self) -> Mapping[str, Any]:
        """The parameters, as tables of [space]."""
        ranges = {"C": self.costs, "gamma": self.gammas}
        return {
            name: {"type": "float", "low": float(grid[0]), "high": float(grid[-1]), "log": True}
            for name, grid in ranges.items()
        }

    @classmethod
    def read(cls, task: str, aggregate: Aggregate, sampler: Samplers) -> FoldTable:
        """Read the table of a task."""
        with np.load(Path(__file__).with_name(f"svm_{task}.npz")) as file:
            return cls(file["loss"], file["C"], file["gamma"], aggregate, sampler)

    def at(self, params: Mapping[str, Value]) -> Array:
        """(fold,) losses of a configuration, linear between the four points around it on a log scale."""
        row, right = _place(float(params["C"] or 0), self.costs)
        column, up = _place(float(params["gamma"] or 0), self.gammas)
        near, far = self.losses[row], self.losses[row + 1]
        left = (1 - up) * near[column] + up * near[column + 1]
        return np.asarray((1 - right) * left + right * ((1 - up) * far[column] + up * far[column + 1]))

    def regret(self, params: Mapping[str, Value]) -> float:
        """Return the normalized regret of a configuration's mean over all folds, or of what else counts."""
        grid = np.array([[aggregated(cell.tolist(), self.aggregate) for cell in row] for row in self.losses])
        own = aggregated(self.at(params).tolist(), self.aggregate)
        return float((own - grid.min()) / (np.median(grid) - grid.min()))


@dataclass(frozen=True, slots=True)
class NoisyFunction:
    """A function with additive effects of instances and noise that is the same for the same arguments."""

    task: Task
    effects: Array
    spread: float
    sampler: Samplers
    aggregate: Aggregate = "mean"

    @property
    def space(self) -> Mapping[str, Any]:
        """The parameters, as tables of [space]."""
        return space_document(self.task.space)

    @classmethod
    def make(cls, task: str, sampler: Samplers) -> NoisyFunction:
        """Make one of the functions of `tunesmith bench`."""
        made = task_makers()[task]()
        size = made.median_random - made.best
        return cls(made, EFFECT * size * np.random.default_rng(0).normal(size=FOLDS), NOISE * size, sampler)

    def at(self, params: Mapping[str, Value]) -> Array:
        """(instance,) losses of a configuration."""
        text = json.dumps(sorted(params.items()))
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
        return np.asarray(self._mean(params) + self.effects + self.spread * rng.normal(size=FOLDS))

    def regret(self, params: Mapping[str, Value]) -> float:
        """Return the normalized regret of the function itself."""
        return self.task.regret(self._mean(params))

    def _mean(self, params: Mapping[str, Value]) -> float:
        value = self.task.evaluate(params, 0)
        assert isinstance(value, float)  # noqa: S101  # functions do not fail
        return value


def _place(value: float, grid: Array) -> tuple[int, float]:
    position = math.log(value / grid[0]) / math.log(grid[-1] / grid[0]) * (len(grid) - 1)
    below = min(max(int(position), 0), len(grid) - 2)
    return below, position - below


def regrets(table: FoldTable | NoisyFunction, method: str, seed: int, runs: int) -> dict[int, float]:
    """Return the regret of the choice at each mark."""
    steps = _race(table, seed) if method == "race" else _fixed(table, seed, int(method))
    marks = [mark for mark in MARKS if mark <= runs]
    return {mark: table.regret(next(steps)) for mark in marks}


def _race(table: FoldTable | NoisyFunction, seed: int) -> Iterator[Mapping[str, Value]]:
    """Yield the choice at each mark."""
    spec = _spec(table, seed, {"instances": {"values": list(range(FOLDS)), "aggregate": table.aggregate}})
    race, sampler, raw, trials = Race(spec), table.sampler(), list[Trial](), list[Trial]()
    assert spec.instance_set is not None  # noqa: S101  # it was given above
    while True:
        proposal = race.next_run(trials) or race.placed(_sampled(sampler, spec, trials), trials)
        raw.append(_ended(len(raw), proposal, float(table.at(proposal.params)[int(proposal.instance)])))
        trials = with_instances(raw, spec.instance_set, spec.objectives[0])
        if len(raw) in MARKS:
            yield _choice(trials, spec)


def _fixed(table: FoldTable | NoisyFunction, seed: int, folds: int) -> Iterator[Mapping[str, Value]]:
    """Yield the same for configurations that all run on the same folds."""
    spec, sampler, trials = _spec(table, seed, {}), table.sampler(), list[Trial]()
    chosen = np.random.default_rng(seed).permutation(FOLDS)[:folds]
    while True:
        proposal = _sampled(sampler, spec, trials)
        losses = table.at(proposal.params)[chosen].tolist()
        trials.append(_ended(len(trials), proposal, aggregated(losses, table.aggregate)))
        if any(len(trials) * folds <= mark < (len(trials) + 1) * folds for mark in MARKS):
            yield _choice(trials, spec)


def _spec(table: FoldTable | NoisyFunction, seed: int, tables: Mapping[str, Any]) -> StudySpec:
    return parse_spec(
        {
            "study": {"name": "folds", "metric": METRIC, "seed": seed},
            "run": {"command": "(a Python function)"},
            "space": table.space,
            **tables,
        }
    )


def _sampled(sampler: BayesSampler | RandomSampler, spec: StudySpec, trials: list[Trial]) -> Proposal:
    return Proposal(params=sampler.suggest(study_view(spec, trials)).params, source=Source.SAMPLER, seed=0)


def _ended(number: int, proposal: Proposal, loss: float) -> Trial:
    outcome = Outcome(state=TrialState.COMPLETE, values={METRIC: loss})
    return Trial(number=number, proposal=proposal, state=outcome.state, outcome=outcome)


def _choice(trials: list[Trial], spec: StudySpec) -> Mapping[str, Value]:
    best = incumbent(trials, spec)
    assert best is not None  # noqa: S101  # every trial is complete
    return best.params


def main() -> None:
    """Print each seed's regrets as JSON, then their means with 95% intervals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=(*TABLES, "hartmann6"), default="diabetes")
    parser.add_argument("--method", default="race", help="race, or a number of folds")
    parser.add_argument("--seeds", default="0:20", help="first:end")
    parser.add_argument("--runs", type=int, default=MARKS[-1])
    parser.add_argument("--sampler", choices=tuple(SAMPLERS), default="bayes")
    parser.add_argument("--aggregate", choices=("mean", "p95", "worst"), default="mean")
    options = parser.parse_args()
    if options.aggregate != "mean" and options.task not in TABLES:
        parser.error(f"--aggregate {options.aggregate} works on {', '.join(TABLES)}")
    sampler = SAMPLERS[options.sampler]
    table = (
        FoldTable.read(options.task, options.aggregate, sampler)
        if options.task in TABLES
        else NoisyFunction.make(options.task, sampler)
    )
    first, end = map(int, options.seeds.split(":"))
    found = []
    for seed in range(first, end):
        found.append(regrets(table, options.method, seed, options.runs))
        line = {"task": options.task, "method": options.method, "seed": seed, "regret": found[-1]}
        print(json.dumps(line), flush=True)
    for mark in found[0]:
        values = [one[mark] for one in found if mark in one]
        over = bootstrap([np.array(values)])
        interval = f"{over.mean:.4f} [{over.low:.4f}, {over.high:.4f}]"
        print(f"{options.task} {options.method} at {mark}: {interval} of {len(values)} seeds")


if __name__ == "__main__":
    main()
