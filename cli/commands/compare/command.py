"""`tunesmith compare`: tunes each method of each task with the same budget, confirms, and says which is better."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.bench.methods.latex import latex_table
from tunesmith.bench.methods.pictures import draw
from tunesmith.bench.methods.studies import Plan
from tunesmith.bench.methods.targets import ratios, targets
from tunesmith.bench.methods.verdicts import final_value, verdicts
from tunesmith.cli.commands.compare.running import (
    MethodRun,
    Results,
    finish,
    method_runs,
    progress_line,
    result_of,
    results_of,
)
from tunesmith.cli.commands.compare.showing import print_comparison
from tunesmith.cli.display.format import short_path, show
from tunesmith.cli.exits import DONE, INTERRUPTED, NOTHING_COMPLETE
from tunesmith.cli.session.locate import history_file
from tunesmith.study.errors import Mistake, ProjectError, SpecError
from tunesmith.study.files import write_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What the command line asks for. `targets` are texts such as "val_loss=0.2"."""

    studies: Sequence[Path]
    plan: Plan
    targets: Sequence[str] = ()
    out: Path | None = None
    history: Path | None = None
    as_json: bool = False


def compare_methods(options: CompareOptions) -> int:
    """Run what is missing, print the comparison and write its files; return the exit status.

    Raises:
        InputError: a study file or the command line is wrong, or another process holds a history.
    """
    given = _targets(options.targets)
    runs = list(method_runs(options.studies, options.plan, options.history))
    _require_known(given, {run.study.spec.objectives[0].metric for run in runs})
    _make_folder(_folder(options))
    for index, run in enumerate(runs, start=1):
        if not finish(run, options.plan):
            show("\nInterrupted. Finished trials are kept; run the same command again for the rest.")
            return INTERRUPTED
        if not options.as_json:
            show(f"[{index}/{len(runs)}] {progress_line(run)}")
        if index == 2:  # noqa: PLR2004  # the first two methods
            _require_some_success(runs[:index])
    results = results_of(runs)
    document = _document(results, given)
    if options.as_json:
        show(json.dumps(document, indent=2))
    else:
        print_comparison(results, given, options.plan)
    _write(results, given, document, options)
    complete = all(result.improvements for some in results.values() for rs in some.values() for result in rs)
    return DONE if complete else NOTHING_COMPLETE


def _folder(options: CompareOptions) -> Path:
    """Return the folder for the files."""
    default = history_file(options.studies[0], options.history).parent / f"compare-{options.plan.by}"
    return options.out or default


def _make_folder(folder: Path) -> None:
    """Make the folder for the files before hours of trials.

    Raises:
        ProjectError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProjectError(f"--out {short_path(folder)} cannot be a folder: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ProjectError(f"--out {short_path(folder)} cannot be written: no permission")


def _targets(texts: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise SpecError(
                [Mistake("--target", f"is {text!r}; expected METRIC=NUMBER")], where="the command line"
            ) from None
    return found


def _require_some_success(runs: Sequence[MethodRun]) -> None:
    """Stop a comparison whose first two methods failed: then the environment is broken, not a method.

    Raises:
        ProjectError: neither has a complete trial.
    """
    results = [result_of(run) for run in runs]
    if any(result is not None and result.improvements for result in results):
        return
    notes = [note for run in runs for note in run.notes]
    reason = f": {notes[-1]}" if notes else ""
    raise ProjectError(f"no trial of the first two methods is complete{reason}; `tunesmith check` says what is wrong")


def _require_known(given: Mapping[str, float], metrics: Collection[str]) -> None:
    """Check that each target is a finite number of a metric that is compared.

    Raises:
        SpecError: another metric is named, or no finite number.
    """
    for name, value in given.items():
        if name not in metrics:
            message = f"names {name}, but what is compared is {', '.join(sorted(metrics))}"
            raise SpecError([Mistake("--target", message)], where="the command line")
        if not math.isfinite(value):
            raise SpecError([Mistake("--target", f"{name}={value} is not a finite number")], where="the command line")


def _document(results: Results, given: Mapping[str, float]) -> dict[str, Any]:
    target = targets(results, given)
    return {
        "targets": target,
        "results": [
            {**asdict(result), "final": final_value(result)}
            for some in results.values()
            for rs in some.values()
            for result in rs
        ],
        "verdicts": [{**asdict(v), "clear": v.is_clear, "words": v.words} for v in verdicts(results)],
        "profile": {
            method: [None if math.isinf(r) else r for r in values] for method, values in ratios(results, target).items()
        },
    }


def _write(results: Results, given: Mapping[str, float], document: Mapping[str, Any], options: CompareOptions) -> None:
    folder, target = _folder(options), targets(results, given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "comparison.json", json.dumps(document, indent=2) + "\n")
        write_atomic(folder / "comparison.tex", latex_table(results, target))
        pictures = draw(results, target, ratios(results, target), folder)
    except OSError as error:
        raise ProjectError(f"{short_path(folder)} cannot be written: {error.strerror}") from None
    if not options.as_json:
        names = ", ".join(["comparison.json", "comparison.tex", *(path.name for path in pictures)])
        missing = "" if pictures else "; the figure needs matplotlib: pip install 'tunesmith[bench]'"
        show(f"\n{short_path(folder)}: {names}{missing}")
