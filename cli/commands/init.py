"""`tunesmith init SCRIPT`: writes a study.toml beside a training script and says what it found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.cli.display.format import short_path
from tunesmith.study.config.load import parse_spec
from tunesmith.study.errors import ProjectError
from tunesmith.study.files import write_atomic
from tunesmith.tools.script_reader.findings import ScriptReading
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.writer import paste_lines, study_toml

if TYPE_CHECKING:
    from tunesmith.agent.llm.study_draft import StudyDraft


def write_study(
    script: Path, *, out: Path | None, force: bool, model: str | None = None, base_url: str | None = None
) -> None:
    """Read the script, write study.toml, print what was found and what to do next; with a model it improves the draft.

    Raises:
        ProjectError: the script cannot be read or has nothing to tune, or study.toml stands there already.
    """
    import tomllib

    reading = read_script(script)
    target = out or script.parent / "study.toml"
    if target.is_dir():
        target = target / "study.toml"
    if target.exists() and not force:
        raise ProjectError(f"{target} exists; pass --force to replace it, or --out FILE to write another")
    text = study_toml(reading, script=_relative(script, target), name=target.absolute().parent.name)
    parse_spec(tomllib.loads(text), where=str(target))
    lines = _found(reading, target)
    if model is not None:
        draft = _improved(text, script, model, base_url)
        text = draft.text
        lines = _told(draft, target, model) or lines
    try:
        write_atomic(target, text)
    except OSError as error:
        raise ProjectError(f"{target} cannot be written: {error.strerror}") from None
    print("\n".join(lines))


def _improved(text: str, script: Path, model: str, base_url: str | None) -> StudyDraft:
    from tunesmith.agent.llm.client.client import LangChainModel
    from tunesmith.agent.llm.study_draft import improve_draft
    from tunesmith.tools.llm_tools.study_files import parse_study_text

    source = script.read_text(encoding="utf-8-sig", errors="replace")
    return improve_draft(LangChainModel(model, base_url=base_url), text, source, check=parse_study_text)


def _told(draft: StudyDraft, target: Path, model: str) -> list[str]:
    """Return what to say of a file that the model wrote; nothing when it did not."""
    import tomllib

    if draft.error:
        print(f"{draft.error}; the draft by rules of thumb was written instead")
        return []
    spec = parse_spec(tomllib.loads(draft.text), where=str(target))
    aims = ", ".join(f"{o.direction.value} {o.metric}" for o in spec.objectives)
    cost = f", ${draft.cost_usd:.4f}" if draft.cost_usd else ""
    folder = short_path(target.absolute().parent)
    return [
        f"{short_path(target)}: {len(spec.space)} parameters ({', '.join(spec.space.names)}), written by {model}{cost}",
        f"metric    {aims}",
        f"Look it over, then: tunesmith run{'' if folder == '.' else f' {folder}'}",
    ]


def _relative(script: Path, target: Path) -> str:
    try:
        return str(script.absolute().relative_to(target.absolute().parent))
    except ValueError:
        return str(script.absolute())


def _found(reading: ScriptReading, target: Path) -> list[str]:
    names = ", ".join(setting.name for setting in reading.settings)
    lines = [f"{short_path(target)}: {len(reading.settings)} parameters by {reading.style.value} ({names})"]
    if reading.metrics:
        guess = reading.metrics[0]
        lines.append(f"metric    {guess.direction} {guess.name}, a guess: look at it")
    else:
        lines.append(
            "metric    none was found: let the script print a line such as val_loss=0.41, and name it in [study]"
        )
    if reading.fidelity:
        lines.append(f"fidelity  {reading.fidelity.name}, at most {reading.fidelity.default}")
    if reading.left_out:
        lines.append(f"not tuned {', '.join(reading.left_out)}")
    if reading.has_subcommands:
        lines.append(
            "The script has subcommands: put the one you mean into the command, and take out what it does not know."
        )
    if reading.required:
        names = ", ".join(setting.name for setting in reading.required)
        lines.append(f"The script also needs {names}: put the values into the command.")
    if paste_lines(reading):
        lines.append("The script takes no options: paste the lines that stand above [run] into it.")
    folder = short_path(target.absolute().parent)
    return [*lines, f"Look it over, then: tunesmith run{'' if folder == '.' else f' {folder}'}"]
