"""Compares the strategies of code search by simulation on measured banks.

    python bench/experiments/edits/banks/compare.py --seeds 20

Prints the metric of the leading version after 20, 40 and 80 trials, relative to the project's own code, the paired
difference of each strategy to `adaptive` with a 95% interval, and in how many studies the leading version was as good
as the best set that was measured, and had the bank's best idea.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from statistics import mean, stdev

from tunesmith.agent.code_search.strategies.registry import make_strategy
from tunesmith.bench.experiments.edits.banks.bank import MEASURED, measured
from tunesmith.bench.experiments.edits.banks.world import MeasuredWorld, check_errors, measured_world
from tunesmith.bench.experiments.edits.simulation import STRATEGIES, Names, simulated

MARKS = (20, 40, 80)
Curve = Sequence[tuple[float, Names]]


def curves_of(world: MeasuredWorld, *, seeds: int, trials: int) -> dict[str, list[Curve]]:
    """Return the curves of every strategy over the same seeds."""
    return {
        name: [simulated(make_strategy(name), world, trials=trials, seed=seed) for seed in range(seeds)]
        for name in STRATEGIES
    }


def log_losses(curves: Sequence[Curve], world: MeasuredWorld, trials: int) -> list[float]:
    """Return the logarithm of each study's loss after some trials, relative to the project's own code."""
    return [math.log(curve[trials - 1][0] / world.default) for curve in curves]


def has_best_idea(curve: Curve, world: MeasuredWorld, trials: int) -> bool:
    """Return whether the leading version has the bank's best idea, under this name or in other words."""
    same = {world.best_idea, *(idea.name for idea in world.ideas if idea.same_as == world.best_idea)}
    return bool(same & curve[trials - 1][1])


def rows(project: str, world: MeasuredWorld, *, seeds: int) -> Iterator[str]:
    """Yield a line for each strategy."""
    found = curves_of(world, seeds=seeds, trials=max(MARKS))
    yield f"{project}: best idea {world.best_idea}, best set {math.exp(world.lowest):.3f} of the default"
    for name, curves in found.items():
        cells = []
        for trials in MARKS:
            own, ours = log_losses(curves, world, trials), log_losses(found["adaptive"], world, trials)
            behind = [a - b for a, b in zip(own, ours, strict=True)]
            margin = 1.96 * stdev(behind) / math.sqrt(seeds) if seeds > 1 else 0.0
            versus = "" if name == "adaptive" else f" ({mean(behind):+.3f} ± {margin:.3f})"
            cells.append(f"{math.exp(mean(own)):.3f}{versus}")
        reached = sum(has_best_idea(curve, world, 40) for curve in curves)
        best = sum(value <= world.lowest + 0.01 for value in log_losses(curves, world, 40))
        counts = f"by 40 trials the best set's value: {best}, the best idea itself: {reached} of {seeds}"
        yield f"  {name:<9} " + " | ".join(cells) + f" | {counts}"


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="*", default=list(MEASURED))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--max-ideas", type=int, default=3, help="in one answer")
    args = parser.parse_args()
    for project in args.projects:
        errors = check_errors(measured(project))
        print("\n".join(rows(project, measured_world(project, max_ideas=args.max_ideas), seeds=args.seeds)))
        rms = math.sqrt(mean((a - b) ** 2 for a, b in errors)) if errors else math.nan
        print(f"  derived values of {len(errors)} other sets: root mean square error of the logarithm {rms:.3f}")


if __name__ == "__main__":
    main()
