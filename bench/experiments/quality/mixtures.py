"""Data mixtures: our sampler, TPE on stick-breaking coordinates, and draws from the simplex, on 17 domains of the Pile.

    python bench/experiments/quality/mixtures.py [--seeds 8] [--first-seed 3] [--trials 100] [--methods ...] [--out F]

The task is `pile_mixture` of the benchmark. Regret is 0 at the best known mixture and 1 at the median of random ones.
Every method but `random` and `bayes-free` starts at equal shares. Stick-breaking: coordinate i is what part of the
rest domain i takes, drawn so that a uniform coordinate gives a uniform mixture. Seeds 0 to 2 served to choose what
`bayes` does with a default.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.agent.tuner import Tuner
from tunesmith.bench.task import Task
from tunesmith.bench.tasks.mixture import NAME, pile_mixture

MARKS = (20, 40, 100)


def ours(planner: str) -> Callable[[Task, int, int], Iterator[float]]:
    """Return the regret of each trial of one of our samplers."""

    def run(task: Task, seed: int, trials: int) -> Iterator[float]:
        with Tuner(task.space, metric="loss", planner=planner, seed=seed) as tuner:
            for _ in range(trials):
                asked = tuner.ask()
                shares = {f"{NAME}.{domain}": share for domain, share in asked.params[NAME].items()}
                value = float(task.evaluate(shares, seed))  # type: ignore[arg-type]  # it never fails
                tuner.tell(asked, value)
                yield task.regret(value)

    return run


def tpe_on_sticks(task: Task, seed: int, trials: int) -> Iterator[float]:
    """Yield the regret of each trial of Optuna's TPE, with its default settings."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    domains = task.space.mixtures[NAME].of
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(dict(zip(domains, equal_sticks(len(domains)), strict=False)))
    for _ in range(trials):
        trial = study.ask()
        shares = broken([trial.suggest_float(domain, 0.0, 1.0) for domain in domains[:-1]])
        named = {f"{NAME}.{domain}": share for domain, share in zip(domains, shares, strict=True)}
        value = float(task.evaluate(named, seed))  # type: ignore[arg-type]  # it never fails
        study.tell(trial, value)
        yield task.regret(value)


def broken(coordinates: Sequence[float]) -> list[float]:
    """Return the shares at stick-breaking coordinates in [0, 1], one fewer than shares."""
    shares, left = [], 1.0
    for index, u in enumerate(coordinates):
        part = 1.0 - (1.0 - u) ** (1.0 / (len(coordinates) - index))
        shares.append(left * part)
        left -= shares[-1]
    return [*shares, max(left, 0.0)]


def equal_sticks(count: int) -> list[float]:
    """Return the coordinates of equal shares."""
    return [1.0 - (1.0 - 1.0 / (count - i)) ** (count - 1 - i) for i in range(count - 1)]


METHODS: Mapping[str, tuple[Callable[[Task, int, int], Iterator[float]], bool]] = {
    "bayes": (ours("bayes"), True),
    "bayes-free": (ours("bayes"), False),
    "optuna-tpe": (ours("optuna-tpe"), True),
    "tpe-sticks": (tpe_on_sticks, True),
    "random": (ours("random"), False),
}


def main(options: argparse.Namespace) -> None:
    """Print the best regret at each mark, mean and standard error over seeds."""
    equal = pile_mixture()
    print("equal shares", round(equal.regret(float(equal.evaluate(equal.space.default or {}, 0))), 3))  # type: ignore[arg-type]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for name in options.methods:
        run, has_default = METHODS[name]
        task = pile_mixture(has_default=has_default)
        best = np.array([np.minimum.accumulate(list(run(task, seed, options.trials))) for seed in seeds])
        marks = [mark for mark in MARKS if mark <= options.trials]
        found = {m: (best[:, m - 1].mean(), best[:, m - 1].std() / max(len(best) - 1, 1) ** 0.5) for m in marks}
        print(name, "  ".join(f"{m}: {mean:.3f} ± {error:.3f}" for m, (mean, error) in found.items()), flush=True)
        if options.out:
            document: dict[str, Any] = {"method": name, "regret": best[:, [m - 1 for m in marks]].tolist()}
            with Path(options.out).open("a", encoding="utf-8") as file:
                file.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=3)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--out", default="")
    main(parser.parse_args())
