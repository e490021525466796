"""Do our first trials help other optimizers? 20 trials of each, the first 10 by our sampler, against 20 without us.

    python bench/experiments/quality/warm_start.py [--optimizer nevergrad ...] [--seeds 10] [--results FILE]

Both sides evaluate 20 configurations. The warm side receives the results of our sampler's first 10 trials through the
program that `tunesmith export` writes, and runs 10 more. The cold side runs the same program without results for 20,
with the task's default as its first point where there is one, as our sampler has. A run that is in the results file is
not repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from tunesmith.agent.tuner import Tuner
from tunesmith.bench.statistics import regret_curve
from tunesmith.bench.task import WORST_REGRET, Task
from tunesmith.bench.tasks import task_makers
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import Failure, Trial
from tunesmith.tools.interop.export.registry import find_target
from tunesmith.tools.interop.study_export import StudyExport

TASKS = ("branin", "hartmann6", "ackley10", "mixed", "conditional", "half_fails",
         "skl_mlp_breast_cancer", "skl_rf_digits", "skl_svm_digits")  # fmt: skip
OPTIMIZERS = ("optuna", "nevergrad", "hyperopt", "flaml", "ray", "smac", "ax")
TRIALS, OURS = 20, 10


def main() -> None:
    """Run what is missing and print a row per optimizer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--optimizer", action="append", choices=OPTIMIZERS)
    parser.add_argument("--task", action="append", choices=TASKS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--results", type=Path, default=Path("build/bench/warm_start.jsonl"))
    wanted = parser.parse_args()
    optimizers = wanted.optimizer or list(OPTIMIZERS)
    done = _read(wanted.results)
    wanted.results.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(wanted.seeds):
        for task_name in wanted.task or TASKS:
            for optimizer in optimizers:
                if (optimizer, task_name, seed) not in done:
                    row = _compared(optimizer, task_makers()[task_name](), seed)
                    done[optimizer, task_name, seed] = row
                    with wanted.results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"optimizer": optimizer, "task": task_name, "seed": seed, **row}) + "\n")
    _print(optimizers, done)


def _compared(optimizer: str, task: Task, seed: int) -> dict[str, list[float]]:
    """Return the regret after each of the 20 evaluations, with our start and without."""
    trials, ours = _our_start(task, seed)
    warm = ours + _continued(optimizer, task, trials, TRIALS - OURS, seed)
    cold = _continued(optimizer, task, [], TRIALS, seed)
    return {"warm": _regrets(task, warm), "cold": _regrets(task, cold)}


def _our_start(task: Task, seed: int) -> tuple[list[Trial], list[float]]:
    direction = task.objective.direction.value
    with Tuner(task.space, metric=task.objective.metric, direction=direction, seed=seed) as tuner:
        values = []
        for _ in range(OURS):
            asked = tuner.ask()
            found = task.evaluate(asked.params, seed)
            if isinstance(found, Failure):
                tuner.fail(asked, found.kind.value, found.reason)
                values.append(_as_bad(task))
            else:
                tuner.tell(asked, found)
                values.append(found)
        return tuner.trials, values


def _continued(optimizer: str, task: Task, trials: Sequence[Trial], count: int, seed: int) -> list[float]:
    default = task.space.default
    exported = StudyExport(
        name=task.name,
        space=task.space,
        objectives=(task.objective,),
        trials=trials,
        points=[default] if default is not None and not trials else [],
        fixed={},
    )
    values: list[float] = []

    def train(config: Mapping[str, Value]) -> float:
        found = task.evaluate(task.space.clip(config), seed)
        # These programs have no notion of failure: a failed run counts as a value far worse than a random one.
        values.append(_as_bad(task) if isinstance(found, Failure) else found)
        return values[-1]

    np.random.seed(seed)  # noqa: NPY002  # some optimizers draw from numpy's global state
    with tempfile.TemporaryDirectory() as folder, _quiet():
        if optimizer == "optuna":
            _in_optuna(exported, Path(folder), count, train, seed)
        else:
            _by_program(optimizer, exported, Path(folder), count, train, seed)
    return values[:count]


def _by_program(optimizer: str, exported: StudyExport, folder: Path, count: int, train: Any, seed: int) -> None:
    out = folder / "program.py"
    find_target(optimizer).export(exported, str(out))
    spec = importlib.util.spec_from_file_location("program", out)
    assert spec is not None  # noqa: S101  # it was just written
    assert spec.loader is not None  # noqa: S101
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    if optimizer == "ray":
        # Ray starts a process per trial; its searcher gives the same points without them.
        searcher = program.searcher(seed)
        for number in range(count):
            config = searcher.suggest(str(number))
            searcher.on_trial_complete(str(number), {"target": program.SIGN * train(program.active(config))})
    else:
        program.main(count, train, seed)


def _in_optuna(exported: StudyExport, folder: Path, count: int, train: Any, seed: int) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    from tunesmith.tools.interop.optuna.space import distribution_of

    space = exported.space
    journal = str(folder / "o.journal")
    if not exported.trials and not exported.points:
        study = optuna.create_study(direction=exported.objectives[0].direction.value)
    else:
        find_target("optuna").export(exported, journal)
        storage = optuna.storages.JournalStorage(JournalFileBackend(journal))
        study = optuna.load_study(study_name=exported.name, storage=storage)
    study.sampler = optuna.samplers.TPESampler(seed=seed)

    def objective(trial: optuna.Trial) -> float:
        values: dict[str, Value] = {}
        for name in space.dependency_order:
            if name in space.active({**values, name: None}):
                values[name] = trial._suggest(name, distribution_of(space.parameters[name]))
        return float(train(values))

    study.optimize(objective, n_trials=count)


def _as_bad(task: Task) -> float:
    return task.best + WORST_REGRET * (task.median_random - task.best)


def _regrets(task: Task, values: Sequence[float]) -> list[float]:
    curve = regret_curve(values, best=task.best, median_random=task.median_random, trials=TRIALS)
    return [round(float(regret), 6) for regret in curve]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _read(path: Path) -> dict[tuple[str, str, int], dict[str, list[float]]]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(row["optimizer"], row["task"], row["seed"]): row for row in rows}


def _print(optimizers: Sequence[str], done: Mapping[tuple[str, str, int], Mapping[str, Sequence[float]]]) -> None:
    print(f"| optimizer | seeds | cold | with our {OURS} | ratio at {TRIALS} | 95% interval | ratio at {OURS} |")
    print("|---|---|---|---|---|---|---|")
    for optimizer in optimizers:
        by_task: dict[str, list[tuple[float, float, float, float]]] = {}
        for (name, task, _), row in sorted(done.items()):
            if name == optimizer:
                warm, cold = row["warm"], row["cold"]
                by_task.setdefault(task, []).append((warm[-1], cold[-1], warm[OURS - 1], cold[OURS - 1]))
        if not by_task:
            continue
        tables = [np.array(rows) for rows in by_task.values()]
        means = np.mean([table.mean(axis=0) for table in tables], axis=0)
        low, high = _interval(tables)
        seeds = max(len(table) for table in tables)
        ratio, start = means[0] / means[1], means[2] / means[3]
        span = f"{low:.2f} to {high:.2f}"
        print(f"| {optimizer} | {seeds} | {means[1]:.3f} | {means[0]:.3f} | {ratio:.2f} | {span} | {start:.2f} |")


def _interval(tables: Sequence[Any], resamples: int = 2000) -> tuple[float, float]:
    """Return the 95% interval of the ratio of mean regrets: tasks are drawn with replacement, then their seeds."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(resamples):
        drawn = [tables[i] for i in rng.integers(len(tables), size=len(tables))]
        means = np.mean([t[rng.integers(len(t), size=len(t))].mean(axis=0) for t in drawn], axis=0)
        ratios.append(means[0] / means[1])
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
