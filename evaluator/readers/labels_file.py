"""Reads the examples that people labelled, from a CSV file. Knows no judge."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.study.config.tables.judge import JudgeTable
from tunesmith.study.errors import ProjectError
from tunesmith.study.files import unreadable_text
from tunesmith.study.formatting import one_line, render_literal, valid_text

MAX_LABELS = 10_000
_VERDICTS = ("a", "b", "tie")
_FIELD_CHARS = 2**20


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two texts for one input, and which of them people prefer: "a", "b" or "tie"."""

    input: str
    a: str
    b: str
    label: str


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text for an input, and the score that people gave it."""

    input: str
    output: str
    label: float


def read_labels(judge: JudgeTable, project: Path) -> list[LabelledPair] | list[LabelledText]:
    """Return the labelled examples of [judge].labels; none without that key.

    Raises:
        ProjectError: the file cannot be read, has no such columns, or a row is not valid.
    """
    if judge.labels is None:
        return []
    rows = _rows(project / judge.labels, judge.labels, ("a", "b", "label") if judge.pairs else ("output", "label"))
    if judge.pairs:
        return [_pair(row, line, judge.labels) for line, row in rows]
    return [_scored(row, line, judge) for line, row in rows]


def _rows(path: Path, name: str, wanted: tuple[str, ...]) -> list[tuple[int, Mapping[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProjectError(f"[judge].labels: {name} does not exist in the project") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"[judge].labels: {name} {unreadable_text(error)}") from None
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_CHARS))
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        missing = [column for column in wanted if column not in (reader.fieldnames or [])]
        if missing:
            listed = ", ".join(("input", *wanted))
            hint = " with commas between the columns" if ";" in text.partition("\n")[0] else ""
            raise ProjectError(f"[judge].labels: {name} has no column {missing[0]}; expected a header {listed}{hint}")
        twice = [column for column in ("input", *wanted) if (reader.fieldnames or []).count(column) > 1]
        if twice:
            raise ProjectError(f"[judge].labels: {name} has the column {twice[0]} more than once; rename the others")
        rows: list[tuple[int, Mapping[str, str]]] = []
        for row in reader:
            rows.append((reader.line_num, {k: v or "" for k, v in row.items() if isinstance(k, str)}))
    except csv.Error as error:
        raise ProjectError(f"[judge].labels: {name}, line {reader.line_num}: {error}") from None
    if len(rows) > MAX_LABELS:
        raise ProjectError(f"[judge].labels: {name} has over {MAX_LABELS:,} examples; keep the first ones")
    return rows


def _pair(row: Mapping[str, str], line: int, name: str) -> LabelledPair:
    label = row["label"].strip().lower()
    if label not in _VERDICTS:
        raise ProjectError(f"[judge].labels: {name}, line {line}: label {_shown(row)} is not one of a, b, tie")
    return LabelledPair(valid_text(row.get("input", "")), valid_text(row["a"]), valid_text(row["b"]), label)


def _scored(row: Mapping[str, str], line: int, judge: JudgeTable) -> LabelledText:
    low, high = judge.scale
    try:
        label = float(row["label"])
    except ValueError:
        label = float("nan")
    if not low <= label <= high:
        text = f"label {_shown(row)} is not a number from {low} to {high}, which [judge].scale says"
        raise ProjectError(f"[judge].labels: {judge.labels}, line {line}: {text}")
    return LabelledText(valid_text(row.get("input", "")), valid_text(row["output"]), label)


def _shown(row: Mapping[str, str]) -> str:
    return render_literal(one_line(row["label"], 40))
