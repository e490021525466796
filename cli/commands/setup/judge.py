"""`tunesmith judge`: writes evaluate.py, a judge to start from, for a study whose code is edited."""

from __future__ import annotations

from pathlib import Path

from tunesmith.cli.display.format import short_path, show
from tunesmith.cli.session.locate import study_file
from tunesmith.study.config.load import load_spec
from tunesmith.study.errors import ProjectError
from tunesmith.tools.script_reader import judge_script


def write_judge(folder: Path) -> None:
    """Write a judge for the study in a folder, and print what to add to study.toml.

    Raises:
        InputError: the study file is missing or has mistakes.
        ProjectError: the judge's file exists already, or cannot be written.
    """
    spec = load_spec(folder)
    target = study_file(folder).absolute().parent / judge_script.FILE
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(judge_script.judge_script(spec))
    except FileExistsError:
        raise ProjectError(f"{short_path(target)} exists and is not replaced; rename it first") from None
    except OSError as error:
        raise ProjectError(f"{short_path(target)} cannot be written: {error.strerror}") from None
    steps = [f"  {number}. {step}" for number, step in enumerate(judge_script.judge_steps(), start=1)]
    table = [] if spec.evaluate else ["", "Then add to study.toml:", "", judge_script.TABLE.rstrip()]
    show("\n".join([f"{short_path(target)}: a judge of {spec.objectives[0].metric}", *steps, *table]))
