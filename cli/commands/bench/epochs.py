"""`tunesmith bench --full-runs N`: compares ways to spend epochs on tables with learning curves."""

from __future__ import annotations

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
from tunesmith.cli.exits import DONE, INTERRUPTED
from tunesmith.study.errors import ProjectError
from tunesmith.study.files import write_atomic

Runs = Mapping[EpochKey, EpochRun]


def run_epochs(  # noqa: PLR0913  # one argument per option
    *,
    planners: Sequence[str],
    tasks: Sequence[str],
    folders: Sequence[Path],
    full_runs: int,
    seeds: int,
    jobs: int,
    json_file: Path | None,
    results: Path | None,
    per_task: bool,
) -> int:
    """Run what is missing, then show the comparison; return the exit status.

    Raises:
        SpecError: a name is wrong.
        ProjectError: a file or a package is missing, or cannot be written.
    """
    check_planners(planners)
    chosen = [task.name for task in curve_tasks(tasks, folders)]
    keys = [EpochKey(t, p, s, full_runs) for s in range(seeds) for t in chosen for p in dict.fromkeys(planners)]
    file = results or (json_file.with_suffix(".runs.jsonl") if json_file else Path("bench-epochs.runs.jsonl"))
    done = 0

    def tell(key: EpochKey) -> None:
        nonlocal done
        done += 1
        print(f"[{done}] {key.task}  {key.planner}  seed {key.seed}  done", file=sys.stderr)

    try:
        runs = run_all(keys, file, folders=folders, jobs=jobs, on_done=tell)
    except KeyboardInterrupt:
        print("\nInterrupted; finished runs are kept, the same command goes on with the rest.", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        raise ProjectError(f"{file} cannot be written: {error.strerror}; name another with --results") from None
    found = [figures(runs, planner, full_runs) for planner in dict.fromkeys(planners)]
    _show(found, runs, full_runs, per_task=per_task)
    if json_file:
        write_atomic(json_file, json.dumps({"full_runs": full_runs, "planners": [asdict(f) for f in found]}))
    return DONE


def _show(found: Sequence[EpochFigures], runs: Runs, full_runs: int, *, per_task: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(_regrets(found))
    console.print(_epochs(found, full_runs))
    first, *others = found
    for other in others:
        told = ", ".join(
            f"{target:.0%}: {_interval(ratio(runs, first.planner, other.planner, target, full_runs), 2)}"
            for target in TARGETS
        )
        console.print(f"epochs of {first.planner} over those of {other.planner} until a regret of {told}", markup=False)
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
        box=box.SIMPLE_HEAD, title=f"full runs until a regret of (never counts as {full_runs}; share of never)"
    )
    table.add_column("planner")
    for target in TARGETS:
        table.add_column(f"{target:.0%}", justify="right")
    for each in found:
        cells = [f"{_interval(i, 1)} ({each.missed[t]:.0%})" for t, i in each.until.items()]
        table.add_row(each.planner, *(cell.replace("[", "\\[") for cell in cells))
    return table


def _by_task(planners: Sequence[str], runs: Runs, full_runs: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="by task: regret at the end, mean full runs until a regret of")
    for name in ("task", "planner", "at the end", *(f"{target:.0%}" for target in TARGETS), "begun"):
        table.add_column(name, justify="left" if name in ("task", "planner") else "right")
    for task in dict.fromkeys(key.task for key in sorted(runs)):
        for planner in planners:
            mine = by_task(runs, planner)[task]
            means = [sum(epochs_to(r, t, full_runs) for r in mine) / len(mine) for t in TARGETS]
            end = sum(regret_at(r, full_runs) for r in mine) / len(mine)
            begun = sum(r.begun for r in mine) / len(mine)
            table.add_row(task, planner, f"{end:.4f}", *(f"{mean:.1f}" for mean in means), f"{begun:.0f}")
    return table


def _interval(interval: Interval, digits: int) -> str:
    return f"{interval.mean:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
