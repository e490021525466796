"""`tunesmith check`: runs the default configuration for some seconds and says what the study would see."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.cli.display.format import show
from tunesmith.cli.exits import INTERRUPTED
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.evaluator.dry_run import DryRun, dry_run
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import DiskFull, ProjectError
from tunesmith.tools.checks.dry_run_findings import dry_run_findings, dry_run_json, start_problem
from tunesmith.tools.checks.finding import Finding, finding_lines, has_problem
from tunesmith.tools.checks.judge_checks import judge_findings
from tunesmith.tools.checks.judge_data import judge_data_findings
from tunesmith.tools.checks.study_checks import check_command

PROBLEM = 1


def check_study(study: Path, *, history: Path | None, seconds: float, as_json: bool) -> int:
    """Print what a dry run shows; return the exit status.

    Raises:
        InputError: the study file is missing or has mistakes, or the disk is full.
    """
    spec = load_spec(study)
    if not as_json:
        show(f"{spec.study.name}: running the default for at most {seconds:g} s; nothing is recorded")
    try:
        run, findings = try_study(spec, study, history=history, seconds=seconds)
    except KeyboardInterrupt:
        show("interrupted; nothing is left behind")
        return INTERRUPTED
    _print(spec, run, findings, as_json=as_json)
    return PROBLEM if has_problem(findings) else 0


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
    return run, [*dry_run_findings(spec, run), *judge_findings(spec), *judge_data_findings(spec, project)]


def _print(spec: StudySpec, run: DryRun | None, findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        lines = [{"level": f.level, "what": f.what, "detail": f.detail} for f in findings]
        failed = {"study": spec.study.name, "ok": False, "findings": lines}
        show(json.dumps(failed if run is None else dry_run_json(spec, run, findings), indent=2))
        return
    show("\n".join(finding_lines(findings)))
    if has_problem(findings):
        show("\nCorrect what is marked ✗, then check again.")
    else:
        show("\nThe study can start: tunesmith run")


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
