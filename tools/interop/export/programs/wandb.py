"""Exports to a program for Weights & Biases: a run per result, and a sweep over the study's space."""

from __future__ import annotations

import json
from typing import Any

from tunesmith.study.space.parameters import Float, Int, Parameter
from tunesmith.tools.interop.export.program import values_of, write_program
from tunesmith.tools.interop.study_export import StudyExport


def export(exported: StudyExport, out: str) -> list[str]:
    """Write the program."""
    return write_program("wandb", exported, out, _render_parameter, package="wandb")


def _render_parameter(name: str, parameter: Parameter) -> str:  # noqa: ARG001  # the caller names every parameter
    return repr(_entry(parameter))


def _entry(parameter: Parameter) -> dict[str, Any]:
    match parameter:
        case Float(low=low, high=high, step=step) | Int(low=low, high=high, step=step) if step is not None:
            return {"distribution": "q_uniform", "min": low, "max": high, "q": step}
        case Float(low=low, high=high, log=log):
            return {"distribution": "log_uniform_values" if log else "uniform", "min": low, "max": high}
        case Int(low=low, high=high, log=True):
            return {"distribution": "q_log_uniform_values", "min": low, "max": high, "q": 1}
        case Int(low=low, high=high):
            return {"distribution": "int_uniform", "min": low, "max": high}
    return {"values": json.loads(json.dumps(values_of(parameter)))}
