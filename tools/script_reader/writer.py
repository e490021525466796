"""Writes a study.toml for a script that was read, with a comment on every guess."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from tunesmith.study.config.load import parameter_document
from tunesmith.tools.script_reader.findings import MetricGuess, ScriptReading, Setting, Style
from tunesmith.tools.script_reader.ranges import guess_range
from tunesmith.tools.toml_text import toml_line

TRIALS = 40
"""Budget of a new study, in trials."""

_COMMENT_COLUMN = 35
"""Column at which comments begin on lines that have a value."""
_MAX_OTHER_METRICS = 6
_LOWEST_FIDELITY = 27
"""Divides the script's own fidelity: three rungs of successive halving with eta = 3."""


def study_toml(reading: ScriptReading, *, script: str, name: str) -> str:
    """Return the text of study.toml.

    Args:
        reading: what was found in the script.
        script: the script's path, relative to the folder of study.toml.
        name: the name of the study; characters that a name may not have become dashes.
    """
    return "\n".join(
        [*_study(reading, name), "", *_run(reading, script), "", *_fidelity(reading), *_space(reading), "", *_budget()]
    )


def paste_lines(reading: ScriptReading) -> list[str]:
    """Return the lines with which a script without options reads its parameters; empty if it has options."""
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


def _commented(line: str, comment: str) -> str:
    return f"{line:<{_COMMENT_COLUMN - 1}} # {comment}"


def _study(reading: ScriptReading, name: str) -> Iterator[str]:
    yield "[study]"
    yield toml_line("name", re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip(".-_")[:80] or "study")
    yield _commented(toml_line("description", ""), "what is tuned, in one sentence; the LLM reads it")
    if reading.metrics:
        metric, *others = reading.metrics
        yield from _metric(metric, others)
    else:
        yield "# The script prints no metric that could be recognized. Let it print a line such as  val_loss=0.41"
        yield "# or call tunesmith.report(val_loss=...), and write the name of the metric here."
        yield toml_line("metric", "val_loss")
        yield toml_line("direction", "minimize")


def _metric(metric: MetricGuess, others: list[MetricGuess]) -> Iterator[str]:
    names = ", ".join(other.name for other in others[:_MAX_OTHER_METRICS])
    yield f"# Guessed from what the script prints.{f' It also prints: {names}' if names else ''}"
    yield toml_line("metric", metric.name)
    yield toml_line("direction", metric.direction)


def _run(reading: ScriptReading, script: str) -> Iterator[str]:
    lines = paste_lines(reading)
    if lines:
        where = "below its constants" if reading.style is Style.CONSTANTS else "below the line that creates its config"
        yield f"# {script} has no options. Paste these lines into it, {where}; they read the parameters of the trial:"
        yield from (f"#     {line}" for line in lines)
    if reading.has_subcommands:
        yield "# The script has subcommands: write yours behind the script's name, and remove options that it lacks."
    yield "[run]"
    yield toml_line("command", " ".join(_command_words(reading, script)))
    yield _commented('# timeout = "30m"', "a trial that takes longer is killed")
    yield _commented("# parallel = 2", "trials at once; without this key, as many as the machine allows")
    yield _commented("# gpus = 1", "GPUs per trial; 0.5 lets two trials share one")
    if reading.required:
        names = ", ".join(setting.word or setting.name for setting in reading.required)
        yield f"# The script also needs {names}: add values to the command."
    if reading.left_out:
        yield f"# Not tuned: {', '.join(reading.left_out)}. They keep the script's own defaults."


def _command_words(reading: ScriptReading, script: str) -> Iterator[str]:
    yield "python"
    yield shlex.quote(script)
    yield from (setting.word for setting in reading.settings if setting.word)
    for setting in (reading.fidelity, reading.seed):
        if setting is not None and setting.word:
            # The placeholder of the seed is always {seed}.
            yield setting.word.replace(f"{{{setting.name}}}", "{seed}") if setting is reading.seed else setting.word


def _fidelity(reading: ScriptReading) -> Iterator[str]:
    if reading.fidelity is None:
        return
    most = int(reading.fidelity.default)  # type: ignore[arg-type]  # the reader checked that it is a whole number
    yield _commented("[fidelity]", "the setting that makes a trial shorter")
    yield toml_line("name", reading.fidelity.name)
    yield toml_line("min", max(most // _LOWEST_FIDELITY, 1))
    yield _commented(toml_line("max", most), "the script's own default")
    yield ""


def _space(reading: ScriptReading) -> Iterator[str]:
    yield _commented("[space]", "the ranges are guesses; adjust them to what you know")
    for setting in reading.settings:
        yield from _parameter(setting)


def _parameter(setting: Setting) -> Iterator[str]:
    guess = guess_range(setting)
    yield f"# {guess.why[:1].upper()}{guess.why[1:]}"
    yield toml_line(setting.name, parameter_document(guess.parameter))


def _budget() -> Iterator[str]:
    yield _commented("[budget]", "the first limit that is reached ends the study")
    yield toml_line("trials", TRIALS)
    yield "# hours = 8"
    yield '# until = "07:00"'
    yield ""
    yield _commented("[confirm]", "at the end, runs the best and the default again on fresh seeds")
    yield toml_line("top", 1)
    yield toml_line("seeds", 3)
    yield ""
