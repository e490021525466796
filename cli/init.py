"""`tunesmith init SCRIPT`: writes a study.toml beside a training script and says what it found."""

from __future__ import annotations

from pathlib import Path

from tunesmith.cli.show import shown
from tunesmith.study.errors import ProjectError
from tunesmith.study.load import parse_spec
from tunesmith.tools.scripts.reader import read_script
from tunesmith.tools.scripts.reading import ScriptReading
from tunesmith.tools.scripts.writer import paste_lines, study_toml


def write_study(script: Path, *, out: Path | None, force: bool) -> None:
    """Read the script, write study.toml, print what was found and what to do next.

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
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProjectError(f"{target} cannot be written: {error.strerror}") from None
    print("\n".join(_found(reading, target)))


def _relative(script: Path, target: Path) -> str:
    try:
        return str(script.absolute().relative_to(target.absolute().parent))
    except ValueError:
        return str(script.absolute())


def _found(reading: ScriptReading, target: Path) -> list[str]:
    names = ", ".join(setting.name for setting in reading.settings)
    lines = [f"{shown(target)}: {len(reading.settings)} parameters by {reading.style.value} ({names})"]
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
    folder = shown(target.absolute().parent)
    return [*lines, f"Look it over, then: tunesmith run{'' if folder == '.' else f' {folder}'}"]
