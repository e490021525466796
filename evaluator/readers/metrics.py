"""Parses metrics from a training script's output, and from the file that tunesmith.report() writes.

Text in, observations out. The script's text is only data: nothing in it is executed, and garbage is skipped. A number
is taken for a metric only by the metric's name; a line that has the name and no number that can be read is remembered,
so that the failure can name it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from tunesmith.evaluator.output.numerals import read_count, read_number, read_value
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.output.printed_tables import PrintedTable
from tunesmith.evaluator.readers.metric_names import Closeness, counts_something, has_name, is_spelling_of, mentions
from tunesmith.evaluator.readers.metric_patterns import PatternReader
from tunesmith.evaluator.readers.printed_objects import object_in
from tunesmith.evaluator.readers.telemetry import telemetry
from tunesmith.study.formatting import one_line, strip_escapes
from tunesmith.study.trials.observed.observation import Observation

_PAIR = re.compile(r"(?<![\w./@-])([^\W\d][\w./@-]*+)[\"']?\s{0,8}+[=:]\s{0,8}+(?=[\"'\w.+(\[<∞−-])")
_STEP = re.compile(
    r"(?<![\w-])(?:epoch|step|global_step|iter|iteration|round)s?[\"']?\s{0,8}[=:#]?\s{0,8}\[?\s{0,8}(?=\d)",
    re.IGNORECASE,
)
STEP_NAMES = ("epoch", "step", "global_step", "iter", "iteration", "round")
"""Names by which a number counts as the step, in order of preference."""
MAX_NAME_CHARS = 200
"""Longest name of a metric that is kept."""
MAX_NAMES = 1_000
"""Number of different names whose steps and sources are remembered; of others, only the study's metrics are read."""
MAX_PAIRS = 200
"""Number of other metrics that are read from one line."""
REPORT = "report"
"""The source that counts most: the file that tunesmith.report() writes."""
DEFAULT_SOURCES = ("stdout", "stderr")
STREAM_NAMES = {"stdout": "standard output", "stderr": "standard error"}
_PROGRESS_BAR = re.compile(r"\d\s?%\s{0,2}\||\b(?:it|s|batch|samples)/(?:s|it|batch)\b|\d/s\b")


class Found(NamedTuple):
    """A value of a metric, and how its name was written."""

    value: float
    spelling: str
    closeness: Closeness


class LineReading(NamedTuple):
    """What a line holds: metrics that the study needs, other numbers by name, the step, and what could not be read."""

    wanted: Mapping[str, Found] = {}
    others: Mapping[str, float] = {}
    step: float | None = None
    unread: Mapping[str, str] = {}


class MetricReader:
    """Turns text into observations; counts the steps of metrics that are reported without one.

    Where several sources give a metric, the first in the order report, `sources` counts, and the metric's own spelling
    counts more than another one.

    Args:
        names: the metrics that the study needs; a line of output without any of them is skipped.
        clock: seconds since the epoch.
        sources: where numbers are read in addition to the report file, the first counting most.
        only_from: for a metric, the only sources that count besides the report file.
        patterns: reads the metrics that have a regular expression; those are not looked for by name in the output.
    """

    def __init__(
        self,
        names: Sequence[str],
        clock: Callable[[], float],
        sources: Sequence[str] = DEFAULT_SOURCES,
        *,
        only_from: Mapping[str, Sequence[str]] = MappingProxyType({}),
        patterns: PatternReader | None = None,
    ) -> None:
        self._names = tuple(names)
        self._patterns = patterns or PatternReader({})
        self._by_name = tuple(name for name in names if name not in self._patterns.names)
        self._only_from = only_from
        self._clock = clock
        self._sources = (REPORT, *sources)
        self._reads_bars = "stdout" not in sources
        self._counts: dict[str, int] = {}
        self._origin: dict[str, tuple[int, Closeness]] = {}
        self._spelling: dict[str, str] = {}
        self._tables: dict[str, PrintedTable] = {}
        self._unread: dict[str, str] = {}
        self.ambiguous: dict[str, str] = {}

    @property
    def unread(self) -> Mapping[str, str]:
        """For each metric that was named without a number that can be read: the last such place, and the reason."""
        return {**self._unread, **self.ambiguous}

    def from_line(self, line: str | OutputLine) -> list[Observation]:
        """Return the observations on a line of output, without metrics that a source that counts more has given."""
        output = line if isinstance(line, OutputLine) else OutputLine(line)
        text = strip_escapes(output.text)
        return [*self._matched(output, text), *self._named(output, text)]

    def telemetry_from_line(self, line: str | OutputLine) -> list[Observation]:
        """Return the telemetry on a line that gave no metric of the study, such as the training loss."""
        output = line if isinstance(line, OutputLine) else OutputLine(line)
        if output.stream not in self._sources:
            return []
        text = strip_escapes(output.text)
        rank = self._sources.index(output.stream)
        found = telemetry(text, self._names)
        values = {name: value for name, value in found.items() if self._counts_for(name, (rank, Closeness.EXACT))}
        if not values:
            return []
        step = _step_of(object_in(text))
        if step is None and (match := _STEP.search(text)):
            step = read_count(text, match.end())
        return self._observed(values, step, self._clock())

    def _matched(self, output: OutputLine, text: str) -> list[Observation]:
        """Return what the expressions of [metrics] find on a line."""
        values = self._patterns.read(output)
        if not values:
            return []
        step = _STEP.search(text)
        return self._observed(values, read_count(text, step.end()) if step else None, self._clock())

    def _named(self, output: OutputLine, text: str) -> list[Observation]:
        is_read = output.stream in self._sources
        if is_read and not self._reads_bars and output.stream == "stderr" and _PROGRESS_BAR.search(text):
            is_read = False
        if not is_read:
            self._remember_unread(output, text)
            return []
        reading = read_line(text, self._by_name)
        if not reading.wanted:
            reading = self._row(output, text) or reading
        for name, why in reading.unread.items():
            self._unread[name] = f"{_place(output)} {why}: `{one_line(text, 120)}`"
        return self._take(reading, output.stream)

    def from_points(self, source: str, values: Mapping[str, float], step: float | None) -> list[Observation]:
        """Return the observations of one entry in a file."""
        reading = _sort_out(values, self._names)
        return self._take(reading._replace(step=reading.step if step is None else step), source)

    def from_report(self, line: str) -> list[Observation]:
        """Return the observations on a line of the report file."""
        try:
            entry = json.loads(line)
            values = {str(name): float(value) for name, value in entry["values"].items()}
            step = None if entry.get("step") is None else float(entry["step"])
            at = float(entry.get("at", self._clock()))
            if not math.isfinite(at) or (step is not None and not math.isfinite(step)):
                return []
        except (ValueError, OverflowError, TypeError, KeyError, AttributeError, RecursionError):
            return []
        values = {name: value for name, value in values.items() if self._is_remembered(name, self._origin)}
        self._origin.update(dict.fromkeys(values, (0, Closeness.EXACT)))
        return self._observed(values, step, at)

    def _row(self, output: OutputLine, text: str) -> LineReading | None:
        """Return what a row of the stream's printed table holds; None if the line is none."""
        table = self._tables.setdefault(output.stream, PrintedTable())
        cells = table.row(text, output.number)
        if not cells and any(has_name(text, name) for name in self._by_name):
            table.open(text, output.number)
        values = {name: value for name, cell in cells.items() if (value := read_number(cell)) is not None}
        reading = _sort_out(values, self._by_name)
        return reading if reading.wanted else None

    def _take(self, reading: LineReading, source: str) -> list[Observation]:
        values: dict[str, float] = {}
        rank = self._sources.index(source)
        for name, found in reading.wanted.items():
            if source not in self._only_from.get(name, (source,)):
                continue
            if self._counts_for(name, (rank, found.closeness)):
                self._check_spelling(name, found)
                values[name] = found.value
        # In a file every number is meant to be read; it may have the training loss at other steps than the metric.
        if not values and source in STREAM_NAMES:
            return []
        values |= {n: v for n, v in reading.others.items() if self._counts_for(n, (rank, Closeness.EXACT))}
        return self._observed(values, reading.step, self._clock())

    def _counts_for(self, name: str, origin: tuple[int, Closeness]) -> bool:
        if not self._is_remembered(name, self._origin):
            return False
        if origin < self._origin.setdefault(name, origin):
            self._origin[name] = origin
            self._spelling.pop(name, None)
            self.ambiguous.pop(name, None)
        return origin == self._origin[name]

    def _is_remembered(self, name: str, known: Mapping[str, object]) -> bool:
        """Return whether a name is known, the study's, or one of the first: a script may print ever new ones."""
        return name in known or len(known) < MAX_NAMES or name in self._names

    def _check_spelling(self, name: str, found: Found) -> None:
        known = self._spelling.setdefault(name, found.spelling)
        if found.closeness is Closeness.QUALIFIED and known.lower() != found.spelling.lower():
            pair = f"`{known}` and `{found.spelling}`"
            self.ambiguous[name] = f"the output has {pair}, and either may be meant; name one of them in [study].metric"

    def _remember_unread(self, output: OutputLine, text: str) -> None:
        for name in read_line(text, self._by_name).wanted:
            named = "a progress bar" if output.stream in self._sources else "not named in [run].metrics_from"
            self._unread[name] = f"{_place(output)}, {named}, has it: `{one_line(text, 120)}`"

    def _observed(self, values: Mapping[str, float], step: float | None, at: float) -> list[Observation]:
        found = []
        for name, value in values.items():
            # Unprintable names cannot be stored: half a surrogate pair, a zero byte.
            if len(name) > MAX_NAME_CHARS or not name.isprintable():
                continue
            self._counts[name] = self._counts.get(name, 0) + 1
            found.append(Observation(name, float(self._counts[name]) if step is None else step, value, at))
        return found


def parse_line(line: str, names: Sequence[str]) -> tuple[dict[str, float], float | None]:
    """Return the numbers and the step on a line that has one of the metrics; ({}, None) for any other line.

    Other numbers on such a line are returned too, so that the curve of the training loss is kept with the validation
    loss.
    """
    reading = read_line(line, names)
    if not reading.wanted:
        return {}, None
    return {**reading.others, **{name: found.value for name, found in reading.wanted.items()}}, reading.step


def read_line(line: str, names: Sequence[str]) -> LineReading:
    """Return what a line holds. Of a metric that is on it several times, the first value counts.

    Known forms are JSON and Python dicts, behind other text too; `name=0.41`, `name: 0.41`, `name -> 0.41`, cells of a
    table, and `name 0.41` for the metrics in `names`.
    """
    named = [name for name in names if has_name(line, name)]
    if not named and "{" not in line:
        return LineReading()
    reading = _sort_out(object_in(line), names)
    if not reading.wanted:
        reading = _from_text(line, named)
    if reading.step is None and reading.wanted and (match := _STEP.search(line)):
        reading = reading._replace(step=read_count(line, match.end()))
    return reading


def _sort_out(values: Mapping[str, float], names: Sequence[str]) -> LineReading:
    """Tell the metrics that the study needs from the others and from the step."""
    wanted = {}
    for name in names:
        spelling = name if name in values else next((key for key in values if is_spelling_of(key, name)), None)
        if spelling is not None:
            wanted[name] = Found(values[spelling], spelling, Closeness(int(spelling != name)))
    taken = {found.spelling for found in wanted.values()} | set(names)
    others = {n: v for n, v in islice(values.items(), MAX_PAIRS) if n not in taken and n.lower() not in STEP_NAMES}
    return LineReading(wanted, others, _step_of(values), {})


def _from_text(line: str, names: Sequence[str]) -> LineReading:
    wanted: dict[str, Found] = {}
    unread: dict[str, str] = {}
    taken = set()
    for name in names:
        found, places = _find(line, name)
        taken |= places
        if isinstance(found, Found):
            wanted[name] = found
        else:
            unread[name] = found
    if not wanted:
        return LineReading(unread=unread)
    pairs: dict[str, float] = {}
    for match in islice(_PAIR.finditer(line), MAX_PAIRS):
        value = _other_value(line, match)
        if match.end() not in taken and match[1] not in names and value is not None:
            pairs.setdefault(match[1], value)
    others = {name: value for name, value in pairs.items() if name.lower() not in STEP_NAMES}
    return LineReading(wanted, others, _step_of({**pairs, **{n: f.value for n, f in wanted.items()}}), unread)


def _other_value(line: str, pair: re.Match[str]) -> float | None:
    if pair[1].lower() in STEP_NAMES:
        return read_count(line, pair.end())
    value, end = read_value(line, pair.end())
    # A share behind a name that nobody asked for is a progress, not a metric.
    return None if "/" in line[pair.end() : end] else value


def _find(line: str, name: str) -> tuple[Found | str, set[int]]:
    """Return a metric's value on the line, or why there is none; and the places where its values are."""
    best: Found | None = None
    why = "names it without a number"
    places = set()
    for mention in mentions(line, name):
        places.add(mention.value_at)
        reading = read_value(line, mention.value_at)
        if mention.by_space and counts_something(line, reading.end):
            continue
        if mention.closeness is None:
            why = f"has `{mention.spelling}`, which is another metric"
        elif reading.value is None:
            if line[mention.value_at : mention.value_at + 2].strip("+-. ")[:1].isdigit():
                why = "has a number that cannot be read for sure"
                if best is None:
                    break
        elif best is None or mention.closeness < best.closeness:
            best = Found(reading.value, mention.spelling, mention.closeness)
    return (why if best is None else best), places


def _step_of(values: Mapping[str, float]) -> float | None:
    lowered = {name.lower(): value for name, value in values.items() if math.isfinite(value)}
    return next((lowered[name] for name in STEP_NAMES if name in lowered), None)


def _place(output: OutputLine) -> str:
    stream = STREAM_NAMES.get(output.stream, output.stream)
    return f"line {output.number} of {stream}" if output.number else f"a line of {stream}"
