"""What luck costs: tasks whose values are known, shown to every planner with noise, and judged by what they chose.

Run it as `python bench/experiments/quality/noisy.py [--seeds 6] [--trials 100] [--repeats 2] [--data FOLDER]`. Noise
is normal, its
standard deviation a share of the distance from a median random configuration to the best. Optuna's samplers choose what
`study.best_trial` is, the best value that they saw; ours what its model expects most of, as before confirmation. The
regret is that of the true value: 0 for the best configuration, 1 for a median random one.
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
from tunesmith.bench.task import Task
from tunesmith.bench.tasks import task_makers
from tunesmith.study.trials.seeds import derived_seed, noise_seed
from tunesmith.study.trials.trial import Failure, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView

TASKS = ("branin", "hartmann6", "skl_svm_digits", "skl_rf_digits", "skl_mlp_breast_cancer")
LEVELS = (0.1, 0.3, 1.0)
PEERS = ("optuna-tpe", "optuna-gp", "random")
MARKS = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class Job:
    """One run: `noise` is a share of the distance from a median random configuration to the best."""

    planner: str
    task: str
    noise: float
    seed: int
    trials: int
    repeats: int
    folders: tuple[Path, ...]

    def chance(self) -> np.random.Generator:
        """Return where its noise comes from."""
        return np.random.default_rng(derived_seed(self.seed, "noise", self.task))


def regrets(job: Job) -> list[float]:
    """Return the true regret of what is chosen after each of the MARKS."""
    task = task_makers(job.folders)[job.task]()
    spread = job.noise * abs(task.median_random - task.best)
    return _own(job, task, spread) if job.planner == "bayes" else _peer(job, task, spread)


def _peer(job: Job, task: Task, spread: float) -> list[float]:
    planner, chance, sign = find_planner(job.planner)(task, job.seed), job.chance(), task.objective.sign
    seen, true, found = np.inf, np.nan, []
    for number in range(1, job.trials + 1):
        value = task.evaluate(planner.ask(), job.seed)
        if isinstance(value, Failure):
            planner.fail(value)
        else:
            measured = value + spread * float(chance.normal())
            planner.tell(measured)
            if sign * measured < seen:
                seen, true = sign * measured, value
        if number in MARKS:
            found.append(task.regret(true))
    return found


def _own(job: Job, task: Task, spread: float) -> list[float]:
    sampler, chance, sign = BayesSampler(), job.chance(), task.objective.sign
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
            measured = value + spread * float(chance.normal())
            outcome = Outcome(state=TrialState.COMPLETE, values={task.objective.metric: measured, "true": value})
        done.append(Trial(number=len(done), proposal=proposal, state=outcome.state, outcome=outcome))

    arbiter = Arbiter(sampler)
    for number in range(1, job.trials + 1):
        run(arbiter.choose(view()))
        for index in range(job.repeats if number == 1 else 0):
            seed = noise_seed(job.seed, index)
            run(replace(done[0].proposal, source=Source.CONFIRM, replicate_of=0, seed=seed))
        if number in MARKS:
            able = [t for t in done if t.state is TrialState.COMPLETE and not t.is_replicate]
            able.sort(key=lambda t: sign * t.values[task.objective.metric])
            found.append(task.regret(sampler.ranked(view(), able)[0].values["true"]))
    return found


def main() -> None:
    """Run everything and print a line for each planner and level of noise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--planner", action="append", choices=["bayes", *PEERS])
    parser.add_argument("--task", action="append")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--trials", type=int, default=MARKS[-1])
    parser.add_argument("--repeats", type=int, default=0, help="of the default, which only ours makes use of")
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
                print(f"noise {noise:<4} {planner:<11} {_told(list(pool.map(regrets, jobs)), len(args.task or TASKS))}")


def _told(found: Sequence[Sequence[float]], tasks: int) -> str:
    """Return the mean at each mark with its interval over seeds and tasks."""
    by_task = np.array(found).reshape(tasks, -1, len(found[0]))
    parts = []
    for index, mark in enumerate(MARKS[: by_task.shape[2]]):
        told = bootstrap(list(by_task[:, :, index]))
        parts.append(f"{mark}: {told.mean:.3f} [{told.low:.3f}, {told.high:.3f}]")
    return "   ".join(parts)


if __name__ == "__main__":
    main()
