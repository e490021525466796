"""Shows what `init` found in a script: what is tuned and why, what is left alone and why, and what to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tunesmith.study.formatting import count
from tunesmith.study.space.parameters import Bool, Choice, Parameter
from tunesmith.tools.script_reader.reader import left_alone_by_reason
from tunesmith.tools.script_reader.reading import LeftAlone, ScriptReading, Tuned
from tunesmith.tools.script_reader.writer import lowest_fidelity

_MAX_NAME, _MAX_RANGE = 28, 32
_MAX_NAMES = 12
"""Number of settings with one reason that are named."""


def reading_lines(reading: ScriptReading, width: int) -> Iterator[str]:
    """Yield the table.

    Args:
        reading: of the script.
        width: columns of the terminal.
    """
    yield from tuned_lines(reading.tuned, width)
    yield ""
    yield from _label("fidelity", _fidelity(reading), width)
    yield from _label("seed", _seed(reading), width)
    yield from _label("metric", _metric(reading), width)
    yield from left_alone_lines(reading.left_alone, width)
    notes = list(_notes(reading))
    if notes:
        yield ""
        yield "look at"
        for note in notes:
            yield from _wrapped(note, width, first="  - ", further="    ")


def left_alone_lines(left_alone: Sequence[LeftAlone], width: int) -> Iterator[str]:
    """Yield the settings that do not become parameters, by reason; nothing without any."""
    if not left_alone:
        return
    yield ""
    yield "left alone"
    for why, names in left_alone_by_reason(left_alone).items():
        more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
        yield from _wrapped(f"{', '.join(names[:_MAX_NAMES])}{more}: {why}", width, first="  ", further="      ")


def tuned_lines(settings: Sequence[Tuned], width: int) -> Iterator[str]:
    """Yield the table of the settings to tune, with their ranges and reasons."""
    rows = [(_name(tuned), _range(tuned.parameter), _why(tuned)) for tuned in settings]
    names = min(max(len(name) for name, _, _ in rows), _MAX_NAME)
    ranges = min(max(len(text) for _, text, _ in rows), _MAX_RANGE)
    yield f"{'tuned':<{names}}  {'range (default)':<{ranges}}  why"
    for name, text, why in rows:
        head = f"{name:<{names}}  {text:<{ranges}}  "
        if len(head) > names + ranges + 4:
            yield head.rstrip()
            head = " " * (names + ranges + 4)
        room = max(width - len(head), 20)
        lines = textwrap.wrap(why, room) or [""]
        yield f"{head}{lines[0]}".rstrip()
        yield from (f"{' ' * len(head)}{line}" for line in lines[1:])


def _name(tuned: Tuned) -> str:
    return tuned.setting.name


def _range(parameter: Parameter) -> str:
    if isinstance(parameter, Bool):
        return f"on or off ({'on' if parameter.default else 'off'})"
    if isinstance(parameter, Choice):
        shown = [_number(c) if isinstance(c, float) else str(c) for c in parameter.choices]
        text = ", ".join(shown)
        if len(text) > _MAX_RANGE - 8:
            text = f"{shown[0]}, {shown[1]}, ... {shown[-1]}"
        own = _number(parameter.default) if isinstance(parameter.default, float) else str(parameter.default)
        return f"{text} ({own})"
    log = ", log" if parameter.log else ""
    own = "" if parameter.default is None else f" ({_number(parameter.default)})"
    return f"{_number(parameter.low)} to {_number(parameter.high)}{log}{own}"


def _number(value: float) -> str:
    """Return a bound as a person writes it: 0.9995 must not become 1, nor 32768 3.277e+04."""
    return f"{value:,}" if isinstance(value, int) and 10_000 <= value < 10**9 else f"{value:.4g}"


def _why(tuned: Tuned) -> str:
    setting = tuned.setting
    place = f" [{setting.file}]" if setting.file else ""
    condition = f"; only when {setting.when}" if setting.when else ""
    return f"{tuned.why}{condition}{place}"


def _fidelity(reading: ScriptReading) -> str:
    if reading.fidelity is None:
        return "none found: every trial runs to its end"
    most = int(reading.fidelity.default)  # type: ignore[arg-type]  # the reader checked that it is a whole number
    follows = f"; {', '.join(s.name for s in reading.follows)} follows it" if reading.follows else ""
    return f"{reading.fidelity.name}, {lowest_fidelity(most):,} to {most:,}{follows}"


def _seed(reading: ScriptReading) -> str:
    if not reading.seeds:
        return "none found: repeats of a configuration are one measurement if the script always starts alike"
    return ", ".join(dict.fromkeys(setting.place for setting in reading.seeds))


def _metric(reading: ScriptReading) -> str:
    if not reading.metrics:
        return "none found; let the script print a line such as val_loss=0.41 and name the metric in [study]"
    guess = reading.metrics[0]
    where = f", seen in {guess.where}" if guess.where else ""
    others = ", ".join(metric.name for metric in reading.metrics[1:4])
    return f"{guess.direction} {guess.name}{where}{f'; also {others}' if others else ''}"


def _notes(reading: ScriptReading) -> Iterator[str]:
    if reading.required:
        needed = ", ".join(setting.place for setting in reading.required)
        yield f"the script also needs {needed}: run init again with them, as in tunesmith init SCRIPT -- {needed} VALUE"
    yield from reading.notes
    files = dict.fromkeys(s.file for s in (*reading.settings, *reading.seeds) if s.file)
    if files:
        yield f"{', '.join(files)}: filled in each trial's copy ([run.files]); your own files stay as they are"
    if reading.shared:
        yield f"{', '.join(reading.shared)}: shared by all trials, for data and downloads ([run].shared)"
    unknown = [left.name for left in reading.left_alone if "do not say" in left.why or "does not say" in left.why]
    if unknown:
        yield f"{', '.join(unknown[:8])}: add to [space] what changes the result"
    if reading.metrics and (where := reading.metrics[0].source):
        yield f"the metric is read from {where} ([run].metrics_from)"


def _label(label: str, text: str, width: int) -> Iterator[str]:
    yield from _wrapped(text, width, first=f"{label:<10}", further=" " * 10)


def _wrapped(text: str, width: int, *, first: str, further: str) -> Iterator[str]:
    yield from textwrap.wrap(
        text, max(width, 40), initial_indent=first, subsequent_indent=further, break_long_words=False
    )


def headline(reading: ScriptReading, target: str) -> str:
    """Return the first line: what was written, and what it tunes."""
    return f"{target}: {count(len(reading.tuned), 'parameter')} from {reading.system}"
