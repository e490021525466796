"""[instances] of study.toml: what one configuration runs on, one at a time, and what is held out for confirmation."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tunesmith.study.config.tables.field_types import Table, Text, no_bool, project_file
from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_exact, render_literal
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.replicates.instances import Aggregate, InstanceSet, split

INSTANCE = "instance"
"""The placeholder of the instance; `{instance.size}` is its column "size"."""
MAX_INSTANCES = 10_000
_MIN_PART = 2
"""Fewest instances that choices are made on, and fewest that confirmation needs: one value has no spread."""

Instance = str | int | float | bool | dict[str, Value]


def _scalars(value: Any) -> Any:
    """Return a value, or a table of values, that names an instance.

    Raises:
        ValueError: it is something else, such as a list.
    """
    parts = list(value.values()) if isinstance(value, dict) else [value]
    if not parts or not all(isinstance(part, str | int | float | bool) and _is_plain(part) for part in parts):
        raise ValueError("no value that names an instance")
    if isinstance(value, dict) and not all(name.isidentifier() for name in value):
        raise ValueError("no name of a column")
    return value


def _is_plain(part: float | str) -> bool:
    return bool(part.strip()) if isinstance(part, str) else math.isfinite(part)


class InstancesTable(Table):
    """[instances]: folds, data sets, workloads, seeds or shapes; a trial runs on one of them."""

    values: list[Annotated[Instance, BeforeValidator(_scalars)]] = Field(
        default_factory=list,
        description='a list of values, for example [0, 1, 2], or of tables, for example [{ name = "a", size = 3 }]',
    )
    file: Annotated[Text, AfterValidator(project_file)] | None = Field(
        None, description='a CSV file of the project with a header and an instance per line, such as "instances.csv"'
    )
    aggregate: Aggregate = Field("mean", description='"mean", "p95" or "worst"')
    hold_out: Annotated[float, BeforeValidator(no_bool), Field(ge=0.0, lt=1.0)] = Field(
        0.0, description="a share of the instances of at least 0 and below 1, for example 0.3"
    )
    par: Annotated[float, BeforeValidator(no_bool), Field(ge=1.0, allow_inf_nan=False)] | None = Field(
        None, description="a number of at least 1, for example 10: a run that times out counts as 10 times the timeout"
    )

    @property
    def rows(self) -> dict[str, dict[str, Value]]:
        """The columns of each instance, by its name: the text of its first column."""
        rows: list[dict[str, Value]] = [dict(v) if isinstance(v, dict) else {"name": v} for v in self.values]
        return {render_exact(next(iter(row.values()))): row for row in rows}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; none for instances that are single values."""
        first = self.values[0] if self.values else ""
        return tuple(first) if isinstance(first, dict) else ()

    def instance_set(self, seed: int) -> InstanceSet:
        """Return the instances in the order of a study's seed, with those that are held out."""
        return split(tuple(self.rows), self.hold_out, seed, self.aggregate)

    def value_of(self, name: str) -> Instance | None:
        """Return an instance as `values` has it; None for an unknown name."""
        row = self.rows.get(name)
        return None if row is None else row if self.columns else next(iter(row.values()))

    def placeholders(self, name: str) -> dict[str, Value]:
        """Return the values of `{instance}` and of its columns for one instance; none for an unknown name."""
        row = self.rows.get(name)
        if row is None:
            return {}
        columns = {f"{INSTANCE}.{column}": row[column] for column in self.columns}
        return {INSTANCE: next(iter(row.values())), **columns}

    def mistakes(self) -> Iterator[Mistake]:
        """Yield what is wrong with the instances themselves."""
        names = [render_exact(next(iter(v.values())) if isinstance(v, dict) else v) for v in self.values]
        if not self.values:
            yield Mistake("instances", "has no instance; give values = [...] or file")
            return
        twice = next((name for name, times in Counter(names).items() if times > 1), None)
        if twice is not None:
            yield Mistake("instances.values", f"lists {render_literal(twice)} twice; remove one")
        for index, value in enumerate(self.values):
            if (tuple(value) if isinstance(value, dict) else ()) != self.columns:
                like = f"the columns {', '.join(self.columns)}" if self.columns else "single values"
                yield Mistake(f"instances.values.{index}", f"differs from the first instance, which has {like}")
        if len(names) > MAX_INSTANCES:
            yield Mistake("instances.values", f"has {len(names)} instances; at most {MAX_INSTANCES} are possible")
        held_out = round(self.hold_out * len(names))
        if len(names) - held_out < _MIN_PART:
            yield Mistake("instances", f"leaves {len(names) - held_out} to tune on; at least {_MIN_PART} are needed")
        elif self.hold_out and held_out < _MIN_PART:
            yield Mistake(
                "instances.hold_out",
                f"{self.hold_out:g} of {len(names)} instances leaves {held_out} for confirmation; at least {_MIN_PART} "
                "are needed",
            )


def with_instances_from_file(document: Mapping[str, Any], folder: Path) -> tuple[Mapping[str, Any], list[Mistake]]:
    """Return a study file's document with the instances of [instances].file as values, and what is wrong with it."""
    table = document.get("instances")
    if not isinstance(table, Mapping) or not isinstance(table.get("file"), str):
        return document, []
    if "values" in table:
        return document, [Mistake("instances.values", "cannot be given besides file; remove one of the two")]
    name = table["file"]
    try:
        with (folder / name).open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(cell.strip() for cell in line)]
    except FileNotFoundError:
        return document, [Mistake("instances.file", f"{name} does not exist in {folder}")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return document, [Mistake("instances.file", f"{name} cannot be read as CSV: {error}")]
    mistakes = list(_csv_mistakes(lines, name))
    if mistakes:
        return document, mistakes
    header = [cell.strip() for cell in lines[0]]
    rows = [dict(zip(header, map(_cell, line), strict=True)) for line in lines[1:]]
    return {**document, "instances": {**table, "values": rows}}, []


def _csv_mistakes(lines: list[list[str]], name: str) -> Iterator[Mistake]:
    if len(lines) < 2:  # noqa: PLR2004  # a header and an instance
        yield Mistake("instances.file", f"{name} has no instance; expected a header and one line per instance")
        return
    header = [cell.strip() for cell in lines[0]]
    for column in header:
        if not column.isidentifier():
            text = f"{name} has the column {render_literal(column)}; names of columns have letters, digits and _"
            yield Mistake("instances.file", text)
        elif header.count(column) > 1:
            yield Mistake("instances.file", f"{name} has the column {column} twice; rename one")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            yield Mistake("instances.file", f"{name} has {len(line)} cells in line {number}, but {len(header)} columns")
        elif not all(cell.strip() for cell in line):
            yield Mistake("instances.file", f"{name} has an empty cell in line {number}; every cell needs a value")


def _cell(text: str) -> Value:
    """Return a cell as a number where its text is exactly that, so that 007 stays a name."""
    text = text.strip()
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if render_exact(number) == text:
            return number
    return text
