"""Compares the planner with misleading and helpful scripted LLMs, on public tables.

    python bench/experiments/quality/made_up_models.py [--task NAME ...] [--data FOLDER ...] [--seeds 6] [--trials 50]

Prints the mean normalized regret after a few numbers of trials for each model, with a bootstrap interval over tasks and
seeds, its ratio to the sampler without an LLM, and the LLM's fraction of the trials. "reader" proposes next to the best
trial that its prompt shows, "parrot" next to one good point that it knew before. Both run without the sampler, as the
planner `llm` of the benchmark does, and again with permuted feedback: only what reads its history loses by that.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))

from fakes.llm.answers import candidates_text
from fakes.llm.server import Reply, Request, message, serving

from tunesmith.agent.planner.arbiter import LLMRules
from tunesmith.agent.tuner import Tuner
from tunesmith.bench.statistics import bootstrap
from tunesmith.bench.task import Task
from tunesmith.bench.tasks import choose_tasks
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Bool, Float, Int
from tunesmith.study.trials.trial import Failure

Params = Mapping[str, Value]
MARKS = (5, 10, 20, 50)
KNOWN = 3000
"""Number of random configurations from which a scripted model learns the good and bad regions of a task."""


class Landscape:
    """Good and bad configurations of a task, from thousands of random ones."""

    def __init__(self, task: Task) -> None:
        self._space = task.space
        self._rng = np.random.default_rng(99)
        drawn = [self.draw(self._rng) for _ in range(KNOWN)]
        found = [(task.evaluate(params, 0), params) for params in drawn]
        ranked = [(task.objective.sign * v, p) for v, p in found if not isinstance(v, Failure)]
        ranked.sort(key=lambda pair: pair[0])
        failed = [params for value, params in found if isinstance(value, Failure)]
        self.good = [params for _, params in ranked[:5]]
        self.bad = (failed + [params for _, params in ranked[::-1]])[:8]

    def draw(self, rng: np.random.Generator) -> Params:
        """Return a random configuration of the space."""
        return self._space.from_unit(rng.random(len(self._space)).tolist())

    def value(self, name: str, text: str) -> Value:
        """Return the value that a prompt shows as text."""
        parameter = self._space.parameters[name]
        if isinstance(parameter, Float | Int):
            number = float(text)
            return number if isinstance(parameter, Float) else round(number)
        choices = (False, True) if isinstance(parameter, Bool) else parameter.choices
        return next(choice for choice in choices if str(choice).lower() == text.lower())

    def near(self, params: Params, rng: np.random.Generator, width: float) -> Params:
        """Return a random configuration near another."""
        unit = np.array(self._space.to_unit(params))
        return self._space.from_unit(np.clip(unit + rng.normal(0.0, width, len(unit)), 0.0, 1.0).tolist())


Answers = Callable[[Landscape, np.random.Generator], list[Params]]
_BEST = re.compile(r"best so far: [^(]*\(([^)]*)\)")
"""The parameters of the best trial in a prompt."""


def random_words(land: Landscape, rng: np.random.Generator) -> list[Params]:
    """Return random points."""
    return [land.draw(rng) for _ in range(4)]


def worst_corner(land: Landscape, rng: np.random.Generator) -> list[Params]:
    """Return points near the worst ones."""
    return [land.near(land.bad[rng.integers(len(land.bad))], rng, 0.02) for _ in range(4)]


def same_point(land: Landscape, rng: np.random.Generator) -> list[Params]:  # noqa: ARG001
    """Return one bad point every time."""
    return [land.bad[0]] * 4


def oracle(land: Landscape, rng: np.random.Generator) -> list[Params]:
    """Return points of which one in three is near the optimum."""
    good = [land.near(land.good[rng.integers(len(land.good))], rng, 0.03) for _ in range(4)]
    return [point if rng.random() < 1 / 3 else land.draw(rng) for point in good]


def parrot(land: Landscape, rng: np.random.Generator) -> list[Params]:
    """Return points near one good point at any results."""
    return [land.near(land.good[4], rng, 0.1) for _ in range(4)]


def read(prompt: str, before: int, land: Landscape, rng: np.random.Generator) -> list[Params]:
    """Return points near the best trial that the prompt shows; random ones at first."""
    shown = _BEST.findall(prompt)
    if before < READS_FROM or not shown:
        return random_words(land, rng)
    texts = dict(pair.split("=", 1) for pair in shown[-1].split())
    best = {name: land.value(name, text) for name, text in texts.items()}
    return [land.near(best, rng, 0.1) for _ in range(4)]


READER = "reader"
READS_FROM = 3
"""Number of answers with random points before the reader reads."""

WITHOUT_SAMPLER = (READER, "parrot")
"""Models that are to show whether they read their history: they run without the sampler and unjudged."""

PERMUTED = ", permuted"

MODELS: Mapping[str, Answers | None] = {
    "none": None,
    "random words": random_words,
    "worst corner": worst_corner,
    "same point": same_point,
    "oracle 1 in 3": oracle,
    READER: random_words,
    READER + PERMUTED: random_words,
    "parrot": parrot,
    "parrot" + PERMUTED: parrot,
}


def run(task_name: str, folders: tuple[Path, ...], seed: int, model: str, trials: int) -> tuple[list[float], list[str]]:
    """Return the regret of the best value so far after each trial, and the source of each trial."""
    (task,) = choose_tasks([task_name], folders).tasks
    answers = MODELS[model]
    if answers is None:
        return _run_tuner(task, seed, trials)
    land, rng = Landscape(task), np.random.default_rng(seed)

    def answer(request: Request, before: int) -> Reply:
        best = task.best if model.startswith("oracle") else task.best - 0.1 * abs(task.best)
        prompt = "\n".join(str(m["content"]) for m in request["messages"])
        points = read(prompt, before, land, rng) if model.startswith(READER) else answers(land, rng)
        return message(candidates_text(points, "by the scaling laws this is where to look", best))

    options: dict[str, Any] = {}
    if model.startswith(WITHOUT_SAMPLER):
        options = {"rules": LLMRules(fraction=1.0, scored=False), "permute_feedback": model.endswith(PERMUTED)}
    with serving(answer) as server:
        return _run_tuner(task, seed, trials, model="openai:made-up", base_url=server.base_url, **options)


def _run_tuner(task: Task, seed: int, trials: int, **options: Any) -> tuple[list[float], list[str]]:
    best, regrets, sources = 10.0, [], []
    objective = task.objective
    direction = objective.direction.value
    with Tuner(task.space, metric=objective.metric, direction=direction, seed=seed, **options) as tuner:
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", action="append", default=[])
    parser.add_argument("--data", action="append", type=Path, default=[])
    parser.add_argument("--model", action="append", choices=list(MODELS), help="all by default; 'none' is added")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    tasks = [task.name for task in choose_tasks(args.task or ["all"], args.data).tasks]
    marks = [mark for mark in MARKS if mark <= args.trials]
    baseline: np.ndarray | None = None
    print(f"{len(tasks)} tasks, {args.seeds} seeds; mean normalized regret at {marks} trials [95% interval]")
    with ProcessPoolExecutor(args.jobs) as pool:
        for model in dict.fromkeys(["none", *(args.model or MODELS)]):
            jobs = list(product(tasks, range(args.seeds)))
            one = partial(run, folders=tuple(args.data), model=model, trials=args.trials)
            done = list(pool.map(run_job, [one] * len(jobs), jobs))
            curves = np.array([regrets for regrets, _ in done]).reshape(len(tasks), args.seeds, -1)
            baseline = curves if baseline is None else baseline
            print(
                f"{model:<14}",
                *(_cell(curves[:, :, m - 1], baseline[:, :, m - 1]) for m in marks),
                _llm_fractions(done),
            )


def run_job(one: Callable[..., tuple[list[float], list[str]]], job: tuple[str, int]) -> tuple[list[float], list[str]]:
    """Run one task and seed."""
    return one(job[0], seed=job[1])


def _cell(regrets: np.ndarray, baseline: np.ndarray) -> str:
    found = bootstrap(list(regrets))
    return f" {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] x{regrets.mean() / baseline.mean():.2f} "


def _llm_fractions(done: list[tuple[list[float], list[str]]]) -> str:
    blocks = [(0, 10), (10, 20), (20, 50)]
    fractions = [np.mean([s == "llm" for _, sources in done for s in sources[a:b]] or [False]) for a, b in blocks]
    return "LLM " + " / ".join(f"{fraction:.0%}" for fraction in fractions)


if __name__ == "__main__":
    main()
