"""`tunesmith init SCRIPT`: writes a study.toml for a training script and prints what it found."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.cli.display.format import short_path, show
from tunesmith.cli.session.locate import study_file
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.errors import ProjectError
from tunesmith.study.files import write_atomic
from tunesmith.study.formatting import count
from tunesmith.tools.script_reader import judge_script
from tunesmith.tools.script_reader.findings import ScriptReading
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.writer import paste_lines, study_toml

if TYPE_CHECKING:
    from tunesmith.agent.llm.study_draft import StudyDraft


def write_study(
    script: Path, *, out: Path | None, force: bool, model: str | None = None, base_url: str | None = None
) -> None:
    """Read the script, write study.toml, and print what was found and what to do next; an LLM may improve the draft.

    Raises:
        ProjectError: the script cannot be read or has nothing to tune, or study.toml exists already.
    """
    reading = read_script(script)
    target = _target(script, out, force=force)
    text = study_toml(reading, script=_relative(script, target), name=target.absolute().parent.name)
    parse_spec(tomllib.loads(text), where=str(target))
    lines = _reading_lines(reading, target)
    if model is not None:
        draft = _improve(text, script, model, base_url)
        text = draft.text
        if draft.error:
            show(f"{draft.error}; the draft without the LLM was written instead")
        else:
            lines = _draft_lines(draft, target, model)
    try:
        write_atomic(target, text)
    except OSError as error:
        raise ProjectError(f"{target} cannot be written: {error.strerror}") from None
    show("\n".join([*lines, _next_step(target)]))


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


def _target(script: Path, out: Path | None, *, force: bool) -> Path:
    target = out or script.parent / "study.toml"
    if target.is_dir():
        target = target / "study.toml"
    if target.exists() and not force:
        raise ProjectError(f"{target} exists; pass --force to replace it, or --out FILE to write another")
    return target


def _improve(text: str, script: Path, model: str, base_url: str | None) -> StudyDraft:
    from tunesmith.agent.llm.client.client import LangChainModel
    from tunesmith.agent.llm.study_draft import improve_draft
    from tunesmith.tools.llm_tools.study_files import parse_study_text

    source = script.read_text(encoding="utf-8-sig", errors="replace")
    return improve_draft(LangChainModel(model, base_url=base_url), text, source, check=parse_study_text)


def _draft_lines(draft: StudyDraft, target: Path, model: str) -> list[str]:
    """Return what the LLM wrote."""
    spec = parse_spec(tomllib.loads(draft.text), where=str(target))
    aims = ", ".join(f"{o.direction.value} {o.metric}" for o in spec.objectives)
    cost = f", ${draft.cost_usd:.4f}" if draft.cost_usd else ""
    size = count(len(spec.space), "parameter")
    return [
        f"{short_path(target)}: {size} ({', '.join(spec.space.names)}), written by {model}{cost}",
        f"metric    {aims}",
    ]


def _relative(script: Path, target: Path) -> str:
    try:
        return str(script.absolute().relative_to(target.absolute().parent))
    except ValueError:
        return str(script.absolute())


def _reading_lines(reading: ScriptReading, target: Path) -> list[str]:
    """Return what was found in the script, and what a person has to add."""
    names = ", ".join(setting.name for setting in reading.settings)
    size = count(len(reading.settings), "parameter")
    lines = [f"{short_path(target)}: {size} from {reading.style.value} ({names})", _metric_line(reading)]
    if reading.fidelity:
        lines.append(f"fidelity  {reading.fidelity.name}, at most {reading.fidelity.default}")
    if reading.left_out:
        lines.append(f"not tuned {', '.join(reading.left_out)}")
    if reading.has_subcommands:
        lines.append("The script has subcommands: write yours into the command in [run], without options it lacks.")
    if reading.required:
        names = ", ".join(setting.name for setting in reading.required)
        lines.append(f"The script also needs {names}: add values to the command in [run].")
    if paste_lines(reading):
        lines.append("The script has no options: paste the commented lines above [run] into the script.")
    return lines


def _metric_line(reading: ScriptReading) -> str:
    if not reading.metrics:
        return "metric    none found; let the script print a line such as val_loss=0.41 and name the metric in [study]"
    guess = reading.metrics[0]
    return f"metric    {guess.direction} {guess.name} (guessed; please check)"


def _next_step(target: Path) -> str:
    folder = short_path(target.absolute().parent)
    where = "" if folder == "." else f" {folder}"
    steps = f"Check the file, try it for some seconds: tunesmith check{where}, then start: tunesmith run{where}"
    return f"{steps}\nIf an LLM is to edit the code ([edits]), first write a judge: tunesmith init --judge{where}"
