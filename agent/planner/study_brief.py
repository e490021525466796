"""Collects what a prompt says about a study and what does not change while it runs: aim, space, script, hardware."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.prompts.planner_prompts import StudyBrief
from tunesmith.study.config.command import script_path
from tunesmith.study.config.record import Lesson
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.timing import timed_text
from tunesmith.study.units import short_number

MAX_SCRIPT_BYTES = 40_000
"""Length from which on a script is cut off in the prompt."""


def make_study_brief(spec: StudySpec, project: Path | None, lessons: Sequence[Lesson]) -> StudyBrief:
    """Return the constant part of a study's prompts.

    Args:
        spec: the study.
        project: the folder of the study's files; None for a study from Python, which has no command and no script.
        lessons: what was learned in this study, and in earlier ones of the same script.
    """
    fidelity = spec.fidelity
    return StudyBrief(
        name=spec.study.name,
        space=spec.space,
        objectives=spec.objectives,
        constraints=spec.metric_constraints,
        description=spec.study.description,
        command=_command(spec) if project else "",
        hardware=_hardware() if project else "",
        fidelity=f"{fidelity.name} = {short_number(fidelity.max)}" if fidelity else "",
        script=_script(spec.run.command, project) if project else "",
        insights=tuple(lesson for lesson in lessons if not lesson.study),
        earlier=tuple(lesson for lesson in lessons if lesson.study),
    )


def _command(spec: StudySpec) -> str:
    """Return the command, with the one that measures the server it starts, or what a judge of time times."""
    if spec.evaluate is not None and spec.evaluate.is_time:
        return timed_text(spec.evaluate, spec.run.command)
    return spec.run.command + (f"  # measured by: {spec.serve.bench}" if spec.serve is not None else "")


def _script(command: str, project: Path) -> str:
    """Return the source of the script that the command runs; "" if the command names no file of the project."""
    path = project / (script_path(command) or ".")
    return path.read_bytes()[:MAX_SCRIPT_BYTES].decode("utf-8", errors="replace") if path.is_file() else ""


def _hardware() -> str:
    import os

    import psutil

    from tunesmith.evaluator.gpu.gpus import find_gpus

    gpus = find_gpus().gpus
    memory_gib = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} CPU cores, {memory_gib:.0f} GiB of memory, {len(gpus)} GPU{'s' if len(gpus) != 1 else ''}"
