"""Surveys what a command reports: every number with a name, where it was, how often, and how far the command got.

For a dry run, which has to say what a study could use. An evaluation itself reads only the study's metrics.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from tunesmith.evaluator.executors.base import CommandSpec
from tunesmith.evaluator.files.tree_walk import walk
from tunesmith.evaluator.output.numerals import read_number, read_value
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.output.printed_tables import PrintedTable
from tunesmith.evaluator.readers.file_formats import read_points
from tunesmith.evaluator.readers.metric_files import MetricFiles
from tunesmith.evaluator.readers.metric_names import is_spelling_of
from tunesmith.evaluator.readers.metric_patterns import PatternReader, line_words
from tunesmith.evaluator.readers.metrics import (
    REPORT,
    STEP_NAMES,
    STREAM_NAMES,
    MetricReader,
)
from tunesmith.evaluator.readers.printed_objects import flatten, object_in
from tunesmith.evaluator.readers.report_file import ReportFile
from tunesmith.evaluator.steps import TRAINING_PREFIX
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import one_line, strip_escapes

MAX_NAMES = 500
"""Number of different names that are kept."""
MAX_SURVEYED_LINES = 20_000
"""Number of lines after which only those that may have one of the study's metrics are read: reading all costs time."""
MAX_MARKS = 10_000
"""Number of progress marks that are kept."""
MAX_EXAMPLE_CHARS = 120
MAX_NEW_FILES, MAX_NEW_FILE_BYTES = 200, 8 * 2**20
"""Number and size of the files that are searched for metrics although [run].metrics_from does not name them."""
_FILE_SUFFIXES = (".json", ".jsonl", ".csv", ".tsv")
_KIND = r"(?:mean|avg|average|train(?:ing)?|val(?:id(?:ation)?)?|test|eval(?:uation)?|dev|best|final|last|total)"
_NAMED = re.compile(
    rf"(?<![\w./@-])((?:{_KIND}\s)?[^\W\d][\w./@-]{{0,80}}+)[\"']?\s{{0,8}}+[=:]\s{{0,8}}+(?=[\"'\w.+(\[<∞−-])",
    re.IGNORECASE,
)
_PROGRESS = re.compile(
    r"(?<![\w-])(epoch|round|iter(?:ation)?|step|batch)s?\s{0,3}[:=#]?\s{0,3}[\[(]?\s{0,3}(\d{1,9})\s{0,3}(?:/|of)\s{0,3}(\d{1,9})",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Sighting:
    """A name that had numbers.

    Attributes:
        name: the study's own name of a metric of it, else the name as it was written.
        source: stdout, stderr, "report" (tunesmith.report), or the path of a file.
        line: number of its first line in that source, 0 if there are no lines.
        example: that line.
        count: how often it had a number.
        last: the last number.
        is_read: whether an evaluation reads this source.
    """

    name: str
    source: str
    line: int
    example: str
    count: int
    last: float
    is_read: bool = True


@dataclass(frozen=True, slots=True)
class ProgressMark:
    """A line such as "epoch 3/30": seconds since the start of the command, the unit, what is done, and the total."""

    at_s: float
    unit: str
    done: int
    total: int


class OutputSurvey:
    """Surveys the command that began last; sightings of earlier ones are kept.

    Args:
        spec: the study.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._names = spec.reported_metrics
        self._words = line_words(spec)
        self._patterns = PatternReader(spec.metric_tables)
        self._only_from = {n: t.sources for n, t in spec.metric_tables.items() if t.sources and not t.regex}
        self._lines = 0
        self._sources = spec.metric_sources
        # The log of a server is full of numbers, none of which says how fast it is.
        self._left_out = {"stderr"} - set(self._sources) if spec.serve is not None else set[str]()
        self._sightings: dict[tuple[str, str], Sighting] = {}
        self.commands = 0
        self.marks: list[ProgressMark] = []
        self.started_at = time.time()

    @property
    def sightings(self) -> list[Sighting]:
        """Every name that had numbers, the most frequent first."""
        return sorted(self._sightings.values(), key=lambda seen: -seen.count)

    def begin(self, command: CommandSpec) -> None:
        """Survey this command from now on."""
        self.commands += 1
        if self.commands > 1:
            # Of a study with an evaluation command, only that one's metrics count.
            before, self._sightings = self._sightings, {}
            for (name, source), seen in before.items():
                renamed = f"{TRAINING_PREFIX}{name}"
                self._sightings[renamed, source] = replace(seen, name=renamed)
        self.started_at = time.time()
        self._work = command.cwd
        self._report, self._report_lines = None if command.report is None else ReportFile(command.report), 0
        folders = {"": command.cwd, "{artifacts}": (command.folder or command.cwd) / "artifacts"}
        patterns = [source for source in self._sources if source not in STREAM_NAMES]
        self._files = MetricFiles(patterns, folders)
        self._present = set(_paths(command.cwd))
        self._readers = {
            stream: MetricReader(self._names, time.time, [stream], only_from=self._only_from, patterns=self._patterns)
            for stream in STREAM_NAMES
        }
        self._tables = {stream: PrintedTable() for stream in STREAM_NAMES}

    def read(self, lines: Iterable[OutputLine]) -> None:
        """Survey these lines of output."""
        for line in lines:
            if line.stream in self._left_out:
                continue
            self._lines += 1
            if self._lines > MAX_SURVEYED_LINES and not any(word in line.text.lower() for word in self._words):
                continue
            text = strip_escapes(line.text)
            found = {o.metric: o.value for o in self._readers[line.stream].from_line(line) if o.metric in self._names}
            others = {**self._row(line, text), **named_numbers(text)}
            others = {n: v for n, v in others.items() if not any(is_spelling_of(n, name) for name in found)}
            for name, value in {**others, **found}.items():
                self._see(name, line.stream, line.number, text, value)
            self._mark(text)

    def finish(self) -> None:
        """Survey the files of a command that has ended."""
        if self._report is not None:
            while lines := self._report.lines():
                self._read_report(lines)
            self._read_report(self._report.last_line())
        for pattern, point in self._files.new_points(is_over=True):
            for name, value in _without_steps(point.values).items():
                self._see(name, pattern, 0, "", value)
        for path, values in self._new_files():
            for name, value in values.items():
                self._see(name, path, 0, "", value, is_read=False)

    def _read_report(self, lines: Iterable[str]) -> None:
        for text in lines:
            self._report_lines += 1
            for observation in self._readers["stdout"].from_report(text):
                self._see(observation.metric, REPORT, self._report_lines, "", observation.value)

    def _row(self, line: OutputLine, text: str) -> dict[str, float]:
        table = self._tables[line.stream]
        cells = table.row(text, line.number)
        if not cells:
            table.open(text, line.number)
        return {
            name: value
            for name, cell in cells.items()
            if name and name.lower() not in STEP_NAMES and (value := read_number(cell)) is not None
        }

    def _mark(self, text: str) -> None:
        if (match := _PROGRESS.search(text)) and len(self.marks) < MAX_MARKS:
            at_s = time.time() - self.started_at
            self.marks.append(ProgressMark(at_s, match[1].lower(), int(match[2]), int(match[3])))

    def _see(self, name: str, source: str, line: int, text: str, value: float, *, is_read: bool | None = None) -> None:  # noqa: PLR0913  # the fields of a sighting
        key = name, source
        if (seen := self._sightings.get(key)) is not None:
            seen.count, seen.last = seen.count + 1, value
        elif (len(self._sightings) < MAX_NAMES or name in self._names) and name.isprintable():
            read = (source in (*self._sources, REPORT)) if is_read is None else is_read
            example = one_line(text, MAX_EXAMPLE_CHARS)
            self._sightings[key] = Sighting(name, source, line, example, 1, value, read)

    def _new_files(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        """Yield the last numbers of each file that the command wrote and that no source names."""
        named = {name for name, source in self._sightings if source not in STREAM_NAMES}
        written = (path for path in _paths(self._work) if path not in self._present)
        for path in islice((p for p in written if p.endswith(_FILE_SUFFIXES) or ".tfevents." in p), MAX_NEW_FILES):
            file = self._work / path
            if file.is_symlink() or file.stat().st_size > MAX_NEW_FILE_BYTES:
                continue
            points = read_points(file, file.read_bytes() + b"\n")
            numbers = [(name, value) for point in points for name, value in _without_steps(point.values).items()]
            values = {name: value for name, value in numbers if name not in named}
            if values:
                yield path, values


def named_numbers(text: str) -> dict[str, float]:
    """Return the numbers on a line by name: of a JSON object or Python dict, else of `name=0.41` and `name: 0.41`."""
    found = dict(flatten(object_in(text)))
    if not found:
        for match in islice(_NAMED.finditer(text), MAX_NAMES):
            value = read_value(text, match.end()).value
            if value is not None:
                found.setdefault(match[1], value)
    return _without_steps(found)


def _without_steps(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name.lower() not in STEP_NAMES}


def _paths(folder: Path) -> Iterator[str]:
    return (str(Path(entry.path).relative_to(folder)) for entry in walk(folder) if entry.is_file(follow_symlinks=False))
