"""`tunesmith bench --full-runs N`: compares early stopping on tables with learning curves, by epochs spent."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tunesmith.bench.epochs.figures import TARGETS, EpochFigures, by_task, epochs_to, figures, ratio, regret_at
from tunesmith.bench.epochs.runner import EpochKey, EpochRun, check_planners, curve_tasks, run_all
from tunesmith.bench.statistics import Interval
from tunesmith.cli.commands.bench.options import BenchOptions
from tunesmith.cli.exits import DONE, INTERRUPTED
from tunesmith.study.errors import ProjectError

Runs = Mapping[EpochKey, EpochRun]


def run_epochs(options: BenchOptions, full_runs: int) -> int:
    """Run the missing runs, then print the comparison; return the exit status.

    Args:
        options: what to compare.
        full_runs: each planner may spend the epochs of this many full runs.

    Raises:
        SpecError: a name is wrong.
        ProjectError: a file or a package is missing, or a file cannot be written.
    """
    check_planners(options.planners)
    tasks = [task.name for task in curve_tasks(options.tasks, options.folders)]
    planners = list(dict.fromkeys(options.planners))
    keys = [EpochKey(t, p, s, full_runs) for s in range(options.seeds) for t in tasks for p in planners]
    file = options.results_path("bench-epochs.runs.jsonl")
    numbers = itertools.count(1)

    def on_done(key: EpochKey) -> None:
        print(f"[{next(numbers)}] {key.task}  {key.planner}  seed {key.seed}  done", file=sys.stderr)

    try:
        runs = run_all(keys, file, folders=options.folders, jobs=options.jobs, on_done=on_done)
    except KeyboardInterrupt:
        print("\nInterrupted. Finished runs are kept; run the same command again for the rest.", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        raise ProjectError(f"{file} cannot be written: {error.strerror}; name another with --results") from None
    found = [figures(runs, planner, full_runs) for planner in planners]
    _show(found, runs, full_runs, per_task=options.per_task)
    if options.json_file:
        _write(found, full_runs, options.json_file)
    return DONE


def _write(found: Sequence[EpochFigures], full_runs: int, file: Path) -> None:
    document = {"full_runs": full_runs, "planners": [asdict(f) for f in found]}
    try:
        file.write_text(json.dumps(document), "utf-8")
    except OSError as error:
        raise ProjectError(f"--json {file} cannot be written: {error.strerror}") from None


def _show(found: Sequence[EpochFigures], runs: Runs, full_runs: int, *, per_task: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(_regrets(found))
    console.print(_epochs(found, full_runs))
    first, *others = found
    for other in others:
        ratios = ", ".join(
            f"{target:.0%}: {_interval(ratio(runs, first.planner, other.planner, target, full_runs), 2)}"
            for target in TARGETS
        )
        console.print(
            f"epochs of {first.planner} over those of {other.planner} until a regret of {ratios}", markup=False
        )
    if per_task:
        console.print(_by_task([f.planner for f in found], runs, full_runs))


def _regrets(found: Sequence[EpochFigures]) -> Table:
    title = "mean normalized regret of the best full run [95% interval over tasks and seeds], by epochs in full runs"
    table = Table(box=box.SIMPLE_HEAD, title=title)
    table.add_column("planner")
    for mark in found[0].regret:
        table.add_column(f"{mark}", justify="right")
    for each in found:
        table.add_row(each.planner, *(_interval(i, 3).replace("[", "\\[") for i in each.regret.values()))
    return table


def _epochs(found: Sequence[EpochFigures], full_runs: int) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"full runs until a regret (if never: {full_runs}; share of never in parentheses)",
    )
    table.add_column("planner")
    for target in TARGETS:
        table.add_column(f"{target:.0%}", justify="right")
    for each in found:
        cells = [f"{_interval(i, 1)} ({each.missed[t]:.0%})" for t, i in each.until.items()]
        table.add_row(each.planner, *(cell.replace("[", "\\[") for cell in cells))
    return table


def _by_task(planners: Sequence[str], runs: Runs, full_runs: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="by task: regret at the end, mean full runs until a regret")
    for name in ("task", "planner", "at the end", *(f"{target:.0%}" for target in TARGETS), "started"):
        table.add_column(name, justify="left" if name in ("task", "planner") else "right")
    for task in dict.fromkeys(key.task for key in sorted(runs)):
        for planner in planners:
            mine = by_task(runs, planner)[task]
            means = [sum(epochs_to(r, t, full_runs) for r in mine) / len(mine) for t in TARGETS]
            end = sum(regret_at(r, full_runs) for r in mine) / len(mine)
            started = sum(r.started for r in mine) / len(mine)
            table.add_row(task, planner, f"{end:.4f}", *(f"{mean:.1f}" for mean in means), f"{started:.0f}")
    return table


def _interval(interval: Interval, digits: int) -> str:
    return f"{interval.mean:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
