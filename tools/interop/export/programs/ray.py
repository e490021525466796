"""A program for Ray Tune: points_to_evaluate, of which the first have their rewards and are not run again."""

from __future__ import annotations

from tunesmith.tools.warmstart.handover import Handover
from tunesmith.tools.warmstart.program import write_program
from tunesmith.tools.warmstart.tune_space import say


def export(handover: Handover, out: str) -> list[str]:
    """Write the program."""
    return write_program("ray", handover, out, say, package='"ray[tune]" optuna')
