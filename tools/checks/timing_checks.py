"""Checks of a study with the judge of time: that its files exist, and what a short measurement of the default shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tunesmith.evaluator.preview.dry_run import DryRun
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import EvaluateTable
from tunesmith.study.config.tables.timing import SPEEDUP, is_function
from tunesmith.study.config.template import argv, placeholders
from tunesmith.tools.checks.finding import Finding


def timed_table(spec: StudySpec) -> EvaluateTable | None:
    """Return [evaluate] of a study with the judge of time, None for any other."""
    return spec.evaluate if spec.evaluate is not None and spec.evaluate.is_time else None


def check_timed_programs(table: EvaluateTable, project: Path) -> Finding:
    """Return whether the files and programs that are timed exist."""
    named = {"candidate": table.candidate, "reference": table.reference, "inputs": table.inputs}
    for key, text in named.items():
        problem = _problem(text, project) if text else ""
        if problem:
            return Finding(level="problem", what="command", detail=f"{problem}; correct [evaluate].{key}")
    reference = table.reference or "the project's own code, with the default parameters"
    return Finding(level="ok", what="command", detail=f"{table.candidate} is timed against {reference}")


def timed_findings(table: EvaluateTable, run: DryRun) -> Iterator[Finding]:
    """Yield what the measurement of the default shows, and what would be missed."""
    values = run.outcome.values
    if SPEEDUP in values:
        pairs = f"{values[SPEEDUP]:.3g} times the reference's speed"
        detail = f"the metrics come from the judge of time: {pairs}, in {table.pairs} pairs of calls"
        yield Finding(level="ok", what="judge", detail=detail)
    if table.inputs is not None and not table.checks:
        detail = (
            "no `checks`: results are compared at the timed shapes only; name odd ones too,\n"
            "such as checks = [{ n = 1 }, { n = 257 }], which are compared and not timed"
        )
        yield Finding(level="warning", what="judge", detail=detail)


def _problem(text: str, project: Path) -> str:
    if is_function(text):
        path = text.rpartition(":")[0]
        return "" if (project / path).is_file() else f"{path} is not in {project}"
    words = argv(text, {name: 0 for name in placeholders(text)}) or [""]
    program = words[0]
    exists = (project / program).exists() if os.sep in program else shutil.which(program) or program == "python"
    return "" if exists or "{" in program else f"{program} is neither on PATH nor in {project}"
