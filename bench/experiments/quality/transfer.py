"""Do earlier studies help the next one? 25 trials with them against 25 without, on related and on misleading tables.

    python bench/experiments/quality/transfer.py --data DIR [--data DIR2] [--seeds 6] [--only fcnet] [--results FILE]

Each source study is 50 trials of our own sampler on its table, with a seed per seed of the target. *Cold* is the
sampler on the target for 25 trials; *warm* is the same sampler with the source studies. TABLE@7 is a table at a lower
fidelity, as of a cheap study. A misleading source is the target's own table with its sign flipped, as of a study that
looked for the worst.

DIR holds the tables (docs/benchmark.md); only those of scikit-learn are bundled. A run that is in the results file is
not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.bench.statistics import regret_curve
from tunesmith.bench.table import read_table
from tunesmith.bench.task import Task
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView

SOURCE_TRIALS, TRIALS, EARLY = 50, 25, 10
STEPLAW = "steplaw_dense_215M"
TOKENS = {f"{STEPLAW}@4e9": 4e9, f"{STEPLAW}@1.14e10": 1.14e10, STEPLAW: 1e11}
FCNET = ("fcnet_naval", "fcnet_parkinsons", "fcnet_protein")
NETS = ("hpobench_nn_car", "hpobench_nn_credit_g", "hpobench_nn_segment", "hpobench_nn_vehicle")
FORESTS = ("skl_rf_breast_cancer", "skl_rf_digits")
BOOSTING = ("skl_hgb_diabetes", "skl_hgb_digits")
CHEAP = ("skl_mlp_breast_cancer@7", "skl_hgb_digits@20", "skl_hgb_diabetes@20")
FLIPPED = "turned about"


Scale: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """A target and the tables that its earlier studies ran on."""

    kind: str
    sources: tuple[str, ...]
    target: str


def cases() -> list[Case]:
    """Return every case: each table from one and from all others of its family, and cheap and misleading sources."""
    families = (FCNET, NETS, FORESTS)
    pairs = [Case("pair", (a,), b) for family in families for a, b in zip(family, family[1:] + family[:1], strict=True)]
    whole = [
        Case("family", tuple(a for a in family if a != b), b) for family in families if len(family) > 2 for b in family
    ]
    cheap = [Case("cheap", (name,), name.partition("@")[0]) for name in CHEAP]
    flipped = [Case("misleading", (FLIPPED,), family[-1]) for family in families]
    against = [Case("misleading", (a,), b) for a in BOOSTING for b in BOOSTING if a != b]
    small = tuple(name for name in TOKENS if name != STEPLAW)
    scales = [Case("scale said", small, STEPLAW), Case("scale not said", small, STEPLAW)]
    return [*pairs, *whole, *cheap, *flipped, *against, *scales]


def main() -> None:
    """Run what is missing and print a row per case and kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--only", default="", help="cases whose kind, sources or target contain this")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("build/bench/transfer.jsonl"))
    wanted = parser.parse_args()
    chosen = [c for c in cases() if wanted.only in " ".join([c.kind, *c.sources, c.target])]
    if absent := _absent_tables(wanted.data, chosen):
        parser.error(
            f"no folder of --data contains {', '.join(absent)}; see docs/benchmark.md, or choose cases with --only"
        )
    wanted.results.parent.mkdir(parents=True, exist_ok=True)
    done = _read(wanted.results)
    cold = [Case("cold", (), target) for target in dict.fromkeys(c.target for c in chosen)]
    missing = [(c, s) for s in range(wanted.seeds) for c in [*cold, *chosen] if (c, s) not in done]
    with ProcessPoolExecutor(wanted.jobs) as pool:
        running = {pool.submit(_run, tuple(wanted.data), case, seed): (case, seed) for case, seed in missing}
        for future in as_completed(running):
            case, seed = running[future]
            done[case, seed] = future.result()
            row = {"kind": case.kind, "sources": case.sources, "target": case.target, "seed": seed}
            with wanted.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**row, "regret": done[case, seed]}) + "\n")
    _print(chosen, done, wanted.seeds)


def _absent_tables(folders: Sequence[Path], chosen: Sequence[Case]) -> list[str]:
    names = {name.partition("@")[0] for case in chosen for name in (*case.sources, case.target) if name != FLIPPED}
    return sorted(f"{n}.json" for n in names if not any((folder / f"{n}.json").exists() for folder in folders))


def _run(data: Sequence[Path], case: Case, seed: int) -> list[float]:
    """Return the regret after each of 25 trials on the target."""
    target = _table(data, case.target)
    found = [_source(data, case.target if s == FLIPPED else s, seed, s == FLIPPED) for s in case.sources]
    tokens = TOKENS if case.kind == "scale said" else {}
    scales = [{"tokens": tokens[name]} if name in tokens else {} for name in (*case.sources, case.target)]
    earlier = tuple(
        EarlierStudy(name=name, trials=trials, scale=scale)
        for name, trials, scale in zip(case.sources, found, scales, strict=False)
    )
    trials = _study(target, seed, TRIALS, earlier, scales[-1])
    values = [t.values.get(target.objective.metric) for t in trials]
    curve = regret_curve(values, best=target.best, median_random=target.median_random, trials=TRIALS)
    return [round(float(regret), 6) for regret in curve]


@cache
def _source(data: tuple[Path, ...], name: str, seed: int, flipped: bool) -> tuple[Trial, ...]:
    """Return the trials of a source study, cached in a file, so that every case learns from the same trials."""
    kept = Path("build/bench/transfer_sources") / f"{name}{'_turned' if flipped else ''}_{seed}.json"
    task = _table(data, name)
    if flipped:
        task = _flipped(task)
    if kept.exists():
        rows = json.loads(kept.read_text(encoding="utf-8"))
    else:
        rows = [[dict(t.params), t.values.get(task.objective.metric)] for t in _study(task, 1000 + seed, SOURCE_TRIALS)]
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(rows), encoding="utf-8")
    return tuple(_trial(n, params, value, task) for n, (params, value) in enumerate(rows))


def _table(data: Sequence[Path], name: str) -> Task:
    """Return the table of that name; TABLE@7 is the one at fidelity 7."""
    table, _, fidelity = name.partition("@")
    path = next(path for folder in data if (path := folder / f"{table}.json").exists())
    if not fidelity:
        return read_table(path)
    levels = json.loads(path.read_text(encoding="utf-8"))["fidelity"]["values"]
    return read_table(path, level=levels.index(float(fidelity)))


def _flipped(task: Task) -> Task:
    """Return the task with the sign of its values flipped, so that its bad configurations become good."""

    def evaluate(params: Any, seed: int) -> float | Failure:
        found = task.evaluate(params, seed)
        return found if isinstance(found, Failure) else -found

    return replace(task, evaluate=evaluate)


def _study(
    task: Task, seed: int, count: int, earlier: tuple[EarlierStudy, ...] = (), scale: Scale | None = None
) -> list[Trial]:
    sampler, trials = BayesSampler(), list[Trial]()
    for number in range(count):
        view = StudyView(
            space=task.space,
            objectives=(task.objective,),
            trials=trials,
            number=number,
            seed=seed,
            earlier=earlier,
            scale=scale or {},
        )
        params = dict(sampler.suggest(view).params)
        found = task.evaluate(params, seed)
        trials.append(_trial(number, params, None if isinstance(found, Failure) else found, task))
    return trials


def _trial(number: int, params: dict[str, Any], value: float | None, task: Task) -> Trial:
    proposal = Proposal(params=params, source=Source.SAMPLER, seed=number)
    if value is None:
        failure = Failure(kind=FailureKind.CRASH, reason="failed when the table was measured")
        outcome = Outcome(state=TrialState.FAILED, failure=failure)
    else:
        outcome = Outcome(state=TrialState.COMPLETE, values={task.objective.metric: value})
    return Trial(number=number, proposal=proposal, state=outcome.state, outcome=outcome)


def _read(path: Path) -> dict[tuple[Case, int], list[float]]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(Case(r["kind"], tuple(r["sources"]), r["target"]), r["seed"]): r["regret"] for r in rows}


def _print(chosen: Sequence[Case], done: dict[tuple[Case, int], list[float]], seeds: int) -> None:
    print("| kind | from | to | cold 5 10 25 | warm 1 5 10 25 | warm 10 / cold 25 | warm / cold at 10 | at 25 |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in dict.fromkeys(c.kind for c in chosen):
        both = []
        for case in [c for c in chosen if c.kind == kind]:
            cold = np.array([done[Case("cold", (), case.target), s] for s in range(seeds)])
            warm = np.array([done[case, s] for s in range(seeds)])
            both.append((cold, warm))
            _print_row(kind, " ".join(case.sources), case.target, [(cold, warm)])
        _print_row(f"**{kind}**", "", "all", both)


def _print_row(kind: str, sources: str, target: str, both: Sequence[tuple[Any, Any]]) -> None:
    cold = np.mean([a.mean(axis=0) for a, _ in both], axis=0)
    warm = np.mean([w.mean(axis=0) for _, w in both], axis=0)
    ratios = [_ratio(both, w, a) for w, a in ((EARLY, TRIALS), (EARLY, EARLY), (TRIALS, TRIALS))]
    left = " ".join(f"{cold[n - 1]:.3f}" for n in (5, EARLY, TRIALS))
    right = " ".join(f"{warm[n - 1]:.3f}" for n in (1, 5, EARLY, TRIALS))
    print(f"| {kind} | {sources} | {target} | {left} | {right} | {' | '.join(ratios)} |")


def _ratio(both: Sequence[tuple[Any, Any]], warm_at: int, cold_at: int, resamples: int = 2000) -> str:
    """Return the ratio of mean regrets with its 95% interval: cases are drawn with replacement, then their seeds."""
    rng = np.random.default_rng(0)

    def ratio(pairs: Sequence[tuple[Any, Any]]) -> float:
        up = np.mean([w.mean(axis=0)[warm_at - 1] for _, w in pairs])
        down = np.mean([a.mean(axis=0)[cold_at - 1] for a, _ in pairs])
        return float(up / max(down, 1e-9))

    drawn = []
    for _ in range(resamples):
        picked = [both[i] for i in rng.integers(len(both), size=len(both))]
        rows = [rng.integers(len(a), size=len(a)) for a, _ in picked]
        drawn.append(ratio([(a[r], w[r]) for (a, w), r in zip(picked, rows, strict=True)]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{ratio(both):.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
