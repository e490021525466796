"""Shows a comparison in a terminal: a table for each task, the verdicts, and the profile in numbers."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from tunesmith.bench.methods.results import MethodResult
from tunesmith.bench.methods.studies import Plan
from tunesmith.bench.methods.targets import MULTIPLES, ratios, share_within, targets, time_to_target
from tunesmith.bench.methods.verdicts import final_sample, verdicts
from tunesmith.cli.commands.compare.running import Results
from tunesmith.cli.display.format import show
from tunesmith.study.units import short_number, short_seconds
from tunesmith.tools.analysis.findings.figures import plus_minus

_PIPE_WIDTH = 1_000


def print_comparison(results: Results, given: Mapping[str, float], plan: Plan) -> None:
    """Print everything that the comparison found; `given` holds targets by metric."""
    target = targets(results, given)
    for task, methods in results.items():
        first = next(iter(methods.values()))[0]
        direction = "lower" if first.objective.sign > 0 else "higher"
        trials = max(r.trials for some in methods.values() for r in some)
        seeds = f", each confirmed on {plan.seeds} fresh seeds" if first.fresh else ""
        budget = f"{trials} trials x {plan.repeats} repeats{seeds}"
        show(f"\n{task}: {first.objective.metric}, {direction} is better; {budget}\n")
        # A pipe has no width: what reads it must not find rows that are broken in two.
        console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
        console.print(_table(methods, target.get(task), confirmed=bool(first.fresh)))
        if not first.fresh:
            show("The command takes no {seed}: values are the best of tuning, which flatters noisy methods.")
    show()
    for verdict in verdicts(results):
        show(f"{verdict.task}: {verdict.words}" if len(results) > 1 else verdict.words)
    for line in _profile_lines(ratios(results, target)):
        show(line)


def _table(methods: Mapping[str, Sequence[MethodResult]], target: float | None, *, confirmed: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method")
    for title in ("confirmed" if confirmed else "value", "tuned", "failed"):
        table.add_column(title, justify="right")
    if target is not None:
        table.add_column(f"reached {target:.4g}", justify="right")
        table.add_column("trials until then", justify="right")
        table.add_column("training until then", justify="right")
    for method, results in methods.items():
        found = final_sample(results)
        tuned = [r.tuned for r in results if r.tuned is not None]
        failed = sum(r.failed for r in results) / max(1, sum(r.trials for r in results))
        cells = [method, plus_minus(found) if found else "--"]
        cells += [short_number(sum(tuned) / len(tuned)) if tuned else "--", f"{failed:.0%}"]
        table.add_row(*cells, *(_target_cells(results, target) if target is not None else ()))
    return table


def _target_cells(results: Sequence[MethodResult], target: float) -> tuple[str, str, str]:
    """Return in how many repeats the target was reached, and the median trials and seconds until then over all."""
    needed = time_to_target(results, target)
    reached = f"{needed.reached} of {needed.repeats}"
    if not math.isfinite(needed.trials):
        return reached, "--", "--"
    return reached, f"{needed.trials:g}", short_seconds(needed.seconds)


def _profile_lines(found: Mapping[str, Sequence[float]]) -> list[str]:
    """Return in what share of tasks and repeats each method reached the target soon enough."""
    if not any(found.values()):
        return []
    lines = ["Target reached within a multiple of the fastest method's trials, as a share of tasks and repeats:"]
    for method, values in found.items():
        shares = (f"{multiple:.0f}x {share_within(values, multiple):.0%}" for multiple in MULTIPLES)
        lines.append(f"  {method}: {', '.join(shares)}")
    return lines
