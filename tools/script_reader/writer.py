"""Writes a study.toml for a script that was read, with a comment on every guess."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from tunesmith.study.config.space_tables import parameter_document
from tunesmith.study.trials.observed.resources import SECONDS
from tunesmith.tools.script_reader.reading import MetricGuess, ScriptReading, Setting, Tuned
from tunesmith.tools.toml_text import toml_line

TRIALS = 40
"""Budget of a new study, in trials."""

HOLD_OUT, ENOUGH_TO_HOLD_OUT = 0.3, 6
"""Share of the instances that a new study holds out, and the number of instances from which it does."""
_COMMENT_COLUMN = 35
"""Column at which comments begin on lines that have a value."""
_MAX_OTHER_METRICS = 6
_LOWEST_FIDELITY = 27
"""Divides the script's own fidelity: three rungs of successive halving with eta = 3."""


def study_toml(reading: ScriptReading, *, name: str, script: str = "") -> str:
    """Return the text of study.toml.

    Args:
        reading: what was found in the script.
        name: the name of the study; characters that a name may not have become dashes.
        script: the script's path, relative to the folder of study.toml; as it was read if left out.
    """
    parts = (
        _study(reading, name), _metrics(reading), _run(reading, script or reading.script), _files(reading),
        _instances(reading), _fidelity(reading), _space(reading), _budget(reading),
    )  # fmt: skip
    blocks = ["\n".join(part) for part in parts]
    return "\n\n".join(block for block in blocks if block) + "\n"


def lowest_fidelity(most: int) -> int:
    """Return the fidelity at which the shortest trials run."""
    return max(most // _LOWEST_FIDELITY, 1)


def _commented(line: str, comment: str) -> str:
    return f"{line:<{_COMMENT_COLUMN - 1}} # {comment}"


def _study(reading: ScriptReading, name: str) -> Iterator[str]:
    yield "[study]"
    yield toml_line("name", re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip(".-_")[:80] or "study")
    yield _commented(toml_line("description", ""), "what is tuned, in one sentence; the LLM reads it")
    if reading.metrics:
        yield from _metric(reading.metrics[0], reading.metrics[1:])
    else:
        yield "# The script prints no metric that could be recognized. Let it print a line such as  val_loss=0.41"
        yield "# or call tunesmith.report(val_loss=...), and write the name of the metric here."
        yield toml_line("metric", "val_loss")
        yield toml_line("direction", "minimize")


def _metric(metric: MetricGuess, others: tuple[MetricGuess, ...]) -> Iterator[str]:
    names = ", ".join(other.name for other in others[:_MAX_OTHER_METRICS])
    where = f" ({metric.where})" if metric.where else ""
    yield f"# From what the script prints{where}.{f' It also has: {names}' if names else ''}"
    yield toml_line("metric", metric.name)
    yield toml_line("direction", metric.direction)
    both, ways = toml_line("metric", [metric.name, SECONDS]), toml_line("direction", [metric.direction, "minimize"])
    needs_ways = f"and {ways}: " if metric.direction == "maximize" else ""
    yield _commented(f"# {both}", f"{needs_ways}as good in less time")


def _metrics(reading: ScriptReading) -> Iterator[str]:
    if reading.metrics and reading.metrics[0].regex:
        yield _commented("[metrics]", "how the number is found in the output")
        yield toml_line(reading.metrics[0].name, {"regex": reading.metrics[0].regex})


def _run(reading: ScriptReading, script: str) -> Iterator[str]:
    yield "[run]"
    yield toml_line("command", command_text(reading, script))
    yield from _sources(reading)
    if reading.shared:
        yield "# All trials share these folders with you: data outside the project, and downloads."
        yield toml_line("shared", list(reading.shared))
    variables = {**reading.environment, **{s.env: f"{{{s.name}}}" for s in _set(reading) if s.env}}
    if variables:
        yield toml_line("env", variables)
    yield _commented('# timeout = "30m"', "a trial that takes longer is killed")
    yield _commented("# parallel = 2", "trials at once; without this key, as many as the machine allows")
    yield _commented("# gpus = 1", "GPUs per trial; 0.5 lets two trials share one")
    if reading.required:
        names = ", ".join(setting.place for setting in reading.required)
        yield f"# The script also needs {names}: add values to the command."
    if reading.left_alone:
        yield f"# Left alone: {', '.join(left.name for left in reading.left_alone)}."


def _sources(reading: ScriptReading) -> Iterator[str]:
    if reading.metrics and reading.metrics[0].source:
        yield toml_line("metrics_from", [reading.metrics[0].source, "stdout", "stderr"])


def command_text(reading: ScriptReading, script: str = "") -> str:
    """Return the command with its placeholders."""
    words = [word if word != reading.script else shlex.quote(script or word) for word in reading.command]
    words += [setting.word for setting in reading.settings if setting.word]
    if reading.fidelity is not None and reading.fidelity.word:
        words.append(reading.fidelity.word)
    words += [_as(setting, _fidelity_name(reading)) for setting in reading.follows if setting.word]
    words += [_as(setting, "seed") for setting in reading.seeds if setting.word]
    words += [_as(reading.instance, "instance")] if reading.instance is not None else []
    return " ".join(words)


def _as(setting: Setting, name: str) -> str:
    """Return a setting's word with the placeholder of another one."""
    return setting.word.replace(f"{{{setting.name}}}", f"{{{name}}}")


def _fidelity_name(reading: ScriptReading) -> str:
    return reading.fidelity.name if reading.fidelity is not None else ""


def _set(reading: ScriptReading) -> Iterator[Setting]:
    yield from reading.settings
    if reading.fidelity is not None:
        yield reading.fidelity


def _files(reading: ScriptReading) -> Iterator[str]:
    entries = [(s, s.name) for s in _set(reading)]
    entries += [(s, _fidelity_name(reading)) for s in reading.follows] + [(s, "seed") for s in reading.seeds]
    paths = list(dict.fromkeys(setting.file for setting, _ in entries if setting.file))
    for index, path in enumerate(paths):
        if index == 0:
            yield "# Written into each trial's copy of the file; your own is not touched."
        else:
            yield ""
        yield f"[run.files.{toml_line(path, 0).rpartition(' = ')[0]}]"
        for setting, name in entries:
            if setting.file == path:
                yield toml_line(setting.key, f"{{{name}}}")


def _instances(reading: ScriptReading) -> Iterator[str]:
    if reading.instance is None:
        return
    yield _commented("[instances]", "good configurations run on more and more of them")
    yield toml_line("values", list(reading.instances))
    if _holds_out(reading):
        yield _commented(toml_line("hold_out", HOLD_OUT), "the share that only [confirm] sees")


def _holds_out(reading: ScriptReading) -> bool:
    """Return whether there are enough instances to hold some out: two at least, and more to tune on."""
    return len(reading.instances) >= ENOUGH_TO_HOLD_OUT


def _fidelity(reading: ScriptReading) -> Iterator[str]:
    if reading.fidelity is None:
        return
    most = int(reading.fidelity.default)  # type: ignore[arg-type]  # the reader checked that it is a whole number
    yield _commented("[fidelity]", "the setting that makes a trial shorter")
    yield toml_line("name", reading.fidelity.name)
    yield toml_line("min", lowest_fidelity(most))
    yield _commented(toml_line("max", most), "the script's own default")


def _space(reading: ScriptReading) -> Iterator[str]:
    yield _commented("[space]", "the ranges are guesses; adjust them to what you know")
    for tuned in reading.tuned:
        yield from _parameter(tuned)


def _parameter(tuned: Tuned) -> Iterator[str]:
    yield f"# {tuned.why[:1].upper()}{tuned.why[1:]}"
    yield toml_line(tuned.setting.name, parameter_document(tuned.parameter))


def _budget(reading: ScriptReading) -> Iterator[str]:
    yield _commented("[budget]", "the first limit that is reached ends the study")
    yield toml_line("trials", TRIALS)
    yield "# hours = 8"
    yield '# until = "07:00"'
    yield ""
    if _holds_out(reading):
        yield _commented("[confirm]", "at the end, compares the best and the default on the held-out instances")
        return
    if reading.seeds:
        yield _commented("[confirm]", "at the end, runs the best and the default again on fresh seeds")
        yield toml_line("top", 1)
        yield toml_line("seeds", 3)
        return
    yield "# The script takes no seed, so nothing is confirmed on fresh seeds at the end: a gain may be luck."
    yield "# Give it an option for a seed, add {seed} to the command, and then:"
    yield "# [confirm]"
    yield "# top = 1"
    yield "# seeds = 3"
