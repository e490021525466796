"""Exports to a program for Ray Tune: points_to_evaluate, with rewards for the results, which do not run again."""

from __future__ import annotations

from tunesmith.tools.interop.export.program import write_program
from tunesmith.tools.interop.study_export import StudyExport
from tunesmith.tools.interop.tune_space import render_parameter


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the program."""
    return write_program("ray", exported, out, render_parameter, package='"ray[tune]" optuna')
