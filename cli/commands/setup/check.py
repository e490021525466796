"""`tunesmith check`: runs the default configuration for some seconds and says what the study would see."""

from __future__ import annotations

import json
from pathlib import Path

from tunesmith.cli.display.format import show
from tunesmith.cli.exits import INTERRUPTED
from tunesmith.cli.session.study_check import try_study
from tunesmith.evaluator.preview.dry_run import DryRun
from tunesmith.study.config.load import load_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.tools.checks.dry_run_findings import dry_run_json
from tunesmith.tools.checks.finding import Finding, finding_lines, has_problem

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
