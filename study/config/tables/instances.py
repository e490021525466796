"""[instances] of study.toml: what one configuration runs on, one at a time, and what is held out for confirmation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
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
MAX_TEXT = 1_000
"""Characters of a name or of a text in a column: each is an argument of a command and appears in tables."""
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


def _texts(value: Instance) -> list[str]:
    return [part for part in (value.values() if isinstance(value, dict) else [value]) if isinstance(part, str)]


def text_problems(text: str) -> Iterator[str]:
    """Yield what is wrong with a text that names an instance or fills a column of one."""
    shown = render_literal(text)
    if text != text.strip():
        yield f"{shown} begins or ends with a space; remove it"
    if any(not character.isprintable() for character in text):
        yield f"{shown} has a line break or another control character; write it without"
    if len(text) > MAX_TEXT:
        yield f"{shown} has {len(text):,} characters; at most {MAX_TEXT:,} are possible"


def _is_plain(part: float | str) -> bool:
    return bool(part.strip()) if isinstance(part, str) else math.isfinite(part)


class InstancesTable(Table):
    """[instances]: folds, data sets, workloads, seeds or shapes; a trial runs on one of them."""

    values: list[Annotated[Instance, BeforeValidator(_scalars)]] = Field(
        default_factory=list,
        description="a list of texts, finite numbers or switches, for example [0, 1, 2], or of tables of them, for "
        'example [{ name = "a", size = 3 }]',
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
        for index, value in enumerate(self.values):
            for text in _texts(value):
                yield from (Mistake(f"instances.values.{index}", problem) for problem in text_problems(text))
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
            of = f"{self.hold_out:g} of {len(names)} instances " if held_out else ""
            key = "instances.hold_out" if held_out else "instances"
            yield Mistake(key, f"{of}leaves {len(names) - held_out} to tune on; at least {_MIN_PART} are needed")
        elif self.hold_out and held_out < _MIN_PART:
            yield Mistake(
                "instances.hold_out",
                f"{self.hold_out:g} of {len(names)} instances leaves {held_out} for confirmation; at least {_MIN_PART} "
                "are needed",
            )
