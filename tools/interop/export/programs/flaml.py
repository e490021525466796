"""A program for FLAML: points_to_evaluate, of which the first have their rewards and are not run again."""

from __future__ import annotations

from tunesmith.tools.interop.export.program import write_program
from tunesmith.tools.interop.study_export import Handover
from tunesmith.tools.interop.tune_space import say


def export(handover: Handover, out: str) -> list[str]:
    """Write the program."""
    return write_program("flaml", handover, out, say, package="flaml optuna")
