"""What hostile and gifted models do to our planner: servers on loopback with scripted answers, on public tables.

Run it as `python bench/experiments/quality/made_up_models.py [--task NAME ...] [--data FOLDER ...] [--seeds 6]
[--trials 50]`.
Prints the mean normalized regret at a few numbers of trials for each model, with a bootstrap interval over tasks and
seeds, its ratio to the sampler alone, and the LLM's share of the trials.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))

from fakes.llm.answers import candidates_text
from fakes.llm.server import Reply, Request, message, serving

from tunesmith.agent.tuner import Tuner
from tunesmith.bench.statistics import bootstrap
from tunesmith.bench.task import Task
from tunesmith.bench.tasks import choose_tasks
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Failure

Params = Mapping[str, Value]
MARKS = (5, 10, 20, 50)
KNOWN = 3000
"""So many random configurations tell a made-up model what is good and what is bad on a task."""


class Landscape:
    """A task as a model knows it that has seen thousands of its configurations."""

    def __init__(self, task: Task) -> None:
        self._space = task.space
        self._rng = np.random.default_rng(99)
        drawn = [self.drawn(self._rng) for _ in range(KNOWN)]
        found = [(task.evaluate(params, 0), params) for params in drawn]
        ranked = [(task.objective.sign * v, p) for v, p in found if not isinstance(v, Failure)]
        ranked.sort(key=lambda pair: pair[0])
        failed = [params for value, params in found if isinstance(value, Failure)]
        self.good = [params for _, params in ranked[:5]]
        self.bad = (failed + [params for _, params in ranked[::-1]])[:8]

    def drawn(self, rng: np.random.Generator) -> Params:
        """Return a configuration from all over the space."""
        return self._space.from_unit(rng.random(len(self._space)).tolist())

    def near(self, params: Params, rng: np.random.Generator, width: float) -> Params:
        """Return a configuration beside one."""
        unit = np.array(self._space.to_unit(params))
        return self._space.from_unit(np.clip(unit + rng.normal(0.0, width, len(unit)), 0.0, 1.0).tolist())


Says = Callable[[Landscape, np.random.Generator], list[Params]]


def random_words(land: Landscape, rng: np.random.Generator) -> list[Params]:
    """Argue well for points from all over."""
    return [land.drawn(rng) for _ in range(4)]


def worst_corner(land: Landscape, rng: np.random.Generator) -> list[Params]:
    """Stay where things are worst."""
    return [land.near(land.bad[rng.integers(len(land.bad))], rng, 0.02) for _ in range(4)]


def same_point(land: Landscape, rng: np.random.Generator) -> list[Params]:  # noqa: ARG001
    """Say the same again and again."""
    return [land.bad[0]] * 4


def oracle(land: Landscape, rng: np.random.Generator) -> list[Params]:
    """Be near the optimum one time in three."""
    good = [land.near(land.good[rng.integers(len(land.good))], rng, 0.03) for _ in range(4)]
    return [point if rng.random() < 1 / 3 else land.drawn(rng) for point in good]


MODELS: Mapping[str, Says | None] = {
    "none": None,
    "random words": random_words,
    "worst corner": worst_corner,
    "same point": same_point,
    "oracle 1 in 3": oracle,
}


def run(task_name: str, folders: tuple[Path, ...], seed: int, model: str, trials: int) -> tuple[list[float], list[str]]:
    """Return the regret of the best so far after each trial, and who proposed each."""
    (task,) = choose_tasks([task_name], folders).tasks
    says = MODELS[model]
    if says is None:
        return _played(task, seed, trials, {})
    land, rng = Landscape(task), np.random.default_rng(seed)

    def answer(request: Request, before: int) -> Reply:  # noqa: ARG001
        best = task.best if model.startswith("oracle") else task.best - 0.1 * abs(task.best)
        return message(candidates_text(says(land, rng), "by the scaling laws this is where to look", best))

    with serving(answer) as server:
        return _played(task, seed, trials, {"model": "openai:made-up", "base_url": server.base_url})


def _played(task: Task, seed: int, trials: int, options: Mapping[str, str]) -> tuple[list[float], list[str]]:
    best, regrets, sources = 10.0, [], []
    objective = task.objective
    with Tuner(task.space, metric=objective.metric, direction=objective.direction.value, seed=seed, **options) as tuner:
        for _ in range(trials):
            asked = tuner.ask()
            value = task.evaluate(asked.params, seed)
            if isinstance(value, Failure):
                tuner.fail(asked, value.kind.value, value.reason)
            else:
                tuner.tell(asked, value)
                best = min(best, task.regret(value))
            regrets.append(best)
            sources.append(asked.source)
    return regrets, sources


def main() -> None:
    """Run everything and print a line per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", action="append", default=[])
    parser.add_argument("--data", action="append", type=Path, default=[])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    tasks = [task.name for task in choose_tasks(args.task or ["all"], args.data).tasks]
    marks = [mark for mark in MARKS if mark <= args.trials]
    alone: np.ndarray | None = None
    print(f"{len(tasks)} tasks, {args.seeds} seeds; mean normalized regret at {marks} trials [95% interval]")
    with ProcessPoolExecutor(args.jobs) as pool:
        for model in MODELS:
            jobs = list(product(tasks, range(args.seeds)))
            one = partial(run, folders=tuple(args.data), model=model, trials=args.trials)
            done = list(pool.map(one_of, [one] * len(jobs), jobs))
            curves = np.array([regrets for regrets, _ in done]).reshape(len(tasks), args.seeds, -1)
            alone = curves if alone is None else alone
            print(f"{model:<14}", *(_cell(curves[:, :, m - 1], alone[:, :, m - 1]) for m in marks), _shares(done))


def one_of(one: Callable[..., tuple[list[float], list[str]]], job: tuple[str, int]) -> tuple[list[float], list[str]]:
    """Run one task and seed."""
    return one(job[0], seed=job[1])


def _cell(regrets: np.ndarray, alone: np.ndarray) -> str:
    found = bootstrap(list(regrets))
    return f" {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] x{regrets.mean() / alone.mean():.2f} "


def _shares(done: list[tuple[list[float], list[str]]]) -> str:
    blocks = [(0, 10), (10, 20), (20, 50)]
    shares = [np.mean([s == "llm" for _, sources in done for s in sources[a:b]] or [0.0]) for a, b in blocks]
    return "LLM " + " / ".join(f"{share:.0%}" for share in shares)


if __name__ == "__main__":
    main()
