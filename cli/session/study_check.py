"""Tries a study before it is started: a dry run that Ctrl-C ends, and what it showed. Prints nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.evaluator.preview.dry_run import DryRun, dry_run
from tunesmith.history.read import History
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import DiskFull, ProjectError
from tunesmith.tools.analysis.failing_instances import failing_lines
from tunesmith.tools.checks.dry_run_findings import dry_run_findings, start_problem
from tunesmith.tools.checks.finding import Finding
from tunesmith.tools.checks.judge_checks import judge_findings
from tunesmith.tools.checks.judge_data import judge_data_findings
from tunesmith.tools.checks.judged_text_checks import judged_text_findings
from tunesmith.tools.checks.study_checks import check_command


def try_study(
    spec: StudySpec, study: Path, *, history: Path | None, seconds: float
) -> tuple[DryRun | None, list[Finding]]:
    """Return a dry run of the study and what it showed; no run where it could not start.

    Raises:
        DiskFull: the disk is full.
        KeyboardInterrupt: a person ended it.
    """
    project = study_file(study).absolute().parent
    command = check_command(spec, project)
    if command.level == "problem":
        return None, [command]
    try:
        with _cancelled_by_signals() as cancelled:
            run = dry_run(
                spec,
                project=project,
                study_root=history_file(study, history).absolute().parent,
                seconds=seconds,
                is_cancelled=cancelled.is_set,
            )
    except DiskFull:
        raise
    except ProjectError as error:
        return None, [start_problem(error)]
    earlier = _failing_earlier(spec, history_file(study, history))
    return run, [
        *dry_run_findings(spec, run),
        *judge_findings(spec),
        *judged_text_findings(spec, project),
        *judge_data_findings(spec, project),
        *earlier,
    ]


def _failing_earlier(spec: StudySpec, history: Path) -> list[Finding]:
    """Return the instances that failed in all runs of the study so far."""
    if spec.instances is None:
        return []
    opened = History.open_if_any(history)
    if opened is None:
        return []
    with opened as known:
        record = known.find(spec.study.name)
        lines = failing_lines(known.trials(record.id)) if record is not None else []
    return [Finding(level="warning", what="instances", detail="\n".join(lines))] if lines else []


@contextmanager
def _cancelled_by_signals() -> Iterator[threading.Event]:
    """Set an event on Ctrl-C and SIGTERM instead of ending the process."""
    cancelled = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: cancelled.set())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield cancelled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
