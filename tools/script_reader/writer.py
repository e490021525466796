"""Writes a study.toml for a script that was read, with a comment beside everything that was guessed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from tunesmith.study.config.load import parameter_document
from tunesmith.tools.script_reader.findings import MetricGuess, ScriptReading, Setting, Style
from tunesmith.tools.script_reader.ranges import guess_range
from tunesmith.tools.toml_text import toml_value

TRIALS = 40


def study_toml(reading: ScriptReading, *, script: str, name: str) -> str:
    """Return the text of study.toml.

    Args:
        reading: what was found.
        script: the script's path, relative to where study.toml will stand.
        name: the study's name.
    """
    return "\n".join(
        [*_study(reading, name), "", *_run(reading, script), "", *_fidelity(reading), *_space(reading), "", *_budget()]
    )


def paste_lines(reading: ScriptReading) -> list[str]:
    """Return the lines that let a script without a command line take its parameters; empty when it needs none."""
    if reading.style is Style.CONSTANTS and not any(setting.word for setting in reading.settings):
        return ["import tunesmith", "globals().update(tunesmith.params())"]
    if reading.style is Style.CONFIG:
        return [
            "import tunesmith",
            "for name, value in tunesmith.params().items():",
            "    if hasattr(config, name):",
            "        setattr(config, name, value)",
        ]
    return []


def _study(reading: ScriptReading, name: str) -> Iterator[str]:
    yield "[study]"
    yield f"name = {toml_value(re.sub(r'[^A-Za-z0-9._-]', '-', name).lstrip('.-_') or 'study')}"
    yield 'description = ""                   # what is tuned, in a sentence'
    if reading.metrics:
        metric, *others = reading.metrics
        yield from _metric(metric, others)
    else:
        yield "# No metric was found. Let the script print a line such as  val_loss=0.41"
        yield "# or call tunesmith.report(val_loss=...), and put the name here."
        yield 'metric = "val_loss"'
        yield 'direction = "minimize"'


def _metric(metric: MetricGuess, others: list[MetricGuess]) -> Iterator[str]:
    also = f"; also found: {', '.join(other.name for other in others[:6])}" if others else ""
    yield f"# A guess from what the script prints{also}"
    yield f"metric = {toml_value(metric.name)}"
    yield f"direction = {toml_value(metric.direction)}"


def _run(reading: ScriptReading, script: str) -> Iterator[str]:
    lines = paste_lines(reading)
    if lines:
        where = "after its constants" if reading.style is Style.CONSTANTS else "after it made its config"
        yield f"# {script} takes no options. Paste these lines into it, {where}, so that it reads the parameters:"
        yield from (f"#     {line}" for line in lines)
    if reading.has_subcommands:
        yield "# The script has subcommands: put the one you mean behind its name, and take out what it does not know."
    yield "[run]"
    yield f"command = {toml_value(' '.join(_words(reading, script)))}"
    yield '# timeout = "30m"                  # a trial that takes longer is ended'
    yield "# parallel = 2                     # trials at once; left out: what the machine allows"
    yield "# gpus = 1                         # per trial; 0.5 lets two share one"
    if reading.required:
        names = ", ".join(setting.word or setting.name for setting in reading.required)
        yield f"# The script also needs {names}: put the values into the command."
    if reading.left_out:
        yield f"# Not tuned: {', '.join(reading.left_out)}. They stay at the script's own defaults."


def _words(reading: ScriptReading, script: str) -> Iterator[str]:
    yield "python"
    yield shlex.quote(script)
    yield from (setting.word for setting in reading.settings if setting.word)
    for setting in (reading.fidelity, reading.seed):
        if setting is not None and setting.word:
            # The template calls the seed {seed}, whatever the script does.
            yield setting.word.replace(f"{{{setting.name}}}", "{seed}") if setting is reading.seed else setting.word


def _fidelity(reading: ScriptReading) -> Iterator[str]:
    if reading.fidelity is None:
        return
    most = int(reading.fidelity.default)  # type: ignore[arg-type]  # the reader saw a whole number
    yield "[fidelity]                         # how a trial can be made shorter"
    yield f"name = {toml_value(reading.fidelity.name)}"
    yield f"min = {max(most // 27, 1)}"
    yield f"max = {most}                          # the script's own default"
    yield ""


def _space(reading: ScriptReading) -> Iterator[str]:
    yield "[space]"
    for setting in reading.settings:
        yield from _parameter(setting)


def _parameter(setting: Setting) -> Iterator[str]:
    guess = guess_range(setting)
    entry = ", ".join(f"{key} = {toml_value(value)}" for key, value in parameter_document(guess.parameter).items())
    yield f"# {guess.why}"
    yield f"{setting.name} = {{ {entry} }}"


def _budget() -> Iterator[str]:
    yield "[budget]                           # any limit that is reached ends the study"
    yield f"trials = {TRIALS}"
    yield "# hours = 8"
    yield '# until = "07:00"'
    yield ""
    yield "[confirm]                          # the best and the default again, on fresh seeds"
    yield "top = 1"
    yield "seeds = 3"
    yield ""
