"""`tunesmith bench`: compares planners by trials and prints the figures, which bench/ computes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from tunesmith.bench.planners import require_planners
from tunesmith.bench.planners.llm import LLM_PLANNERS
from tunesmith.bench.runner import Crash, run_all
from tunesmith.bench.runs import ResultsFile, RunKey
from tunesmith.bench.summary import Comparison, PlannerFigures, compare, marks_for
from tunesmith.bench.tasks import choose_tasks
from tunesmith.cli.commands.bench.options import BenchOptions
from tunesmith.cli.exits import DONE, INTERRUPTED, NOTHING_COMPLETE
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.files import write_atomic


def run_tables(options: BenchOptions) -> int:
    """Run the missing runs, then print the comparison; return the exit status, 1 if a run crashed.

    Raises:
        SpecError: a name or a number is wrong.
        ProjectError: a file or a package is missing.
    """
    _check_numbers(options)
    chosen = choose_tasks(options.tasks, options.folders)
    for line in chosen.skipped:
        print(line, file=sys.stderr)
    if not chosen.tasks:
        raise ProjectError("none of these tasks can run here; `--task all` runs every task that can")
    planners = list(dict.fromkeys(_run_name(name, options) for name in options.planners))
    require_planners(planners, chosen.tasks[0])
    results = ResultsFile(options.results_path("bench.runs.jsonl"))
    seeds = range(options.seeds)
    # Seed by seed, so that what an interruption leaves is balanced over tasks and planners.
    keys = [RunKey(t.name, p, s, options.trials) for s in seeds for t in chosen.tasks for p in planners]
    progress = _Progress(len(keys), sum(key in results.runs for key in keys))
    try:
        crashes = run_all(keys, results, folders=options.folders, jobs=options.jobs, on_done=progress.done)
    except KeyboardInterrupt:
        print("\nInterrupted. Finished runs are kept; run the same command again for the rest.", file=sys.stderr)
        return INTERRUPTED
    comparison = compare(results.runs, tasks=chosen.tasks, planners=planners, seeds=seeds, trials=options.trials)
    _show(comparison, crashes, per_task=options.per_task)
    _write(comparison, crashes, options)
    return NOTHING_COMPLETE if crashes else DONE


def _run_name(name: str, options: BenchOptions) -> str:
    """Return the name under which a planner's runs are kept: with its model and address if it uses an LLM."""
    if name not in LLM_PLANNERS or options.model is None:
        return name
    permuted = f"{name}-permuted" if options.permute_feedback else name
    return "@".join([permuted, options.model, *([options.base_url] if options.base_url else [])])


def _check_numbers(options: BenchOptions) -> None:
    numbers = {"--trials": options.trials, "--seeds": options.seeds, "--jobs": options.jobs}
    wrong = [Mistake(name, f"is {number}; expected 1 or more") for name, number in numbers.items() if number < 1]
    if wrong:
        raise SpecError(wrong, where="the command line")


class _Progress:
    """One line on stderr per finished run."""

    def __init__(self, total: int, kept: int) -> None:
        self._total, self._count = total, kept
        if kept:
            print(f"{kept} of {total} runs are finished already", file=sys.stderr)

    def done(self, key: RunKey, reason: str) -> None:
        """Print the end of one run."""
        self._count += 1
        end = f"crashed: {reason}" if reason else "done"
        print(f"[{self._count}/{self._total}] {key.task}  {key.planner}  seed {key.seed}  {end}", file=sys.stderr)


def _show(comparison: Comparison, crashes: Sequence[Crash], *, per_task: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(_planner_table(comparison))
    for figures in comparison.planners:
        if figures.worse_than_random:
            console.print(f"{figures.planner} ends worse than random on: {', '.join(figures.worse_than_random)}")
    if per_task:
        console.print(_task_table(comparison))
    for crash in crashes:
        key = crash.key
        console.print(f"crashed: {key.task}  {key.planner}  seed {key.seed}: {crash.reason}", markup=False)


def _planner_table(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="mean normalized regret [95% interval over tasks and seeds]")
    table.add_column("planner")
    for mark in marks_for(comparison.trials):
        table.add_column(f"{mark} trials", justify="right")
    for name in ("rank", "failed", "s/ask", "p90", "< random", "tasks", "runs"):
        table.add_column(name, justify="right")
    for figures in comparison.planners:
        table.add_row(*_planner_row(figures))
    return table


def _planner_row(figures: PlannerFigures) -> list[str]:
    worse = figures.worse_than_random
    return [
        figures.planner,
        *(f"{i.mean:.3f} \\[{i.low:.3f}, {i.high:.3f}]" for i in figures.regret.values()),
        "-" if math.isnan(figures.rank) else f"{figures.rank:.2f}",
        f"{figures.failed_share:.1%}",
        f"{figures.ask_mean_s:.3f}",
        f"{figures.ask_p90_s:.3f}",
        "-" if worse is None else str(len(worse)),
        str(figures.tasks),
        str(figures.runs),
    ]


def _task_table(comparison: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="mean normalized regret by task")
    table.add_column("task")
    table.add_column("planner")
    for mark in marks_for(comparison.trials):
        table.add_column(f"{mark} trials", justify="right")
    table.add_column("failed", justify="right")
    table.add_column("seeds", justify="right")
    for figures in comparison.tasks:
        regrets = [f"{regret:.3f}" for regret in figures.regret.values()]
        table.add_row(figures.task, figures.planner, *regrets, f"{figures.failed_share:.1%}", str(figures.seeds))
    return table


def _write(comparison: Comparison, crashes: Sequence[Crash], options: BenchOptions) -> None:
    if options.json_file:
        crashed = [
            {"task": c.key.task, "planner": c.key.planner, "seed": c.key.seed, "reason": c.reason} for c in crashes
        ]
        try:
            write_atomic(options.json_file, json.dumps({**comparison.to_json(), "crashed": crashed}))
        except OSError as error:
            raise ProjectError(f"--json {options.json_file} cannot be written: {error.strerror}") from None
    if options.plots and comparison.planners:
        from tunesmith.bench.plots import draw  # plotly and matplotlib: 0.7 s

        written = draw(comparison, options.plots)
        print("\n".join(map(str, written)))
        if len(written) == 1:
            print("no PNG was written: it needs matplotlib (pip install 'tunesmith[bench]')", file=sys.stderr)
