"""Compares a scripted expert together with the sampler, the expert by itself and the sampler by itself.

    python bench/experiments/quality/teamwork.py [--task train_lm ...] [--seeds 8] [--trials 50] [--arm pair ...]

The expert plays a model that knows training: of half of the parameters that matter it knows the better direction,
of the others nothing, of two it is sure and wrong. It reads the history in its own way: it works on the best trial and
keeps a step that helped. Its predictions are noisy. Prints the mean normalized regret of the best value without noise
after a few numbers of trials, with an interval over tasks and seeds, and the LLM's share of the trials.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))

from fakes.llm.expert import Expert, ScriptedExpert

from tunesmith.agent.planner.arbiter import LLMRules
from tunesmith.agent.tuner import Tuner
from tunesmith.bench.runner import one_thread
from tunesmith.bench.statistics import bootstrap
from tunesmith.bench.task import Task
from tunesmith.bench.tasks import choose_tasks
from tunesmith.study.trials.trial import Failure

MARKS = (10, 20, 30, 50)
ONLY_LLM = LLMRules(fraction=1.0, scored=False, rethinks="always")
PAIR = LLMRules(rethinks="always")
ARMS = ("sampler", "expert", "pair", "pair, permuted", "expert, permuted")


def run(task_name: str, seed: int, arm: str, trials: int) -> tuple[list[float], list[str]]:
    """Return the regret of the best value so far after each trial, and the source of each trial."""
    task = _task(task_name)
    model = ScriptedExpert(task, Expert.drawn(task, seed), seed) if arm != "sampler" else None
    rules = None if arm == "sampler" else ONLY_LLM if arm.startswith("expert") else PAIR
    best = 10.0
    regrets: list[float] = []
    sources: list[str] = []
    objective = task.objective
    with Tuner(
        task.space,
        metric=objective.metric,
        direction=objective.direction.value,
        seed=seed,
        model=model,
        rules=rules,
        trials=trials,
        permute_feedback="permuted" in arm,
    ) as tuner:
        while len(regrets) < trials:
            asked = tuner.ask()
            value = task.evaluate(asked.params, asked.seed)
            if isinstance(value, Failure):
                tuner.fail(asked, value.kind.value, value.reason)
            else:
                tuner.tell(asked, task.measured(value, asked.params, asked.seed))
                best = min(best, task.regret(value))
            regrets.append(best)
            sources.append(asked.source)
    return regrets, sources


@cache
def _task(name: str) -> Task:
    (task,) = choose_tasks([name], ()).tasks
    return task


def main() -> None:
    """Run everything and print a line per arm."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", action="append", default=[])
    parser.add_argument("--arm", action="append", default=[], choices=ARMS)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    tasks, arms = args.task or ["train_lm"], args.arm or list(ARMS)
    marks = [mark for mark in MARKS if mark <= args.trials]
    print(
        f"{', '.join(tasks)}, {args.seeds} seeds; mean normalized regret at {marks} trials [95% interval]", flush=True
    )
    with one_thread(), ProcessPoolExecutor(args.jobs) as pool:
        for arm in arms:
            jobs = list(product(tasks, range(args.seeds)))
            done = list(pool.map(run, *zip(*((t, s, arm, args.trials) for t, s in jobs), strict=True)))
            curves = np.array([regrets for regrets, _ in done]).reshape(len(tasks), args.seeds, -1)
            print(f"{arm:<17}", *(_cell(curves[:, :, m - 1]) for m in marks), _llm_shares(done), flush=True)


def _cell(regrets: np.ndarray) -> str:
    found = bootstrap(list(regrets))
    return f" {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _llm_shares(done: Sequence[tuple[list[float], list[str]]]) -> str:
    blocks = [(0, 10), (10, 20), (20, 50)]
    shares = [np.mean([s == "llm" for _, sources in done for s in sources[a:b]] or [False]) for a, b in blocks]
    return " LLM " + " / ".join(f"{share:.0%}" for share in shares)


if __name__ == "__main__":
    main()
