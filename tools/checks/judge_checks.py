"""Checks whether edits of the code have a judge; without one, their gains are claims."""

from __future__ import annotations

from tunesmith.study.config.spec import StudySpec
from tunesmith.tools.checks.finding import Finding
from tunesmith.tools.script_reader.judge_script import ASK


def judge_findings(spec: StudySpec) -> list[Finding]:
    """Return a warning for a study with [edits] whose code nothing but itself measures."""
    if spec.edits is None or not spec.trusts_edits:
        return []
    return [Finding(level="warning", what="judge", detail=f"{ASK};\n`tunesmith judge` writes one to start from")]
