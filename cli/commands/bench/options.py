"""The options of `tunesmith bench`, and the choice between its two comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What to compare and where to write it.

    Attributes:
        trials: per run.
        seeds: number of runs per task and planner.
        jobs: runs at once.
        results: the file that keeps finished runs; None for the default path.
        full_runs: compare early stopping, each planner spending the epochs of this many full runs; None to compare
            by trials.
    """

    planners: Sequence[str]
    tasks: Sequence[str]
    folders: Sequence[Path]
    trials: int
    seeds: int
    jobs: int
    json_file: Path | None
    results: Path | None
    plots: Path | None
    per_task: bool
    model: str | None = None
    base_url: str | None = None
    permute_feedback: bool = False
    full_runs: int | None = None

    def results_path(self, default: str) -> Path:
        """Return the file that keeps finished runs: as given, else next to the JSON file, else `default`."""
        if self.results is not None:
            return self.results
        return self.json_file.with_suffix(".runs.jsonl") if self.json_file else Path(default)


def run_bench(options: BenchOptions) -> int:
    """Run the missing runs, then print the comparison; return the exit status.

    Raises:
        SpecError: a name or a number is wrong.
        ProjectError: a file or a package is missing, or a file cannot be written.
    """
    if options.full_runs is not None:
        from tunesmith.cli.commands.bench.epochs import run_epochs

        return run_epochs(options, options.full_runs)
    from tunesmith.cli.commands.bench.tables import run_tables

    return run_tables(options)
