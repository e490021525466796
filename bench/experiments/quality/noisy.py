"""The cost of noise: planners choose a configuration from noisy values, and their choice is scored by its true value.

    python bench/experiments/quality/noisy.py [--seeds 6] [--trials 100] [--repeats 2] [--data FOLDER]

Noise is normal; its standard deviation is a fraction of the signal's, that of random configurations with values clipped
at their 90% quantile. Optuna's samplers choose `study.best_trial`, the best measured value; ours chooses what a study
without [confirm] names as its best. Regret is normalized: 0 for the best configuration, 1 for a median random one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tunesmith.agent.planner.arbiter import Arbiter
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.bench.planners import find_planner
from tunesmith.bench.runner import one_thread
from tunesmith.bench.statistics import bootstrap
from tunesmith.bench.task import WORST_REGRET, Task
from tunesmith.bench.tasks import task_makers
from tunesmith.study.trials.replicates.seeds import derived_seed, noise_seed
from tunesmith.study.trials.trial import Failure, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import winner

TASKS = ("branin", "hartmann6", "skl_svm_digits", "skl_rf_digits", "skl_mlp_breast_cancer")
LEVELS = (0.1, 0.3, 1.0)
PEERS = ("optuna-tpe", "optuna-gp", "random")
MARKS = (25, 50, 100)
DRAWN = 400
"""Number of random configurations from which the signal's standard deviation is known."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run: `noise` is a fraction of the signal's standard deviation."""

    planner: str
    task: str
    noise: float
    seed: int
    trials: int
    repeats: int
    folders: tuple[Path, ...]

    def noise_rng(self) -> np.random.Generator:
        """Return the source of its noise."""
        return np.random.default_rng(derived_seed(self.seed, "noise", self.task))


def regrets(job: Job) -> list[float]:
    """Return the true regret of the chosen configuration after each of the MARKS."""
    task = task_makers(job.folders)[job.task]()
    spread = job.noise * _signal(task)
    return _own(job, task, spread) if job.planner == "bayes" else _peer(job, task, spread)


def _signal(task: Task) -> float:
    """Return the standard deviation of random configurations; the worst tenth of them counts as its best."""
    rng = np.random.default_rng(0)
    drawn = [task.evaluate(task.space.from_unit(rng.random(len(task.space)).tolist()), 0) for _ in range(DRAWN)]
    losses = task.objective.sign * np.array([value for value in drawn if not isinstance(value, Failure)])
    return float(np.minimum(losses, np.quantile(losses, 0.9)).std())


def _peer(job: Job, task: Task, spread: float) -> list[float]:
    planner, rng, sign = find_planner(job.planner)(task, job.seed), job.noise_rng(), task.objective.sign
    seen, true, found = np.inf, np.nan, []
    for number in range(1, job.trials + 1):
        value = task.evaluate(planner.ask(), job.seed)
        if isinstance(value, Failure):
            planner.fail(value)
        else:
            measured = value + spread * float(rng.normal())
            planner.tell(measured)
            if sign * measured < seen:
                seen, true = sign * measured, value
        if number in MARKS:
            found.append(task.regret(true))
    return found


def _own(job: Job, task: Task, spread: float) -> list[float]:
    rng = job.noise_rng()
    done: list[Trial] = []
    found: list[float] = []

    def view() -> StudyView:
        return StudyView(
            space=task.space, objectives=(task.objective,), trials=tuple(done), number=len(done), seed=job.seed
        )

    def run(proposal: Proposal) -> None:
        value = task.evaluate(proposal.params, job.seed)
        if isinstance(value, Failure):
            outcome = Outcome(state=TrialState.FAILED, failure=value)
        else:
            measured = value + spread * float(rng.normal())
            outcome = Outcome(state=TrialState.COMPLETE, values={task.objective.metric: measured, "true": value})
        done.append(Trial(number=len(done), proposal=proposal, state=outcome.state, outcome=outcome))

    arbiter = Arbiter(BayesSampler())
    for number in range(1, job.trials + 1):
        run(arbiter.choose(view()))
        for index in range(job.repeats if number == 1 else 0):
            seed = noise_seed(job.seed, index)
            run(replace(done[0].proposal, source=Source.CONFIRM, replicate_of=0, seed=seed))
        if number in MARKS:
            chosen = winner(done, view())
            found.append(WORST_REGRET if chosen is None else task.regret(chosen.trial.values["true"]))
    return found


def main() -> None:
    """Run everything and print a line for each planner and level of noise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--planner", action="append", choices=["bayes", *PEERS])
    parser.add_argument("--task", action="append")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--trials", type=int, default=MARKS[-1])
    parser.add_argument("--repeats", type=int, default=0, help="replicates of the default; only our sampler uses them")
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    with one_thread(), ProcessPoolExecutor(args.jobs) as pool:
        for noise in LEVELS:
            for planner in args.planner or ["bayes", *PEERS]:
                jobs = [
                    Job(planner, task, noise, seed, args.trials, args.repeats, tuple(args.data))
                    for task in args.task or TASKS
                    for seed in range(args.seeds)
                ]
                print(
                    f"noise {noise:<4} {planner:<11} {_format(list(pool.map(regrets, jobs)), len(args.task or TASKS))}"
                )


def _format(found: Sequence[Sequence[float]], tasks: int) -> str:
    """Return the mean at each mark with its interval over seeds and tasks."""
    by_task = np.array(found).reshape(tasks, -1, len(found[0]))
    parts = []
    for index, mark in enumerate(MARKS[: by_task.shape[2]]):
        interval = bootstrap(list(by_task[:, :, index]))
        parts.append(f"{mark}: {interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]")
    return "   ".join(parts)


if __name__ == "__main__":
    main()
