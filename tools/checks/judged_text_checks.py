"""Checks what [judge] needs: its files, enough labels, and a trial that writes texts. Asks no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunesmith.evaluator.preview.dry_run import DryRun
from tunesmith.evaluator.readers.labels_file import read_labels
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.judge import MIN_LABELS
from tunesmith.study.errors import ProjectError
from tunesmith.study.formatting import count
from tunesmith.tools.checks.finding import Finding


def judged_text_findings(spec: StudySpec, project: Path) -> list[Finding]:
    """Return whether the files of [judge] can be read, and whether there are enough labels; none without [judge]."""
    if spec.judge is None:
        return []
    try:
        labels = len(read_labels(spec.judge, project))
    except ProjectError as error:
        return [Finding(level="problem", what="labels", detail=str(error))]
    if labels < MIN_LABELS:
        wanted = f"{count(labels, 'labelled example')}, of which {MIN_LABELS} are needed to know the judge"
        level = "warning" if spec.judge.accept_unproven else "problem"
        return [Finding(level=level, what="labels", detail=wanted)]
    detail = f"{labels} labelled examples; the judge is asked about them before the first trial"
    return [Finding(level="ok", what="labels", detail=detail)]


def texts_findings(spec: StudySpec, run: DryRun) -> Iterator[Finding]:
    """Yield that a trial wrote no texts, which [judge] or a text parameter reads."""
    if not run.ended or run.outcome.failure is not None or not (spec.judge or spec.texts):
        return
    name = spec.outputs_file
    if any(path.endswith(f"/{name}") or path == name for path in run.outcome.artifacts):
        return
    if spec.judge is not None:
        detail = f"it wrote no {{artifacts}}/{name}, the file of texts that [judge] reads"
        yield Finding(level="problem", what="texts", detail=detail)
    else:
        detail = f"it wrote no {{artifacts}}/{name}, so the model cannot see how single examples went"
        yield Finding(level="warning", what="texts", detail=detail)
