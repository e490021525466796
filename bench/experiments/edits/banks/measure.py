"""Measures a bank: every idea alone, pairs and larger sets of ideas, and what tuning gains; writes measured.json.

    python bench/experiments/edits/banks/measure.py vision

Every value is a real run of the project with its judge, over several seeds. `--kept` names a file in which all runs are
kept, so that an interrupted measurement continues. charlm runs one block and small batches for 1.5 CPU seconds, so that
a run has a hundred steps.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tunesmith.agent.tuner import Tuner
from tunesmith.bench.experiments.edits.banks.bank import (
    HERE,
    PROJECTS,
    Recorded,
    edited_source,
    fits,
    recorded_ideas,
)
from tunesmith.bench.experiments.edits.banks.forked_run import Run, run_source, spec_of, warm_up
from tunesmith.study.variant import VariantState

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured of a project.

    Attributes:
        seeds: runs of each single idea.
        set_seeds: runs of each larger set.
        top: number of ideas, the best alone, of which all pairs are measured.
        pairs: number of further pairs, drawn at random.
        drawn_sets: number of larger sets, drawn from ideas that gain, to check what is derived from the others.
        candidates: number of ideas that are tried at each step towards the best set.
        tuned: trials of each study that tunes a version.
        studies: such studies per version.
        params: the configuration, where it differs from the project's default.
        env: environment of each run.
    """

    seeds: int = 3
    set_seeds: int = 1
    top: int = 10
    pairs: int = 20
    drawn_sets: int = 12
    candidates: int = 10
    tuned: int = 25
    studies: int = 2
    params: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


PLANS: Mapping[str, Plan] = {
    "vision": Plan(),
    "boosting": Plan(),
    "charlm": Plan(
        seeds=2,
        top=5,
        pairs=4,
        drawn_sets=3,
        candidates=4,
        tuned=10,
        studies=1,
        params={"layers": 1, "batch": 8},
        env={"CHARLM_SECONDS": "1.5"},
    ),
}

QUICK: Mapping[str, Plan] = {
    "vision": Plan(seeds=2, top=4, pairs=8, drawn_sets=5, tuned=15, studies=1),
    "boosting": Plan(seeds=2, top=4, pairs=8, drawn_sets=5, candidates=14, tuned=15, studies=1),
    "charlm": replace(PLANS["charlm"], seeds=1, top=3, pairs=2, drawn_sets=2, candidates=3, tuned=6),
}
"""What a third of the runs, or fewer, can tell."""

_MAX_DRAWS = 200
"""Number of sets that are drawn in search of some whose ideas change different lines."""


@dataclass(slots=True)
class Bench:
    """Runs sets of ideas of one project, each with each seed once."""

    project: str
    plan: Plan
    ideas: Mapping[str, Recorded]
    kept: Path | None
    runs: dict[str, Run] = field(default_factory=dict)

    def params(self, names: Names) -> dict[str, Any]:
        """Return the configuration that ideas were written for; a later one's settings replace an earlier one's."""
        found = {**(spec_of(self.project).space.default or {}), **self.plan.params}
        for name in names:
            found |= self.ideas[name].params
        return found

    def run(self, names: Names, seed: int, params: Mapping[str, Any] | None = None) -> Run:
        """Return the result of one run, made before or now."""
        full = {**(params or self.params(names)), "seed": seed}
        key = json.dumps([names, full], sort_keys=True)
        if key not in self.runs:
            source = edited_source(self.project, [self.ideas[name] for name in names])
            assert source is not None  # noqa: S101  # only sets that fit are run
            self.runs[key] = run_source(self.project, source, full, self.plan.env)
            if self.kept is not None:
                with self.kept.open("a", encoding="utf-8") as file:
                    found = self.runs[key]
                    file.write(json.dumps([key, found.value, found.cpu_s, found.reason]) + "\n")
        return self.runs[key]

    def values(self, names: Names, seeds: int) -> list[float]:
        """Return the values of a set over seeds; empty when its first run failed."""
        if math.isnan(self.run(names, 0).value):
            return []
        return [value for seed in range(seeds) if not math.isnan(value := self.run(names, seed).value)]

    def fits(self, names: Names) -> bool:
        """Return whether the ideas of a set can be put one upon the other."""
        return fits(self.project, [self.ideas[name] for name in names])


def open_bench(project: str, plan: Plan, kept: Path | None) -> Bench:
    """Return a bench with the runs that were kept before."""
    bench = Bench(project, plan, {idea.name: idea for idea in recorded_ideas(project)}, kept)
    if kept is not None and kept.exists():
        for line in kept.read_text(encoding="utf-8").splitlines():
            key, value, cpu_s, reason = json.loads(line)
            bench.runs[key] = Run(value, cpu_s, reason)
    return bench


def measure(bench: Bench) -> dict[str, Any]:
    """Measure all that the plan names and return the document of measured.json."""
    plan = bench.plan
    own = bench.values((), max(plan.seeds, 3))
    runnable = [name for name, idea in bench.ideas.items() if idea.state is VariantState.SOUND]
    single = {name: bench.values((name,), plan.seeds) for name in runnable}
    honest = [n for n in runnable if single[n] and bench.ideas[n].kind != "cheating" and not bench.ideas[n].same_as]
    ranked = sorted(honest, key=lambda name: mean(single[name]))
    sets = best_sets(bench, ranked[: plan.candidates])
    best = min(sets, key=lambda names: mean(bench.values(names, plan.set_seeds)))
    sets += pairs(bench, ranked)
    checks = drawn_sets(bench, ranked[: 2 * plan.candidates])
    return {
        "project": bench.project,
        "params": bench.params(()),
        "env": dict(plan.env),
        "default": _summary(own),
        "ideas": [_idea_entry(bench, idea, single.get(name, [])) for name, idea in bench.ideas.items()],
        "conflicts": [[a, b] for a, b in combinations(runnable, 2) if not bench.fits((a, b))],
        "sets": [_set_entry(bench, names) for names in dict.fromkeys(sets) if len(names) > 1],
        "checks": [_set_entry(bench, names) for names in checks],
        "best": list(best),
        "tuning": [_tuning_entry(bench, names) for names in ((), best)],
    }


def best_sets(bench: Bench, candidates: Sequence[str]) -> list[Names]:
    """Return the sets on the way to the best one: at each step the idea that gains most on top is added."""
    seeds = bench.plan.set_seeds
    found: list[Names] = []
    best: Names = ()
    value = mean(bench.values(best, bench.plan.seeds))
    while True:
        tried = [(*best, name) for name in candidates if name not in best and bench.fits((*best, name))]
        valued = {names: mean(values) for names in tried if (values := bench.values(names, seeds))}
        found += tried
        if not valued or min(valued.values()) > 0.995 * value:
            return found
        best = min(valued, key=lambda names: valued[names])
        value = valued[best]
        print(f"{value:.4f}  {' + '.join(best)}", flush=True)


def pairs(bench: Bench, ranked: Sequence[str]) -> list[Names]:
    """Return all pairs of the best ideas and of those written to be good, and some pairs of others."""
    good = [name for name in ranked if bench.ideas[name].kind == "good"]
    leading = list(dict.fromkeys([*ranked[: bench.plan.top], *good[: bench.plan.top]]))
    rng = random.Random("pairs")
    drawn = rng.sample(list(combinations(ranked, 2)), bench.plan.pairs)
    return [pair for pair in [*combinations(leading, 2), *drawn] if bench.fits(pair)]


def drawn_sets(bench: Bench, candidates: Sequence[str]) -> list[Names]:
    """Return sets of three to six ideas, drawn from those that gain most."""
    rng = random.Random("sets")
    found: list[Names] = []
    for _ in range(_MAX_DRAWS):
        names = tuple(rng.sample(list(candidates), min(rng.randint(3, 6), len(candidates))))
        if len(found) < bench.plan.drawn_sets and bench.fits(names):
            found.append(names)
    return found


def tuning_values(bench: Bench, names: Names, seed: int) -> list[float]:
    """Return the values of the trials of one study that tunes a version, from the configuration it was written for."""
    space = spec_of(bench.project).space
    start = bench.params(names)
    parameters = {name: replace(parameter, default=start[name]) for name, parameter in space.parameters.items()}
    tuner = Tuner(parameters, metric="value", seed=seed, trials=bench.plan.tuned)
    values = []
    for _ in range(bench.plan.tuned):
        trial = tuner.ask()
        run = bench.run(names, 1000 + seed, dict(trial.params))
        if math.isnan(run.value):
            tuner.fail(trial, run.reason)
        else:
            tuner.tell(trial, run.value)
        values.append(run.value)
    return values


def _idea_entry(bench: Bench, idea: Recorded, values: Sequence[float]) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": idea.name, "kind": idea.kind, "state": idea.state.value}
    if idea.reason:
        return {**entry, "reason": idea.reason}
    first = bench.run((idea.name,), 0)
    return {**entry, "params": dict(idea.params), "cpu_s": round(first.cpu_s, 2), **_summary(values, first.reason)}


def _set_entry(bench: Bench, names: Names) -> dict[str, Any]:
    values = bench.values(names, bench.plan.set_seeds)
    return {"ideas": list(names), **_summary(values, bench.run(names, 0).reason)}


def _tuning_entry(bench: Bench, names: Names) -> dict[str, Any]:
    curves = [tuning_values(bench, names, seed) for seed in range(bench.plan.studies)]
    return {"ideas": list(names), "values": [[_rounded(value) for value in curve] for curve in curves]}


def _summary(values: Sequence[float], reason: str = "") -> dict[str, Any]:
    if not values:
        return {"failed": reason}
    spread = stdev(values) if len(values) > 1 else None
    return {"mean": _rounded(mean(values)), "std": _rounded(spread), "seeds": len(values)}


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(f"{value:.5g}")


def write(document: Mapping[str, Any], file: Path) -> None:
    """Write the document with a line for each entry of its lists."""
    parts = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict | list):
            lines = ",\n    ".join(json.dumps(entry) for entry in value)
            parts.append(f"  {json.dumps(key)}: [\n    {lines}\n  ]")
        else:
            parts.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    file.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main(words: Iterable[str] | None = None) -> None:
    """Measure one project."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", choices=sorted(PROJECTS))
    parser.add_argument("--quick", action="store_true", help="a third of the runs: fewer seeds and sets")
    parser.add_argument("--kept", type=Path, default=None, help="keep all runs in this file, and continue from it")
    args = parser.parse_args(None if words is None else list(words))
    warm_up(args.project)
    plan = (QUICK if args.quick else PLANS)[args.project]
    write(measure(open_bench(args.project, plan, args.kept)), HERE / args.project / "measured.json")


if __name__ == "__main__":
    main()
